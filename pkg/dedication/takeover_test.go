package dedication

import (
	"errors"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

func TestTakeOverKeepsDedications(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		first, stop := w.process()
		first.lead()
		first.open()
		before, _ := w.entryOf("n1")
		stop()

		second := w.leader()
		if after, _ := w.entryOf("n1"); after != before {
			t.Errorf("entry %v, want %v", after, before)
		}
		now := second.engine.Dedicated("n1")
		if tenant, _ := now.Dedication.Tenant(); !now.Dedicated || tenant != "acme" {
			t.Errorf("dedication %v, want acme's", now)
		}
		if second.changed["n1"] == 0 {
			t.Error("an inherited dedication was not reported")
		}
		if err := second.place(w.pod("other", "bolt"), "n1"); !errors.Is(err, ErrDedicated) {
			t.Errorf("another tenant: got %v, want %v", err, ErrDedicated)
		}
		began := time.Now()
		if err := second.place(w.pod("next", "acme"), "n1"); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("first use of an inherited node took %v, want no settle time", took)
		}
	})
}

func TestInheritedNodeFirstUse(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.openedBefore()

		second, _ := w.process()
		unseen := w.pod("unseen", "acme", privileged)
		second.setSeen(unseen, false)
		w.bindPod(unseen, "n1")
		second.lead()
		next := w.pod("next", "acme")
		second.mustReserve(next)
		if second.engine.ReadyToBind(next.UID, "n1") {
			t.Error("ready to bind before the node was verified")
		}
		done := make(chan error, 1)
		go func() { done <- second.engine.Ensure(t.Context(), next, "n1", second.subject(next)) }()
		w.sleep(5 * time.Second)
		select {
		case err := <-done:
			t.Fatalf("did not wait for the informer: %v", err)
		default:
		}
		second.setSeen(unseen, true)
		if err := <-done; !errors.Is(err, ErrTaken) {
			t.Errorf("got %v, want %v", err, ErrTaken)
		}
		if !w.dedicated("n1") {
			t.Error("an inherited node lost its dedication by a failed verification")
		}
	})
}

// At the takeover the informer still showed the node's former dedication.
func TestInheritedNodeWithAnotherDedication(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.openedBefore()
		w.removePod(w.pod("first-on-n1", "acme"))
		second := w.leader()
		pod := w.pod("web", "acme")
		second.mustReserve(pod)
		w.onCall(func(call string) fault {
			if call == "get nodes" {
				w.node("n1", func(n *v1.Node) { n.Spec.Taints[0].Value, n.Annotations[OpenedByAnnotation] = "bolt", "bolt" })
			}
			return fault{}
		})
		if err := second.engine.Ensure(t.Context(), pod, "n1", second.subject(pod)); !errors.Is(err, ErrDedicated) {
			t.Errorf("got %v, want %v", err, ErrDedicated)
		}
		now := second.engine.Dedicated("n1")
		if tenant, _ := now.Dedication.Tenant(); tenant != "bolt" {
			t.Errorf("dedication %v, want bolt's", now)
		}
	})
}

// A leader is paused after it decided a bind, and resumes when another has taken over.
func TestPausedLeaderBindsNoPod(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		w.node("n2")
		var deposed error
		first, _ := w.process(func(c *Config) { c.OnDeposed = func(err error) { deposed = err } })
		first.lead()
		first.open()
		token, _ := first.engine.Token("n1")

		second := w.leader()
		late := w.pod("late", "acme", privileged)
		if err := w.bindWith(token, late, "n1"); err == nil {
			t.Error("the bind of the paused leader takes effect")
		}
		if err := second.place(w.pod("next", "acme"), "n1"); err != nil {
			t.Error(err)
		}
		if err := first.place(w.pod("more", "acme"), "n2"); err == nil {
			t.Error("the paused leader opens another node")
		}
		w.sleep(0)
		if !errors.Is(deposed, errDeposed) {
			t.Errorf("OnDeposed got %v, want %v", deposed, errDeposed)
		}
		if first.engine.Ready() {
			t.Error("still ready")
		}
		if w.dedicated("n2") {
			t.Error("the paused leader left a dedication")
		}
	})
}

// The successor writes its taints between the entry and the taints of a paused leader.
func TestPausedLeaderDoesNotOverwriteTaints(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		first := w.leader()
		second, _ := w.process()
		woken := false
		w.onCall(func(call string) fault {
			if call == "patch nodes" && !woken {
				woken = true
				w.editTable(func(data map[string]string) { data[termKey] = second.engine.table.term })
				w.node("n1", func(n *v1.Node) {
					n.Spec.Taints = []v1.Taint{{Key: "tenantisolation.dev/tenant", Value: "bolt", Effect: v1.TaintEffectNoSchedule}}
				})
			}
			return fault{}
		})
		if err := first.place(w.pod("web", "acme"), "n1"); err == nil {
			t.Error("placed, want deposed")
		}
		w.sleep(time.Minute)
		if got, want := w.taints("n1"), "tenantisolation.dev/tenant=bolt:NoSchedule"; got != want {
			t.Errorf("taints %q, want its successor's %q", got, want)
		}
	})
}

