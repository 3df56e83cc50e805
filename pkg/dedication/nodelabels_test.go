package dedication

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	ofAcme           = "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host"
	ofAcmePrivileged = "tenant=acme,data-class=unclassified,privilege=privileged,user-namespace=host"
	ofVMs            = "tenant=vm,data-class=vm,privilege=vm,user-namespace=vm"
	ofUnmanaged      = "tenant=unmanaged,data-class=unmanaged,privilege=unmanaged,user-namespace=unmanaged"
	none             = "none"
)

// labelledNodes has nodes labelled by default, as those of Karpenter are.
func labelledNodes(c *Config) {
	c.LabelledNodes = labels.SelectorFromSet(labels.Set{"pool": "karpenter"})
}

// inPool makes a node one of those that are labelled.
func inPool(n *v1.Node) { setLabels(map[string]string{"pool": "karpenter"})(n) }

func setLabels(set map[string]string) func(*v1.Node) {
	return func(n *v1.Node) {
		if n.Labels == nil {
			n.Labels = map[string]string{}
		}
		maps.Copy(n.Labels, set)
	}
}

// affine gives a pod the required node affinity that admission writes by the policy that the world has now.
func (w *world) affine(pod *v1.Pod) {
	subject := w.Subject(pod)
	if _, managed := subject.TrustDomain(); !managed {
		return
	}
	var free, vm, own v1.NodeSelectorTerm
	labels, _ := w.policy.NodeLabels(&subject)
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

// labelsAre fails unless n1 has these labels, of one policy.
func (w *world) labelsAre(when, want string) {
	w.t.Helper()
	parsed, found := w.policy.ParseNodeLabels(w.getNode("n1").Labels)
	got := parsed.String()
	if found && got == none {
		got = fmt.Sprintf("malformed: %v", w.getNode("n1").Labels)
	}
	if got != want {
		w.t.Errorf("%s: labels %s, want %s", when, got, want)
	}
}

// settle notifies the engine of n1 and lets everything be done that is due, but no release.
func (v *view) settle() {
	v.engine.NodeChanged("n1")
	v.sleep(5 * time.Second)
}

// labelled starts a leader of a world with a labelled node n1 whose pods no write may break.
func (w *world) labelled(change ...func(*v1.Node)) *view {
	w.t.Helper()
	w.node("n1", append([]func(*v1.Node){inPool}, change...)...)
	w.keepsPods()
	return w.leader(labelledNodes)
}

func TestLabelsOfDedicatedNode(t *testing.T) {
	tests := map[string]struct {
		pod  []func(*v1.Pod)
		want string
	}{
		"a container":             {nil, ofAcme},
		"of another privilege":    {[]func(*v1.Pod){privileged}, ofAcmePrivileged},
		"a VM":                    {[]func(*v1.Pod){inVM}, ofVMs},
		"a VM that shares nobody": {[]func(*v1.Pod){inVM, privileged}, ofVMs},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.labelled()
				pod := w.pod("web", "acme", append(tc.pod, w.affine)...)
				w.resetCounts()
				p.mustPlace(pod, "n1")
				w.labelsAre("dedicated", tc.want)
				if got := w.writesOf("nodes"); got != 1 {
					w.t.Errorf("opening wrote the node %d times, want taints and labels in one", got)
				}
				p.settle()
				p.removeAndNotify(pod)
				p.settle()
				w.labelsAre("empty, and not released yet", tc.want)
				if got := w.writesOf("nodes"); got != 1 {
					w.t.Errorf("%d writes of the node, want none after the opening", got)
				}
				w.sleep(2 * releaseAfter)
				w.labelsAre("released", none)
				if got := w.writesOf("nodes"); got != 2 {
					w.t.Errorf("%d writes of the node, want taints and labels removed in one", got)
				}
			})
		})
	}
}

