package dedication

import (
	"errors"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// open places a first pod, of the tenant acme, on the node n1.
func (v *view) open() *v1.Pod {
	v.t.Helper()
	pod := v.pod("first-on-n1", "acme")
	if err := v.place(pod, "n1"); err != nil {
		v.t.Fatal(err)
	}
	v.sleep(0)
	return pod
}

// removeAndNotify removes a pod of n1 and notifies the engine.
func (v *view) removeAndNotify(pod *v1.Pod) {
	v.removePod(pod)
	v.engine.NodeChanged("n1")
	v.sleep(0)
}

func TestNodeReleaseAfterTheLastPod(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		w.sleep(time.Hour)
		if !w.dedicated("n1") {
			t.Fatal("released with a pod on it")
		}
		p.removeAndNotify(pod)
		w.sleep(releaseAfter - time.Millisecond)
		if !w.dedicated("n1") {
			t.Error("released before it has cooled down")
		}
		w.sleep(time.Second)
		if w.dedicated("n1") {
			t.Error("still dedicated")
		}
		if err := p.place(w.pod("other", "bolt"), "n1"); err != nil {
			t.Errorf("another tenant: %v", err)
		}
	})
}

func TestNodeReleaseWaitsForReservations(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		next := w.pod("next", "acme")
		p.removeAndNotify(pod)
		w.sleep(releaseAfter / 2)
		p.mustReserve(next)
		w.resetCounts()
		w.sleep(time.Hour)
		if !w.dedicated("n1") {
			t.Fatal("released under a pod that has reserved it")
		}
		if w.callsOf("list pods") > 0 {
			t.Errorf("%d LISTs for a node that a pod has reserved, want none", w.callsOf("list pods"))
		}
		if err := p.bind(next, "n1"); err != nil {
			t.Error(err)
		}
		p.engine.Release(next.UID, "n1", OutcomeKnown)
		p.removeAndNotify(next)
		w.sleep(releaseAfter + time.Second)
		if w.dedicated("n1") {
			t.Error("still dedicated after it has gone")
		}
	})
}

// The API server has a pod that the informer has not.
func TestNodeReleaseAsksTheAPIServer(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		unseen := w.pod("unseen", "acme")
		p.setSeen(unseen, false)
		w.bindPod(unseen, "n1")
		p.removeAndNotify(pod)
		w.sleep(time.Hour)
		if !w.dedicated("n1") {
			t.Error("released with a pod on it")
		}
	})
}

func TestNodeReleaseYieldsToAReservation(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		next := w.pod("next", "acme")
		w.onCall(func(call string) fault {
			if call == "list pods" {
				if err := p.engine.Reserve(next, "n1", p.subject(next)); err != nil {
					t.Error(err)
				}
			}
			return fault{}
		})
		p.removeAndNotify(pod)
		w.sleep(time.Hour)
		if !w.dedicated("n1") || !p.engine.ReadyToBind(next.UID, "n1") {
			t.Error("released under a pod that reserved it during the LIST")
		}
	})
}

// The pod's bind has ended, so it holds no reservation, and the LIST does not contain it.
func TestNodeReleaseYieldsToABind(t *testing.T) {
	for _, reuse := range []NodeReuse{ReuseImmediately, ReuseAfterReboot} {
		t.Run(string(reuse), func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader(func(c *Config) { c.NodeReuse = reuse })
				pod := p.open()
				next := w.pod("next", "acme")
				var once sync.Once
				w.onCall(func(call string) fault {
					if call != "list pods" {
						return fault{}
					}
					return fault{then: func() {
						once.Do(func() {
							if err := p.place(next, "n1"); err != nil {
								t.Error(err)
							}
						})
					}}
				})
				w.resetCounts()
				p.removeAndNotify(pod)
				w.sleep(releaseAfter)
				if w.callsOf("list pods") == 0 || w.writesOf("") > 0 {
					t.Errorf("%d LISTs and %d writes, want one LIST and the dedication as it was", w.callsOf("list pods"), w.writesOf(""))
				}
			})
		})
	}
}

func TestNodeReleaseIgnoresUnmanagedPods(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		w.bindPod(w.pod("mirror", ""), "n1")
		p.removeAndNotify(pod)
		w.sleep(releaseAfter + time.Second)
		if w.dedicated("n1") {
			t.Error("still dedicated")
		}
	})
}