func TestInheritedNodeRelease(t *testing.T) {
	tests := map[string]struct {
		prepare func(w *world)
		policy  func(*Config)
		want    bool
	}{
		"as it was dedicated":                             {func(*world) {}, func(*Config) {}, false},
		"dedicated by an entry alone":                     {func(w *world) { w.removeMarks("n1") }, func(*Config) {}, false},
		"dedicated by taints alone":                       {func(w *world) { w.editTable(func(data map[string]string) { delete(data, "n1") }) }, func(*Config) {}, false},
		"dedicated by taints alone, to be rebooted first": {func(w *world) { w.editTable(func(data map[string]string) { delete(data, "n1") }) }, afterReboot, true},
		"with the table deleted, to be rebooted first":    {func(w *world) { w.deleteTable() }, afterReboot, true},
		"as it was dedicated, to be rebooted first":       {func(*world) {}, afterReboot, true},
		"rebooted while no process led":                   {func(w *world) { w.reboot("n1", "second") }, afterReboot, true},
		"dedicated by taints that name no tenant":         {func(w *world) { w.halfTainted("n1") }, func(*Config) {}, false},
		"without a Node":                                  {func(w *world) { w.deleteNode() }, func(*Config) {}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				pod := w.openedBefore()
				w.removePod(pod)
				tc.prepare(w)
				second := w.leader(tc.policy)
				w.sleep(10 * time.Minute)
				if _, got := w.entryOf("n1"); got != tc.want {
					t.Errorf("entry %t, want %t", got, tc.want)
				}
				if got := second.engine.Dedicated("n1").Dedicated; got != tc.want {
					t.Errorf("the engine's dedication %t, want %t", got, tc.want)
				}
				if w.getNode("n1") != nil && w.dedicated("n1") != tc.want {
					t.Errorf("dedicated %t, want %t", !tc.want, tc.want)
				}
			})
		})
	}
}

func (w *world) removeMarks(name string) {
	w.node(name, func(n *v1.Node) { n.Spec.Taints, n.Labels, n.Annotations = nil, nil, nil })
}

func (w *world) halfTainted(name string) {
	w.node(name, func(n *v1.Node) {
		n.Spec.Taints = []v1.Taint{{Key: "tenantisolation.dev/data-class", Value: "secret", Effect: v1.TaintEffectNoSchedule}}
	})
}

// A process is killed while it opens or releases a node. Whatever it left, its successor brings
// entry and taints in step, and keeps them exactly where pods are.
func TestSuccessorRepairsACrash(t *testing.T) {
	for _, call := range []string{"update configmaps", "patch nodes", "list pods"} {
		for name, effect := range map[string]fault{"before": {before: errLost}, "after": {after: errLost}} {
			for action, act := range map[string]func(p *view){
				"opening": func(p *view) { go func() { _ = p.place(p.pod("web", "acme"), "n2") }() },
				"releasing": func(p *view) {
					p.removeAndNotify(p.pod("first-on-n1", "acme"))
					p.sleep(releaseAfter)
				},
			} {
				t.Run("killed "+action+" "+name+" "+call, func(t *testing.T) {
					inWorld(t, func(w *world) {
						t := w.t
						w.node("n1")
						w.node("n2")
						first, stop := w.process()
						first.lead()
						first.open()
						dead := false
						w.onCall(func(c string) fault {
							if dead {
								return fault{before: errLost}
							}
							if c == call {
								dead = true
								return effect
							}
							return fault{}
						})
						act(first)
						w.sleep(settleTime)
						stop()
						w.onCall(nil)
						second := w.leader()
						if err := second.place(w.pod("after", "bolt"), "n2"); err != nil && !errors.Is(err, ErrDedicated) {
							t.Errorf("after: %v", err)
						}
						w.sleep(5 * time.Minute)
						for _, node := range []string{"n1", "n2"} {
							dedicated, used := w.dedicated(node), w.podsOn(node) > 0
							if dedicated != used {
								t.Errorf("%s: dedicated %t, used %t", node, dedicated, used)
							}
						}
					})
				})
			}
		}
	}
}