func TestLabelsFollowSelector(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node("n1")
		w.keepsPods()
		p := w.leader(labelledNodes)
		p.mustPlace(w.pod("web", "acme", w.affine), "n1")
		p.settle()
		w.labelsAre("not selected", none)

		w.node("n1", inPool)
		p.settle()
		w.labelsAre("registered by the autoscaler later", ofAcme)

		other := *p.engine.settings()
		other.LabelledNodes = labels.SelectorFromSet(labels.Set{"pool": "other"})
		p.engine.Configure(other)
		w.sleep(5 * time.Second)
		w.labelsAre("another selector", none)

		other.LabelledNodes = labels.Everything()
		p.engine.Configure(other)
		w.sleep(5 * time.Second)
		w.labelsAre("all nodes", ofAcme)

		other.LabelledNodes = nil
		p.engine.Configure(other)
		w.sleep(5 * time.Second)
		w.labelsAre("no nodes", none)
	})
}

func TestLabelsOfFreeNode(t *testing.T) {
	birth := isolation.NodeLabels{"acme", "public", "baseline", "pod"}
	random := isolation.NodeLabels{"2837465", "918273", "4711", "12"}.Map()
	partly := birth.Map()
	delete(partly, isolation.NodeLabelKey(isolation.AxisPrivilege))
	former := map[string]string{"tenantisolation.dev/tenant": "acme", "tenantisolation.dev/data-class": "public", "tenantisolation.dev/boundary": "vm"}
	tests := map[string]struct {
		on   map[string]string
		pods []string
		want string
	}{
		"nothing":                              {nil, nil, none},
		"of the trust domain that waits":       {birth.Map(), nil, birth.String()},
		"for VMs":                              {isolation.VMNodeLabels().Map(), nil, ofVMs},
		"made up":                              {random, nil, none},
		"not all":                              {partly, nil, none},
		"of pods that are gone":                {isolation.UnmanagedNodeLabels().Map(), nil, none},
		"of an earlier release":                {former, nil, none},
		"pods without a tenant":                {nil, []string{"", ""}, ofUnmanaged},
		"pods without a tenant came instead":   {birth.Map(), []string{""}, ofUnmanaged},
		"made up, under pods without a tenant": {random, []string{""}, ofUnmanaged},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.node("n1", inPool, setLabels(tc.on))
				for i, tenant := range tc.pods {
					w.bindPod(w.pod(fmt.Sprint(i), tenant), "n1")
				}
				w.bindPod(w.pod("agent", "", platform), "n1")
				p := w.leader(labelledNodes)
				p.settle()
				w.labelsAre("a leader is there", tc.want)
				for key := range former {
					if _, has := w.getNode("n1").Labels[key]; has {
						w.t.Errorf("label %s of an earlier release is left", key)
					}
				}
				w.resetCounts()
				w.sleep(5 * time.Minute)
				if got := w.writesOf("nodes"); got != 0 {
					w.t.Errorf("%d writes without need", got)
				}
			})
		})
	}
}

func TestLabelsOfUnmanagedPods(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.labelled()
		stray := w.pod("stray", "")
		w.bindPod(stray, "n1")
		p.settle()
		w.labelsAre("a pod without a tenant came", ofUnmanaged)
		p.removeAndNotify(stray)
		p.settle()
		w.labelsAre("and went", none)
		w.bindPod(stray, "n1")
		w.node("n1", func(n *v1.Node) { delete(n.Labels, "pool") })
		p.settle()
		w.labelsAre("on a node of another pool", none)
	})
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
				w.policy = other(w.t, func(c *isolation.Config) {
					c.SharePrivileges = [][]isolation.Privilege{{isolation.PrivilegeBaseline, isolation.PrivilegeRestricted}}
				})
			},
			none, "tenant=acme,data-class=unclassified,privilege=baseline,user-namespace=host",
		},
		"a change of separateBy": {
			func(w *world, _ *v1.Pod) {
				w.policy = other(w.t, func(c *isolation.Config) { c.SeparateBy = []isolation.Axis{isolation.AxisTenant} })
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
				w.policy = other(w.t, func(c *isolation.Config) { c.DataClasses = append(c.DataClasses, "top") })
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

// A node that waits for its reboot may be used again by its tenant, at any privilege.
func TestLabelsOfVacatedNode(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node("n1", inPool)
		w.keepsPods()
		p := w.leader(labelledNodes, func(c *Config) { c.NodeReuse = ReuseAfterReboot })
		pod := w.pod("web", "acme", w.affine)
		p.mustPlace(pod, "n1")
		p.removeAndNotify(pod)
		w.sleep(2 * time.Minute)
		if !w.dedicated("n1") {
			t.Error("the node is released without a reboot")
		}
		w.labelsAre("waits for a reboot", none)
		p.mustPlace(w.pod("next", "acme", privileged, w.affine), "n1")
		p.settle()
		w.labelsAre("used again", ofAcmePrivileged)
	})
}