func TestNodeReleaseOfADeletedNode(t *testing.T) {
	tests := map[string]struct {
		podStays bool
		want     bool
	}{
		"without pods": {false, false},
		"with a pod":   {true, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader()
				pod := p.open()
				w.deleteNode()
				if !tc.podStays {
					w.removePod(pod)
				}
				p.engine.NodeChanged("n1")
				w.sleep(0)
				if _, got := w.entryOf("n1"); got != tc.want {
					t.Errorf("entry %t, want %t", got, tc.want)
				}
			})
		})
	}
}

func TestNodeReleaseIsRetried(t *testing.T) {
	for _, call := range []string{"list pods", "update configmaps", "patch nodes"} {
		t.Run("after "+call+" failed", func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader()
				pod := p.open()
				fails := 20
				w.onCall(func(c string) fault {
					if c == call && fails > 0 {
						fails--
						return fault{before: errLost}
					}
					return fault{}
				})
				p.removeAndNotify(pod)
				w.sleep(10 * time.Minute)
				if w.dedicated("n1") {
					t.Error("still dedicated")
				}
				if p.engine.Dedicated("n1").Dedicated {
					t.Error("the engine still has the dedication")
				}
			})
		})
	}
}

// The token of the lost bind is valid until the node has another id.
func TestUnknownOutcomeNeedsANewID(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		p.open()
		old, _ := p.engine.Token("n1")
		lost := w.pod("lost", "acme", privileged)
		p.mustReserve(lost)
		p.engine.Release(lost.UID, "n1", OutcomeUnknown)
		next := w.pod("next", "acme")
		p.mustReserve(next)
		if p.engine.ReadyToBind(next.UID, "n1") {
			t.Error("ready to bind, want another id first")
		}
		if _, ok := p.engine.Token("n1"); ok {
			t.Error("a token, want none before the node has another id")
		}
		began := time.Now()
		if err := p.engine.Ensure(t.Context(), next, "n1", p.subject(next)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != settleTime {
			t.Errorf("took %v, want the settle time", took)
		}
		if err := w.bindWith(old, lost, "n1"); err == nil {
			t.Error("the lost bind takes effect after the node got another id")
		}
	})
}

func TestUnknownOutcomeThatTookEffect(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		lost := w.pod("lost", "acme", privileged)
		if err := p.placeAs(lost, "n1", OutcomeUnknown); err != nil {
			t.Fatal(err)
		}
		if err := p.place(w.pod("next", "acme"), "n1"); !errors.Is(err, ErrTaken) {
			t.Errorf("got %v, want %v", err, ErrTaken)
		}
	})
}

func TestNodeReleaseAfterAnUnknownOutcome(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		before, _ := w.entryOf("n1")
		old, _ := p.engine.Token("n1")
		lost := w.pod("lost", "acme")
		p.mustReserve(lost)
		p.engine.Release(lost.UID, "n1", OutcomeUnknown)
		p.removeAndNotify(pod)
		// The lost bind arrives right after the LIST of the release.
		w.onCall(func(call string) fault {
			if call == "list pods" {
				go func() { _ = w.bindWith(old, lost, "n1") }()
			}
			return fault{}
		})
		w.sleep(releaseAfter + settleTime/2)
		if after, ok := w.entryOf("n1"); !ok || after.id == before.id {
			t.Errorf("entry %v, want one with another id", after)
		}
		w.sleep(settleTime)
		if w.dedicated("n1") || w.podsOn("n1") > 0 {
			t.Errorf("dedicated %t with %d pods, want neither", w.dedicated("n1"), w.podsOn("n1"))
		}
	})
}

func afterReboot(c *Config) { c.NodeReuse = ReuseAfterReboot }

func (w *world) reboot(name, boot string) {
	w.node(name, func(n *v1.Node) { n.Status.NodeInfo.BootID = boot })
}

