package dedication

import (
	"errors"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// affine gives a pod the required node affinity that admission writes by the policy that the world has now.
func (w *world) affine(pod *v1.Pod) {
	subject := w.Subject(pod)
	if _, managed := subject.TrustDomain(); !managed {
		return
	}
	var free, vm, own v1.NodeSelectorTerm
	labels, _ := w.policy.Load().NodeLabels(&subject)
	for _, axis := range isolation.Axes() {
		key := isolation.NodeLabelKey(axis)
		free.MatchExpressions = append(free.MatchExpressions, v1.NodeSelectorRequirement{Key: key, Operator: v1.NodeSelectorOpDoesNotExist})
		vm.MatchExpressions = append(vm.MatchExpressions, v1.NodeSelectorRequirement{Key: key, Operator: v1.NodeSelectorOpIn, Values: []string{isolation.NodeLabelVM}})
		own.MatchExpressions = append(own.MatchExpressions, v1.NodeSelectorRequirement{Key: key, Operator: v1.NodeSelectorOpIn, Values: []string{labels[axis]}})
	}
	terms := []v1.NodeSelectorTerm{free}
	if subject.Open() {
		terms = append(terms, vm)
	}
	pod.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &v1.NodeSelector{NodeSelectorTerms: append(terms, own)},
	}}
}

// keepsPods has the test fail if a write of n1 leaves there a pod that the kubelet would reject
// when it starts again: it asks the kubelet's own check.
func (w *world) keepsPods() {
	w.onCall(func(call string) fault {
		if call != "patch nodes" {
			return fault{}
		}
		return fault{then: w.checkKubelet}
	})
}

func (w *world) checkKubelet() {
	w.mu.Lock()
	defer w.mu.Unlock()
	info := framework.NewNodeInfo()
	node := w.nodes["n1"].DeepCopy()
	node.Status.Allocatable = v1.ResourceList{v1.ResourcePods: resource.MustParse("110")}
	info.SetNode(node)
	for _, pod := range w.pods {
		if pod.Spec.NodeName != "n1" {
			continue
		}
		if rejected := scheduler.AdmissionCheck(pod, info, true); len(rejected) > 0 {
			w.t.Errorf("the kubelet would reject %s on a node with %v: %v", pod.Name, node.Labels, rejected)
		}
	}
}

// Nobody may count on a node with a pod without a tenant, but a pod that runs must go on.
func TestLateUnmanagedPod(t *testing.T) {
	for name, tc := range map[string]struct {
		affine bool
		want   string
	}{
		"pods with a required affinity keep the labels": {true, ofAcme},
		"pods without one give way":                     {false, ofUnmanaged},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.labelled()
				pod := w.pod("web", "acme")
				if tc.affine {
					w.affine(pod)
				}
				p.mustPlace(pod, "n1")
				stray := w.pod("stray", "")
				w.bindPod(stray, "n1")
				p.settle()
				w.labelsAre("a pod without a tenant came", tc.want)
				p.removeAndNotify(stray)
				p.settle()
				w.labelsAre("and went", ofAcme)
			})
		})
	}
}

// Whatever the administrator changes, no running pod's required affinity breaks.
func TestLabelsFollowPolicy(t *testing.T) {
	other := func(t *testing.T, change func(*isolation.Config)) *isolation.Policy {
		t.Helper()
		config := isolation.Config{
			DataClasses: []string{"public", "secret"}, SeparateBy: isolation.Axes(), MinimumBoundary: isolation.BoundaryVM,
			BoundaryByHandler: map[string]isolation.Boundary{"kata": isolation.BoundaryVM}, PlatformNamespaces: []string{"kube-system"},
		}
		change(&config)
		policy, err := isolation.NewPolicy(config)
		if err != nil {
			t.Fatal(err)
		}
		return policy
	}
	tests := map[string]struct {
		change func(w *world, pod *v1.Pod)
		// then are the labels while the pod runs, and after one that was made later is alone there.
		then, after string
	}{
		"a change of sharing": {
			func(w *world, _ *v1.Pod) {
				w.policy.Store(other(w.t, func(c *isolation.Config) {
					c.SharePrivileges = [][]isolation.Privilege{{isolation.PrivilegeBaseline, isolation.PrivilegeRestricted}}
				}))
			},
			none, "tenant=acme,data-class=unclassified,privilege=baseline,user-namespace=host",
		},
		"a change of separateBy": {
			func(w *world, _ *v1.Pod) {
				w.policy.Store(other(w.t, func(c *isolation.Config) { c.SeparateBy = []isolation.Axis{isolation.AxisTenant} }))
			},
			// The node is dedicated to what is no longer separated, until it is empty.
			none, none,
		},
		"a renamed tenant": {
			func(w *world, pod *v1.Pod) { w.relabel(pod, "bolt") }, none, none,
		},
		"a namespace that is no tenant's any more": {
			func(w *world, pod *v1.Pod) { w.relabel(pod, "") }, ofAcme, ofUnmanaged,
		},
		"a change without effect": {
			func(w *world, _ *v1.Pod) {
				w.policy.Store(other(w.t, func(c *isolation.Config) { c.DataClasses = append(c.DataClasses, "top") }))
			},
			ofAcme, ofAcme,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.labelled()
				pod := w.pod("web", "acme", w.affine)
				p.mustPlace(pod, "n1")
				w.labelsAre("before", ofAcme)
				tc.change(w, pod)
				p.engine.RulesChanged()
				w.sleep(5 * time.Second)
				w.labelsAre("after the change", tc.then)

				later := w.pod("later", w.podOf(pod).Labels["of"], w.affine)
				w.bindPod(later, "n1")
				p.settle()
				p.removeAndNotify(pod)
				w.sleep(2 * time.Minute)
				w.labelsAre("with pods that were made later", tc.after)
			})
		})
	}
}

