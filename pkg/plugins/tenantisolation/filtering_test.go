package tenantisolation

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// tenants makes two tenants, a namespace without one, and the platform's.
func tenants(t *testing.T, change ...func(*v1alpha1.IsolationPolicySpec)) *world {
	t.Helper()
	w := newWorld(t, change...)
	w.namespace("red", "tenant=red")
	w.namespace("red-secret", "tenant=red", "data-class=restricted")
	w.namespace("blue", "tenant=blue")
	w.namespace("stray")
	w.namespace("kube-system")
	w.runtimeClass("kata", "kata-qemu", "kata", "true")
	w.node("n1")
	w.node("kata1", "", "kata-qemu")
	return w
}

func TestFilter(t *testing.T) {
	unresolvable, resolvable := fwk.UnschedulableAndUnresolvable, fwk.Unschedulable
	never := func(*v1alpha1.IsolationPolicySpec) {}
	preempt := func(p v1alpha1.PreemptionPolicy) func(*v1alpha1.IsolationPolicySpec) {
		return func(a *v1alpha1.IsolationPolicySpec) { a.Preemption = p }
	}
	resident := isolation.ForeignResident.Sentence()
	for name, tc := range map[string]struct {
		args     func(*v1alpha1.IsolationPolicySpec)
		resident func(*world) *v1.Pod
		incoming func(*world) *v1.Pod
		node     string
		want     fwk.Code
		says     string
	}{
		"an empty node takes any pod with a trust domain": {
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
		},
		"a pod of the same trust domain may follow": {
			resident: func(w *world) *v1.Pod { return w.pod("red", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
		},
		"another tenant's resident denies, and no pod is evicted": {
			resident: func(w *world) *v1.Pod { return w.pod("blue", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
			want:     unresolvable, says: resident,
		},
		"with preemption Any another tenant's resident may be evicted": {
			args:     preempt(v1alpha1.PreemptionAny),
			resident: func(w *world) *v1.Pod { return w.pod("blue", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
			want:     resolvable, says: resident,
		},
		"with preemption SameTenant another tenant's resident may not be evicted": {
			args:     preempt(v1alpha1.PreemptionSameTenant),
			resident: func(w *world) *v1.Pod { return w.pod("blue", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
			want:     unresolvable, says: resident,
		},
		"with preemption SameTenant a resident of the own tenant may be evicted": {
			args:     preempt(v1alpha1.PreemptionSameTenant),
			resident: func(w *world) *v1.Pod { return w.pod("red-secret", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
			want:     resolvable, says: resident,
		},
		"a resident without a tenant denies": {
			resident: func(w *world) *v1.Pod { return w.pod("stray", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
			want:     unresolvable, says: resident,
		},
		"a resident whose namespace is not known denies": {
			resident: func(w *world) *v1.Pod { return w.pod("nowhere", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
			want:     unresolvable, says: resident,
		},
		"a platform resident does not count": {
			resident: func(w *world) *v1.Pod { return w.pod("kube-system", "r", on("n1"), privileged) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
		},
		"a platform pod goes anywhere": {
			resident: func(w *world) *v1.Pod { return w.pod("stray", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod { return w.pod("kube-system", "p", privileged) },
		},
		"a terminating resident counts": {
			resident: func(w *world) *v1.Pod {
				return w.pod("blue", "r", on("n1"), func(p *v1.Pod) { p.DeletionTimestamp = &p.CreationTimestamp })
			},
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p") },
			want:     unresolvable, says: resident,
		},
		"two VM-isolated pods of different tenants share a machine": {
			resident: func(w *world) *v1.Pod { return w.pod("blue", "r", on("kata1"), class("kata")) },
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p", class("kata")) },
			node:     "kata1",
		},
		"a VM-isolated pod that shares the host's network is a container": {
			resident: func(w *world) *v1.Pod { return w.pod("blue", "r", on("kata1"), class("kata")) },
			incoming: func(w *world) *v1.Pod {
				return w.pod("red", "p", class("kata"), hostNetwork, labelled("privilege=privileged"))
			},
			node: "kata1",
			want: unresolvable, says: resident,
		},
		"a VM-isolated pod with an inline volume on the host is a container": {
			resident: func(w *world) *v1.Pod { return w.pod("blue", "r", on("kata1"), class("kata")) },
			incoming: func(w *world) *v1.Pod {
				return w.pod("red", "p", class("kata"), func(p *v1.Pod) {
					p.Spec.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{CSI: &v1.CSIVolumeSource{Driver: "hostpath.csi.k8s.io"}}}}
				})
			},
			node: "kata1",
			want: unresolvable, says: resident,
		},
		"a node that reports its handlers without the pod's is refused": {
			resident: func(w *world) *v1.Pod {
				w.node("n1", "", "runc")
				return nil
			},
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p", class("kata")) },
			want:     unresolvable, says: isolation.MissingHandler.Sentence(),
		},
		"a node that reports no handlers is taken to have them": {
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p", class("kata")) },
		},
		"a pod whose namespace has no tenant goes nowhere": {
			incoming: func(w *world) *v1.Pod { return w.pod("stray", "p") },
			want:     unresolvable, says: isolation.UnmanagedNamespace.Sentence(),
		},
		"a pod whose namespace is not known goes nowhere": {
			incoming: func(w *world) *v1.Pod { return w.pod("nowhere", "p") },
			want:     unresolvable, says: isolation.UnknownNamespace.Sentence(),
		},
		"a pod whose RuntimeClass does not exist goes nowhere": {
			incoming: func(w *world) *v1.Pod { return w.pod("red", "p", class("nope")) },
			want:     unresolvable, says: isolation.UnknownRuntimeClass.Sentence(),
		},
		"a privileged init container is seen": {
			resident: func(w *world) *v1.Pod { return w.pod("red", "r", on("n1")) },
			incoming: func(w *world) *v1.Pod {
				return w.pod("red", "p", func(p *v1.Pod) {
					c := restrictedContainer("init")
					c.SecurityContext = &v1.SecurityContext{Privileged: new(true)}
					p.Spec.InitContainers = []v1.Container{c}
				})
			},
			want: unresolvable, says: resident,
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := never
			if tc.args != nil {
				args = tc.args
			}
			w := tenants(t, args)
			if tc.resident != nil {
				if r := tc.resident(w); r != nil {
					w.add(r)
				}
			}
			node := tc.node
			if node == "" {
				node = "n1"
			}
			status := w.filter(w.add(tc.incoming(w)), node)
			if status.Code() != tc.want || status.Message() != tc.says {
				t.Errorf("Filter: got %v %q, want %v %q", status.Code(), status.Message(), tc.want, tc.says)
			}
		})
	}
}

func TestFactsIncomplete(t *testing.T) {
	w := tenants(t)
	w.unsynced()
	pod := w.pod("red", "p")
	if status := w.filter(pod, "n1"); sentence(status) != isolation.FactsIncomplete {
		t.Errorf("PreFilter: got %v", status)
	}
	// Filter on its own fails closed as well, if PreFilter is switched off.
	if status := w.pl.Filter(t.Context(), framework.NewCycleState(), pod, w.snapshot["n1"]); sentence(status) != isolation.FactsIncomplete {
		t.Errorf("Filter: got %v", status)
	}
	if _, status := w.pl.SignPod(t.Context(), pod); status.IsSuccess() {
		t.Error("a pod was signed before its trust domain could be known")
	}
}

func TestFilterJudgesWithoutPreFilter(t *testing.T) {
	w := tenants(t)
	w.add(w.pod("blue", "r", on("n1")))
	if status := w.pl.Filter(t.Context(), framework.NewCycleState(), w.pod("red", "p"), w.snapshot["n1"]); sentence(status) != isolation.UnknownResident {
		t.Errorf("got %v, want a denial because of residents", status)
	}
	if status := w.pl.Filter(t.Context(), framework.NewCycleState(), w.pod("red", "p"), w.snapshot["kata1"]); !status.IsSuccess() {
		t.Errorf("an empty node was denied: %v", status)
	}
}

func TestDenialIsANewStatus(t *testing.T) {
	w := tenants(t)
	w.add(w.pod("blue", "r", on("n1")))
	pod := w.pod("red", "p")
	first, second := w.filter(pod, "n1"), w.filter(pod, "n1")
	if first == second {
		t.Error("two denials share a status, into which the framework writes from several goroutines")
	}
}

func TestPreFilterOfAnAssignedPod(t *testing.T) {
	w := tenants(t)
	_, status := w.pl.PreFilter(t.Context(), framework.NewCycleState(), w.pod("stray", "p", on("n1")), nil)
	if !status.IsSkip() {
		t.Errorf("got %v, want Skip", status)
	}
}

func TestReserve(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p"))
	if !w.admits(pod, "n1") {
		t.Fatal("an empty node was denied")
	}
	w.add(w.pod("blue", "r", on("n1")))
	status := w.pl.Reserve(t.Context(), framework.NewCycleState(), pod, "n1")
	if sentence(status) != isolation.UnknownResident {
		t.Errorf("Reserve: got %v", status)
	}
	if got := w.woken(); len(got) != 1 || got[0] != "red/p" {
		t.Errorf("the pod has to be tried again at once, woken: %v", got)
	}
}

func TestUnreserve(t *testing.T) {
	w := tenants(t)
	red := w.add(w.pod("red", "p"))
	if status := w.pl.Reserve(t.Context(), framework.NewCycleState(), red, "n1"); !status.IsSuccess() {
		t.Fatal(status)
	}
	node := w.store.CurrentNode(w.store.Rules(), "n1")
	if node.Occupancy.Len() != 1 {
		t.Error("an assumed pod is not seen on its node")
	}
	w.pl.Unreserve(t.Context(), framework.NewCycleState(), red, "n1")
	w.pl.Unreserve(t.Context(), framework.NewCycleState(), red, "n1")
	node = w.store.CurrentNode(w.store.Rules(), "n1")
	if !node.Occupancy.Empty() {
		t.Error("an unreserved pod is still seen on its node")
	}
}

func TestScore(t *testing.T) {
	w := tenants(t)
	w.node("n2")
	w.node("kata2", "", "kata-qemu")
	w.add(w.pod("red", "r", on("n1")))
	w.add(w.pod("blue", "b", on("kata1"), class("kata")))
	for name, tc := range map[string]struct {
		pod  *v1.Pod
		want map[string]int64
	}{
		"a container goes home, then to an empty node, then to an empty one that could hold VMs": {
			pod: w.pod("red", "p"),
			want: map[string]int64{
				"n1": preferOwnTrustDomain, "n2": preferEmptyNode, "kata2": preferEmptyVMNode,
			},
		},
		"a VM goes where VMs are, then to an empty node": {
			pod: w.pod("red-secret", "p", class("kata")),
			want: map[string]int64{
				"kata1": preferOpenNode, "kata2": preferEmptyNode,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			state := framework.NewCycleState()
			if _, status := w.pl.PreFilter(t.Context(), state, tc.pod, nil); !status.IsSuccess() {
				t.Fatal(status)
			}
			if status := w.pl.PreScore(t.Context(), state, tc.pod, nil); !status.IsSuccess() {
				t.Fatal(status)
			}
			for node, want := range tc.want {
				got, status := w.pl.Score(t.Context(), state, tc.pod, w.snapshot[node])
				// Neither pods nor nodes of this test have a size.
				if want := (room{}).adjust(want); !status.IsSuccess() || got != want {
					t.Errorf("%s: got %d (%v), want %d", node, got, status, want)
				}
			}
		})
	}
	state := framework.NewCycleState()
	platform := w.pod("kube-system", "p")
	w.pl.PreFilter(t.Context(), state, platform, nil)
	if status := w.pl.PreScore(t.Context(), state, platform, nil); !status.IsSkip() {
		t.Errorf("a platform pod is scored: %v", status)
	}
}

func TestSignPod(t *testing.T) {
	w := tenants(t)
	sign := func(p *v1.Pod) any {
		fragments, status := w.pl.SignPod(t.Context(), p)
		if !status.IsSuccess() {
			return status.Message()
		}
		return fragments[0].Value
	}
	base := sign(w.pod("red", "a"))
	if sign(w.pod("red", "b")) != base {
		t.Error("two pods of one trust domain have different signatures")
	}
	for name, pod := range map[string]*v1.Pod{
		"another tenant":         w.pod("blue", "p"),
		"another data class":     w.pod("red-secret", "p"),
		"another privilege":      w.pod("red", "p", privileged),
		"another boundary":       w.pod("red", "p", class("kata")),
		"another user namespace": w.pod("red", "p", func(p *v1.Pod) { p.Spec.HostUsers = new(false) }),
	} {
		if sign(pod) == base {
			t.Errorf("%s: the signature is the same", name)
		}
	}
	if _, status := w.pl.SignPod(t.Context(), w.pod("stray", "p")); status.Code() != fwk.Unschedulable {
		t.Errorf("a pod without a trust domain: got %v, want Unschedulable", status)
	}
}

func TestFilterWhileObserving(t *testing.T) {
	w := tenants(t, func(a *v1alpha1.IsolationPolicySpec) { a.Enforcement = v1alpha1.EnforcementAudit })
	w.add(w.pod("blue", "there", on("n1")))
	w.node("n2")
	for name, pod := range map[string]*v1.Pod{
		"a foreign pod":           w.add(w.pod("red", "p")),
		"a pod without a tenant":  w.add(w.pod("stray", "p")),
		"a pod of a wrong label":  w.add(w.pod("red", "q", labelled("tenant=blue"))),
		"a pod of unknown origin": w.add(w.pod("nowhere", "p")),
	} {
		if !w.admits(pod, "n1") {
			t.Errorf("%s is refused", name)
		}
		if status := w.pl.Reserve(t.Context(), framework.NewCycleState(), pod, "n1"); !status.IsSuccess() {
			t.Errorf("%s: Reserve: %v", name, status)
		}
		w.pl.Unreserve(t.Context(), framework.NewCycleState(), pod, "n1")
	}
	pod := w.byName("red", "p")
	w.unsynced()
	if got := sentence(w.filter(pod, "n1")); got != isolation.FactsIncomplete {
		t.Errorf("before everything has been read: %s", got)
	}
}