func TestNodeReleaseAfterAReboot(t *testing.T) {
	tests := map[string]struct {
		before, while, after func(w *world, p *view)
		want                 bool
	}{
		"no reboot":                        {nil, nil, nil, true},
		"after the node has cooled down":   {nil, nil, func(w *world, _ *view) { w.reboot("n1", "second") }, false},
		"while a pod was there":            {func(w *world, _ *view) { w.reboot("n1", "second") }, nil, nil, true},
		"while the node cools down":        {nil, func(w *world, _ *view) { w.reboot("n1", "second") }, nil, true},
		"the node reports no bootID":       {nil, nil, func(w *world, _ *view) { w.reboot("n1", "") }, true},
		"followed by a pod of the tenant":  {nil, nil, comeAndGo, true},
		"a second one, after such a pod":   {nil, nil, func(w *world, p *view) { comeAndGo(w, p); w.reboot("n1", "third") }, false},
		"another machine of the same name": {nil, nil, func(w *world, _ *view) { w.deleteNode(); w.node("n1") }, true},
		"the Node is deleted":              {nil, nil, func(w *world, p *view) { w.deleteNode(); p.engine.NodeChanged("n1"); w.sleep(0); w.node("n1") }, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader(afterReboot)
				pod := p.open()
				step := func(f func(*world, *view)) {
					if f != nil {
						f(w, p)
					}
					p.engine.NodeChanged("n1")
					w.sleep(0)
				}
				step(tc.before)
				p.removeAndNotify(pod)
				w.sleep(releaseAfter / 2)
				step(tc.while)
				w.sleep(releaseAfter)
				step(tc.after)
				w.sleep(releaseAfter + time.Minute)
				if got := w.dedicated("n1"); got != tc.want {
					t.Errorf("dedicated %t, want %t", got, tc.want)
				}
			})
		})
	}
}

// comeAndGo places a pod of the same tenant on the node, reboots the node, and removes the pod.
func comeAndGo(w *world, p *view) {
	pod := w.pod("again", "acme")
	if err := p.place(pod, "n1"); err != nil {
		w.t.Error(err)
	}
	w.reboot("n1", "second")
	p.engine.NodeChanged("n1")
	w.sleep(time.Minute)
	p.removeAndNotify(pod)
	w.sleep(releaseAfter + time.Second)
}

func TestNodeLimit(t *testing.T) {
	tests := map[string]struct {
		maximum intstr.IntOrString
		want    int
	}{
		"no limit":                  {intstr.FromInt32(0), 10},
		"a number":                  {intstr.FromInt32(3), 3},
		"a percentage":              {intstr.FromString("20%"), 2},
		"a percentage, rounded up":  {intstr.FromString("11%"), 2},
		"a percentage, at least 1":  {intstr.FromString("0%"), 1},
		"a percentage of all":       {intstr.FromString("100%"), 10},
		"a number above all":        {intstr.FromInt32(99), 10},
		"not a quantity":            {intstr.FromString("many"), 0},
		"a percentage above a half": {intstr.FromString("51%"), 6},
	}
	names := []string{"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				for _, node := range names {
					w.node(node)
				}
				p := w.leader(func(c *Config) { c.MaxNodesPerTenant = tc.maximum })
				got := 0
				for _, node := range names {
					// Nodes of VMs count for the tenant that opens them.
					pod := w.pod("on-"+node, "acme", func(pod *v1.Pod) {
						if got%2 == 1 {
							inVM(pod)
						}
					})
					subject := *p.subject(pod)
					if unconfined := p.engine.Confine(pod, subject, false) == subject; unconfined != (got < tc.want) {
						t.Errorf("unconfined with %d nodes: %t", got, unconfined)
					}
					switch err := p.place(pod, node); {
					case err == nil:
						got++
					case !errors.Is(err, ErrTooManyNodes):
						t.Errorf("got %v, want %v", err, ErrTooManyNodes)
					}
				}
				if got != tc.want {
					t.Errorf("opened %d nodes, want %d", got, tc.want)
				}
				if err := p.place(w.pod("other", "bolt"), "n9"); tc.want > 0 && got < 10 && err != nil {
					t.Errorf("another tenant: %v", err)
				}
			})
		})
	}
}

func TestNodeLimitWithoutReleasedNodes(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		w.node("n2")
		p := w.leader(func(c *Config) { c.MaxNodesPerTenant = intstr.FromInt32(1) })
		pod := p.open()
		p.removeAndNotify(pod)
		w.sleep(releaseAfter + time.Second)
		if err := p.place(w.pod("next", "acme"), "n2"); err != nil {
			t.Error(err)
		}
	})
}