func TestReconcileDedicatesAnOccupiedNode(t *testing.T) {
	tests := map[string]struct {
		pods func(w *world) []*v1.Pod
		want string
	}{
		"of one tenant":                {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("a", "acme"), w.pod("b", "acme")} }, "tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"},
		"of one tenant, some in VMs":   {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("a", "acme"), w.pod("b", "acme", inVM)} }, "tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"},
		"of two tenants, in VMs":       {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("a", "acme", inVM), w.pod("b", "bolt", inVM)} }, "tenantisolation.dev/boundary=vm:NoSchedule"},
		"of two tenants":               {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("a", "acme"), w.pod("b", "bolt")} }, ""},
		"of two privileges":            {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("a", "acme"), w.pod("b", "acme", privileged)} }, ""},
		"beside an unmanaged one":      {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("a", "acme"), w.pod("b", "")} }, ""},
		"beside one of the platform":   {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("a", "acme"), w.pod("b", "", platform)} }, "tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"},
		"none, but an unmanaged one":   {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("b", "")} }, ""},
		"none, but of the platform":    {func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("b", "", platform)} }, ""},
		"of one tenant, others' taint": {func(w *world) []*v1.Pod { w.halfTainted("n1"); return []*v1.Pod{w.pod("a", "acme")} }, "tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				for _, pod := range tc.pods(w) {
					w.bindPod(pod, "n1")
				}
				w.leader()
				w.sleep(time.Minute)
				if got := w.taints("n1"); got != tc.want {
					t.Errorf("taints %q, want %q", got, tc.want)
				}
				if got := w.dedicated("n1"); got != (tc.want != "") {
					t.Errorf("dedicated %t", got)
				}
			})
		})
	}
}

func TestReconcileRestoresTaints(t *testing.T) {
	tests := map[string]struct {
		change func(n *v1.Node)
		want   string
	}{
		"all of them":     {func(n *v1.Node) { n.Spec.Taints = nil }, "tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"},
		"one of them":     {func(n *v1.Node) { n.Spec.Taints = n.Spec.Taints[:1] }, "tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"},
		"another's value": {func(n *v1.Node) { n.Spec.Taints[0].Value = "bolt" }, "tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"},
		"other taints":    {func(n *v1.Node) { n.Spec.Taints = []v1.Taint{{Key: "x", Effect: v1.TaintEffectNoExecute}} }, "x:NoExecute tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader()
				p.open()
				w.node("n1", tc.change)
				p.engine.NodeChanged("n1")
				w.sleep(time.Second)
				if got := w.taints("n1"); got != tc.want {
					t.Errorf("taints %q, want %q", got, tc.want)
				}
			})
		})
	}
}

// The informer still shows the taints that a release has removed.
func TestReconcileWithAStaleInformer(t *testing.T) {
	for _, reuse := range []NodeReuse{ReuseImmediately, ReuseAfterReboot} {
		t.Run(string(reuse), func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader(func(c *Config) { c.NodeReuse = reuse })
				pod := p.open()
				p.removeAndNotify(pod)
				w.sleep(releaseAfter - time.Second)
				w.reboot("n1", "second")
				p.freeze("n1")
				w.sleep(2 * time.Second)
				w.reboot("n1", "third")
				p.thaw()
				p.freeze("n1")
				p.engine.NodeChanged("n1")
				w.sleep(0)
				if w.dedicated("n1") {
					t.Fatal("not released")
				}
				w.resetCounts()
				p.engine.NodeChanged("n1")
				w.sleep(time.Minute)
				if w.dedicated("n1") || w.writesOf("") > 0 {
					t.Errorf("dedicated %t with %d writes, want neither", w.dedicated("n1"), w.writesOf(""))
				}
			})
		})
	}
}

func TestReconcileChangesTheTaintEffect(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.openedBefore()
		w.leader(func(c *Config) { c.TaintEffect = v1.TaintEffectNoExecute })
		w.sleep(time.Second)
		if got := w.taints("n1"); strings.Contains(got, "NoSchedule") || strings.Count(got, "NoExecute") != 2 {
			t.Errorf("taints %q, want both with NoExecute", got)
		}
	})
}

func TestRepairsAreRateLimited(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		names := make([]string, 0, 200)
		for i := range cap(names) {
			names = append(names, "n"+string(rune('a'+i%20))+string(rune('a'+i/20)))
			w.node(names[i])
			w.halfTainted(names[i])
		}
		w.leader()
		w.sleep(10 * time.Second)
		if got, want := w.writesOf("nodes"), repairsAtOnce+10*repairsPerSecond; got > want {
			t.Errorf("%d repairs in 10 s, want at most %d", got, want)
		}
		w.sleep(2 * time.Minute)
		for _, name := range names {
			if w.dedicated(name) {
				t.Errorf("%s was never repaired", name)
			}
		}
	})
}