// What the leader has written and somebody else has changed is written again, once.
func TestLabelsAreRestored(t *testing.T) {
	for name, change := range map[string]func(*v1.Node){
		"removed":        func(n *v1.Node) { n.Labels = map[string]string{"pool": "karpenter"} },
		"some are":       func(n *v1.Node) { delete(n.Labels, isolation.NodeLabelKey(isolation.AxisTenant)) },
		"another tenant": setLabels(map[string]string{isolation.NodeLabelKey(isolation.AxisTenant): "bolt"}),
		"for VMs":        setLabels(isolation.VMNodeLabels().Map()),
		"former ones":    setLabels(map[string]string{"tenantisolation.dev/tenant": "acme"}),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.labelled()
				p.mustPlace(w.pod("web", "acme", w.affine), "n1")
				w.node("n1", change)
				w.resetCounts()
				p.settle()
				w.labelsAre("written again", ofAcme)
				if _, has := w.getNode("n1").Labels["tenantisolation.dev/tenant"]; has {
					w.t.Error("the label of an earlier release is left")
				}
				if got := w.writesOf("nodes"); got != 1 {
					w.t.Errorf("%d writes of the node", got)
				}
			})
		})
	}
}

func TestLabelsAfterTakeover(t *testing.T) {
	t.Run("an earlier release has labelled the node as it tainted it", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.openedBefore()
			w.node("n1", inPool, setLabels(map[string]string{"tenantisolation.dev/tenant": "acme", "tenantisolation.dev/data-class": "unclassified"}))
			w.keepsPods()
			p := w.leader(labelledNodes)
			p.settle()
			w.labelsAre("taken over", ofAcme)
			if _, has := w.getNode("n1").Labels["tenantisolation.dev/tenant"]; has {
				w.t.Error("the label of an earlier release is left")
			}
		})
	})
	t.Run("the labels of an empty node stay until its release", func(t *testing.T) {
		inWorld(t, func(w *world) {
			pod := w.openedBefore()
			w.removePod(pod)
			own := isolation.NodeLabels{"acme", "unclassified", "baseline", "pod"}
			w.node("n1", inPool, setLabels(own.Map()))
			p := w.leader(labelledNodes)
			p.settle()
			w.labelsAre("taken over", own.String())
			w.sleep(2 * releaseAfter)
			w.labelsAre("released", none)
		})
	})
	t.Run("pods that others placed are adopted with labels", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.node("n1", inPool)
			pod := w.pod("web", "acme")
			w.bindPod(pod, "n1")
			p := w.leader(labelledNodes)
			p.settle()
			w.labelsAre("adopted", ofAcme)
			p.removeAndNotify(pod)
			p.settle()
			w.labelsAre("empty, and not released yet", ofAcme)
		})
	})
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

func TestLabelsOfDisabledDedication(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.labelled()
		p.mustPlace(w.pod("web", "acme", w.affine), "n1")
		w.node("n2", inPool, setLabels(isolation.NodeLabels{"acme", "public", "baseline", "pod"}.Map()))
		p.engine.NodeChanged("n2")
		p.settle()
		if !Marked(w.getNode("n2")) {
			t.Error("an autoscaler's labels are gone")
		}
		off := *p.engine.settings()
		off.Enabled = false
		p.engine.Configure(off)
		w.sleep(5 * time.Second)
		for _, name := range []string{"n1", "n2"} {
			if node := w.getNode(name); Marked(node) {
				t.Errorf("%s still has %v", name, node.Labels)
			}
		}
	})
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