// However a vacated node comes into use again, the boot in its entry is outdated then.
func TestVacatedNodeUsedAgain(t *testing.T) {
	tests := map[string]func(w *world, p *view) *view{
		"by a pod of the tenant's": func(w *world, p *view) *view {
			pod := w.pod("again", "acme")
			if err := p.engine.Reserve(pod, "n1", p.subject(pod)); err != nil {
				w.t.Error(err)
			}
			if err := p.engine.Ensure(w.t.Context(), pod, "n1", p.subject(pod)); err != nil {
				w.t.Error(err)
			}
			if e, _ := w.entryOf("n1"); e.boot != "" {
				w.t.Error("the entry still has a boot when the pod is bound")
			}
			if err := p.place(pod, "n1"); err != nil {
				w.t.Error(err)
			}
			return p
		},
		"by a pod of the tenant's, after a takeover": func(w *world, _ *view) *view {
			p := w.leader(afterReboot)
			if err := p.place(w.pod("again", "acme"), "n1"); err != nil {
				w.t.Error(err)
			}
			return p
		},
		"by a pod that bypasses the scheduler": func(w *world, p *view) *view {
			w.bindPod(w.pod("again", "acme"), "n1")
			p.engine.NodeChanged("n1")
			return p
		},
		"by a pod that comes while no process leads": func(w *world, p *view) *view {
			p.setSeen(w.pod("again", "acme"), false)
			w.bindPod(w.pod("again", "acme"), "n1")
			return w.leader(afterReboot)
		},
	}
	for name, use := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader(afterReboot)
				p.removeAndNotify(p.open())
				w.sleep(releaseAfter)
				if e, _ := w.entryOf("n1"); e.boot == "" {
					t.Fatal("no boot in the entry of an empty node")
				}
				p = use(w, p)
				w.sleep(0)
				if e, ok := w.entryOf("n1"); e.boot != "" || !ok {
					t.Errorf("entry %v, want one without a boot", e)
				}
				w.reboot("n1", "second")
				p.engine.NodeChanged("n1")
				p.removeAndNotify(w.pod("again", "acme"))
				w.sleep(time.Hour)
				if !w.dedicated("n1") {
					t.Error("released in the boot in which it was used")
				}
			})
		})
	}
}

func TestNodeReleaseWithoutABootID(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		w.reboot("n1", "")
		p := w.leader(afterReboot)
		p.removeAndNotify(p.open())
		w.resetCounts()
		w.sleep(time.Hour)
		if !w.dedicated("n1") {
			t.Error("released, although no reboot can be detected")
		}
		if w.writesOf("") > 0 {
			t.Errorf("%d writes, want none", w.writesOf(""))
		}
	})
}

// A node keeps its dedication while its disks hold data of the tenant: the next pod of its
// StatefulSet can go nowhere else.
func TestLocalVolumeKeepsANode(t *testing.T) {
	for name, tc := range map[string]struct {
		change []func(*v1.Pod)
		data   []string
		keeps  bool
	}{
		"the tenant's own":                        {data: []string{"acme"}, keeps: true},
		"another tenant's, which was never there": {data: []string{"bolt"}},
		"of a tenant whose VMs share the node":    {change: []func(*v1.Pod){inVM}, data: []string{"bolt"}, keeps: true},
		"nobody's":                                {},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				p := w.leader(func(c *Config) { c.MaxNodesPerTenant = intstr.FromInt32(1) })
				w.node("n1")
				pod := w.pod("first", "acme", tc.change...)
				p.mustPlace(pod, "n1")
				p.mu.Lock()
				p.local = map[string][]string{"n1": tc.data}
				p.mu.Unlock()
				p.removeAndNotify(pod)
				w.sleep(2 * releaseAfter)
				if got := w.dedicated("n1"); got != tc.keeps {
					t.Errorf("dedicated %t, want %t", got, tc.keeps)
				}
				if !tc.keeps {
					return
				}
				w.node("n2")
				if err := p.place(w.pod("more", tc.data[0]), "n2"); !errors.Is(err, ErrTooManyNodes) {
					t.Errorf("the tenant whose data is there is not charged: %v", err)
				}
				p.mu.Lock()
				p.local = nil
				p.mu.Unlock()
				w.sleep(resyncEvery + 2*releaseAfter)
				if w.dedicated("n1") {
					t.Error("the volume is gone, and the node is still dedicated")
				}
			})
		})
	}
}