// relabel gives the namespace of a pod on a node another tenant.
func (w *world) relabel(pod *v1.Pod, tenant string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := w.pods[string(pod.UID)].DeepCopy()
	changed.Labels["of"] = tenant
	w.pods[string(pod.UID)] = changed
}

// podOf returns the pod as the server has it.
func (w *world) podOf(pod *v1.Pod) *v1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pods[string(pod.UID)]
}

// A pod that was made under another policy must not reach a node whose labels it will not pass.
func TestReserveBesideComingLabels(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.labelled()
		old := w.pod("old", "acme", w.affine)
		setTerm(old, isolation.AxisDataClass, "public")
		p.mustPlace(old, "n1")
		w.labelsAre("opened by a pod with the affinity of another policy", none)

		// The informer does not show the labels yet that the next write brings.
		web := w.pod("web", "acme", w.affine)
		p.mustPlace(web, "n1")
		p.freeze("n1")
		p.removeAndNotify(old)
		p.settle()
		w.labelsAre("the pod is gone", ofAcme)
		if err := p.engine.Reserve(old, "n1", p.subject(old)); !errors.Is(err, ErrDedicated) {
			w.t.Errorf("a pod that the labels keep off: %v", err)
		}
		p.mustReserve(w.pod("next", "acme", w.affine))
		p.mustReserve(w.pod("made before the labels", "acme"))
		p.thaw()

		// It has reserved the node, and is not bound yet.
		p.engine.Release(web.UID, "n1", OutcomeKnown)
	})
	inWorld(t, func(w *world) {
		p := w.labelled()
		old := w.pod("old", "acme", w.affine)
		setTerm(old, isolation.AxisDataClass, "public")
		p.mustPlace(w.pod("gone", "acme", func(pod *v1.Pod) { pod.Spec.Affinity = old.Spec.Affinity }), "n1")
		p.mustReserve(old)
		p.removePod(w.pod("gone", "acme"))
		p.settle()
		w.labelsAre("a pod that the labels would keep off has reserved the node", none)
	})
}

// setTerm changes what the own term of a pod asks of one axis.
func setTerm(pod *v1.Pod, axis isolation.Axis, value string) {
	terms := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	terms[len(terms)-1].MatchExpressions[axis].Values = []string{value}
}

// An administrator's pod may require a label by itself. It stays as long as the pod, even if
// nothing else of dedication does, and without a write for nothing.
func TestLabelThatPodRequires(t *testing.T) {
	for _, key := range []string{isolation.NodeLabelKey(isolation.AxisTenant), "tenantisolation.dev/tenant"} {
		t.Run(key, func(t *testing.T) {
			inWorld(t, func(w *world) {
				agent := w.pod("agent", "", platform)
				agent.Spec.NodeSelector = map[string]string{key: "acme"}
				w.bindPod(agent, "n1")
				set := isolation.NodeLabels{"acme", "unclassified", "restricted", "host"}.Map()
				set["tenantisolation.dev/tenant"] = "acme"
				p := w.labelled(setLabels(set))
				p.mustPlace(w.pod("web", "acme"), "n1")
				off := *p.engine.settings()
				off.Enabled = false
				p.engine.Configure(off)
				w.sleep(5 * time.Second)
				if w.getNode("n1").Labels[key] != "acme" || w.taints("n1") != "" {
					w.t.Errorf("labels %v, taints %s", w.getNode("n1").Labels, w.taints("n1"))
				}
				w.resetCounts()
				p.settle()
				if got := w.writesOf(""); got != 0 {
					w.t.Errorf("%d writes without need", got)
				}
				p.removeAndNotify(agent)
				p.settle()
				if Marked(w.getNode("n1")) {
					w.t.Errorf("labels %v are left", w.getNode("n1").Labels)
				}
			})
		})
	}
}