// A Node is deleted and made again, which the informer may show as one update: pods that are bound
// to its name count, the entry stays, and the new Node gets the taints. One without pods is
// released.
func TestNodeMadeAgain(t *testing.T) {
	for name, reuse := range map[string]NodeReuse{"reused at once": ReuseImmediately, "reused after a reboot": ReuseAfterReboot} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				p := w.leader(func(c *Config) { c.NodeReuse = reuse })
				w.node("n1")
				pod := w.pod("first", "acme")
				p.mustPlace(pod, "n1")
				before, _ := w.entryOf("n1")
				w.deleteNode()
				w.node("n1", func(n *v1.Node) { n.UID, n.Status.NodeInfo.BootID = "another", "another machine" })
				p.engine.NodeChanged("n1")
				w.sleep(2 * releaseAfter)
				if after, _ := w.entryOf("n1"); after != before || !w.dedicated("n1") {
					t.Errorf("entry %v, want %v, as a pod is bound to the name", after, before)
				}
				if err := p.place(w.pod("guest", "bolt"), "n1"); !errors.Is(err, ErrDedicated) {
					t.Errorf("another tenant: got %v, want %v", err, ErrDedicated)
				}
				p.removeAndNotify(pod)
				w.sleep(2 * releaseAfter)
				w.deleteNode()
				w.node("n1", func(n *v1.Node) { n.UID, n.Status.NodeInfo.BootID = "a third", "a third machine" })
				p.engine.NodeChanged("n1")
				w.sleep(2 * releaseAfter)
				if w.dedicated("n1") {
					t.Error("a new machine without pods is still dedicated")
				}
				p.mustPlace(w.pod("next", "bolt"), "n1")
			})
		})
	}
}

// While a dedication is being removed its node admits no pod, its tenant's neither: another node may take it. When it is
// free, it is said of the pods that it refused meanwhile.
func TestANodeThatIsBeingReleasedAdmitsNoPod(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		w.onCall(func(call string) fault {
			if call == "patch nodes" {
				return fault{before: errLost}
			}
			return fault{}
		})
		p.removeAndNotify(pod)
		// It has refused a pod, which is told when the node is free.
		stranger := w.pod("stranger", "bolt")
		if err := p.engine.Reserve(stranger, "n1", p.subject(stranger)); !errors.Is(err, ErrDedicated) {
			t.Errorf("a stranger: %v", err)
		}
		before := p.changes()
		w.sleep(releaseAfter)
		if got := p.engine.Dedicated("n1"); !got.Equal(admitsNoPod) || p.changes() == before {
			t.Errorf("while it is being released it is %+v, and %d changes were reported", got, p.changes()-before)
		}
		before = p.changes()
		w.onCall(nil)
		w.sleep(time.Minute)
		if got := p.engine.Dedicated("n1"); got.Dedicated || p.changes() == before {
			t.Errorf("then it is %+v, and %d changes were reported", got, p.changes()-before)
		}
	})
}

// While another policy is put into force, no pod is anything: that is not what a node is released or refused by.
func TestNothingIsDecidedWithoutAPolicy(t *testing.T) {
	t.Run("a node cools down", func(t *testing.T) {
		inWorld(t, func(w *world) {
			t := w.t
			w.node("n1")
			p := w.leader()
			pod := p.open()
			w.bindPod(w.pod("agent", "", platform), "n1")
			p.removeAndNotify(pod)
			w.sleep(releaseAfter - 2*time.Second)
			inForce := w.policy.Swap(&isolation.Policy{})
			p.engine.NodeChanged("n1")
			w.sleep(time.Second)
			w.policy.Store(inForce)
			p.engine.RulesChanged()
			w.sleep(2 * time.Second)
			if w.dedicated("n1") {
				t.Error("it cools down anew")
			}
		})
	})
	t.Run("a node is opened", func(t *testing.T) {
		inWorld(t, func(w *world) {
			t := w.t
			w.node("n1")
			w.bindPod(w.pod("agent", "", platform), "n1")
			p := w.leader()
			inForce := w.policy.Load()
			once := false
			w.onCall(func(call string) fault {
				if call != "list pods" || once {
					return fault{}
				}
				once = true
				return fault{then: func() {
					w.policy.Store(&isolation.Policy{})
					go func() {
						time.Sleep(50 * time.Millisecond)
						w.policy.Store(inForce)
						p.engine.RulesChanged()
					}()
				}}
			})
			if err := p.place(w.pod("web", "acme"), "n1"); err != nil || !once {
				t.Errorf("not opened: %v", err)
			}
		})
	})
}
