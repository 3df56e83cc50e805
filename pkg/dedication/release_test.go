package dedication

import (
	"errors"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
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

// leaves is a pod of n1 that goes, and the informer that sees it.
func (v *view) leaves(pod *v1.Pod) {
	v.gone(pod)
	v.engine.Touch("n1")
	v.sleep(0)
}

func TestNodeIsReleasedAfterItsLastPod(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		w.sleep(time.Hour)
		if !w.dedicated("n1") {
			t.Fatal("released with a pod on it")
		}
		p.leaves(pod)
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

func TestNodeStaysDedicatedWhileAPodIsOnItsWay(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		next := w.pod("next", "acme")
		p.leaves(pod)
		w.sleep(releaseAfter / 2)
		if err := p.engine.Reserve(next.UID, "n1", p.subject(next)); err != nil {
			t.Fatal(err)
		}
		w.forget()
		w.sleep(time.Hour)
		if !w.dedicated("n1") {
			t.Fatal("released under a pod that has reserved it")
		}
		if w.called("list pods") > 0 {
			t.Errorf("%d LISTs for a node that a pod has reserved, want none", w.called("list pods"))
		}
		if err := p.bind(next, "n1"); err != nil {
			t.Error(err)
		}
		p.engine.Release(next.UID, "n1", OutcomeKnown)
		p.leaves(next)
		w.sleep(releaseAfter + time.Second)
		if w.dedicated("n1") {
			t.Error("still dedicated after it has gone")
		}
	})
}

// The informer does not know of a pod that the API server has.
func TestReleaseAsksTheAPIServer(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		unseen := w.pod("unseen", "acme")
		p.see(unseen, false)
		w.bound(unseen, "n1")
		p.leaves(pod)
		w.sleep(time.Hour)
		if !w.dedicated("n1") {
			t.Error("released with a pod on it")
		}
	})
}

func TestPodThatComesDuringAReleaseKeepsTheNode(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		next := w.pod("next", "acme")
		w.onCall(func(call string) fault {
			if call == "list pods" {
				if err := p.engine.Reserve(next.UID, "n1", p.subject(next)); err != nil {
					t.Error(err)
				}
			}
			return fault{}
		})
		p.leaves(pod)
		w.sleep(time.Hour)
		if !w.dedicated("n1") || !p.engine.Held(next.UID, "n1") {
			t.Error("released under a pod that reserved it during the LIST")
		}
	})
}

// It is bound and answered for, so that no bind is in flight, and the LIST has not seen it.
func TestPodThatCameAndWasBoundDuringTheListKeepsTheNode(t *testing.T) {
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
				w.forget()
				p.leaves(pod)
				w.sleep(releaseAfter)
				if w.called("list pods") == 0 || w.wrote("") > 0 {
					t.Errorf("%d LISTs and %d writes, want one LIST and the dedication as it was", w.called("list pods"), w.wrote(""))
				}
			})
		})
	}
}

func TestUnmanagedPodDoesNotKeepANodeDedicated(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		w.bound(w.pod("mirror", ""), "n1")
		p.leaves(pod)
		w.sleep(releaseAfter + time.Second)
		if w.dedicated("n1") {
			t.Error("still dedicated")
		}
	})
}

func TestDeletedNodeLosesItsEntry(t *testing.T) {
	tests := map[string]struct {
		podStays bool
		want     bool
	}{
		"with its pods":    {false, false},
		"and its pods not": {true, true},
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
					w.gone(pod)
				}
				p.engine.Touch("n1")
				w.sleep(0)
				if _, got := w.entryOf("n1"); got != tc.want {
					t.Errorf("entry %t, want %t", got, tc.want)
				}
			})
		})
	}
}

func TestReleaseIsTriedAgain(t *testing.T) {
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
				p.leaves(pod)
				w.sleep(10 * time.Minute)
				if w.dedicated("n1") {
					t.Error("still dedicated")
				}
				if _, dedicated := p.engine.Dedication("n1"); dedicated {
					t.Error("the engine still has the dedication")
				}
			})
		})
	}
}

// Its token is good until the node has another id.
func TestBindOfUnknownOutcomeClosesTheFastPath(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		p.open()
		old, _ := p.engine.Token("n1")
		lost := w.pod("lost", "acme", privileged)
		if err := p.engine.Reserve(lost.UID, "n1", p.subject(lost)); err != nil {
			t.Fatal(err)
		}
		p.engine.Release(lost.UID, "n1", OutcomeUnknown)
		next := w.pod("next", "acme")
		if err := p.engine.Reserve(next.UID, "n1", p.subject(next)); err != nil {
			t.Fatal(err)
		}
		if p.engine.Held(next.UID, "n1") {
			t.Error("held, want it opened anew first")
		}
		if _, ok := p.engine.Token("n1"); ok {
			t.Error("a token, want none before the node is opened anew")
		}
		began := time.Now()
		if err := p.engine.Ensure(t.Context(), next, "n1", p.subject(next)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != settleTime {
			t.Errorf("took %v, want the settle time", took)
		}
		if err := w.bindWith(old, lost, "n1"); err == nil {
			t.Error("the lost bind takes effect after the node was opened anew")
		}
	})
}

func TestBindOfUnknownOutcomeThatTookEffectIsSeen(t *testing.T) {
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

func TestNodeIsReleasedAfterABindOfUnknownOutcome(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		pod := p.open()
		before, _ := w.entryOf("n1")
		old, _ := p.engine.Token("n1")
		lost := w.pod("lost", "acme")
		if err := p.engine.Reserve(lost.UID, "n1", p.subject(lost)); err != nil {
			t.Fatal(err)
		}
		p.engine.Release(lost.UID, "n1", OutcomeUnknown)
		p.leaves(pod)
		// The bind is admitted when the LIST of a release without a new id has been made.
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

func TestNodeIsReleasedAfterAReboot(t *testing.T) {
	tests := map[string]struct {
		before, while, after func(w *world, p *view)
		want                 bool
	}{
		"that does not come":                  {nil, nil, nil, true},
		"that comes when it has cooled down":  {nil, nil, func(w *world, _ *view) { w.reboot("n1", "second") }, false},
		"that came while a pod was there":     {func(w *world, _ *view) { w.reboot("n1", "second") }, nil, nil, true},
		"that comes while it cools down":      {nil, func(w *world, _ *view) { w.reboot("n1", "second") }, nil, true},
		"of which nobody reports":             {nil, nil, func(w *world, _ *view) { w.reboot("n1", "") }, true},
		"after which a pod of its own came":   {nil, nil, comeAndGo, true},
		"two of them, a pod of its own first": {nil, nil, func(w *world, p *view) { comeAndGo(w, p); w.reboot("n1", "third") }, false},
		"of another machine of the same name": {nil, nil, func(w *world, _ *view) { w.deleteNode(); w.node("n1") }, true},
		"or deletion of the Node":             {nil, nil, func(w *world, p *view) { w.deleteNode(); p.engine.Touch("n1"); w.sleep(0); w.node("n1") }, false},
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
					p.engine.Touch("n1")
					w.sleep(0)
				}
				step(tc.before)
				p.leaves(pod)
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

// comeAndGo is a pod of the same tenant that uses the node again before it is rebooted, is
// there when it is, and goes.
func comeAndGo(w *world, p *view) {
	pod := w.pod("again", "acme")
	if err := p.place(pod, "n1"); err != nil {
		w.t.Error(err)
	}
	w.reboot("n1", "second")
	p.engine.Touch("n1")
	w.sleep(time.Minute)
	p.leaves(pod)
	w.sleep(releaseAfter + time.Second)
}

func TestTenantOpensNoMoreNodesThanItMay(t *testing.T) {
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
		"what is no number at all":  {intstr.FromString("many"), 0},
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
					// Those in VMs count for the tenant that opens the node.
					pod := w.pod("on-"+node, "acme", func(pod *v1.Pod) {
						if got%2 == 1 {
							inVM(pod)
						}
					})
					subject := *p.subject(pod)
					if unconfined := p.engine.Confine(subject, false) == subject; unconfined != (got < tc.want) {
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

func TestReleasedNodesCountNoMore(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		w.node("n2")
		p := w.leader(func(c *Config) { c.MaxNodesPerTenant = intstr.FromInt32(1) })
		pod := p.open()
		p.leaves(pod)
		w.sleep(releaseAfter + time.Second)
		if err := p.place(w.pod("next", "acme"), "n2"); err != nil {
			t.Error(err)
		}
	})
}

// The note of the boot is of before whoever uses the node again, however they come.
func TestNoteOfTheBootGoesWhenTheNodeIsUsedAgain(t *testing.T) {
	tests := map[string]func(w *world, p *view) *view{
		"by a pod of the tenant's": func(w *world, p *view) *view {
			pod := w.pod("again", "acme")
			if err := p.engine.Reserve(pod.UID, "n1", p.subject(pod)); err != nil {
				w.t.Error(err)
			}
			if err := p.engine.Ensure(w.t.Context(), pod, "n1", p.subject(pod)); err != nil {
				w.t.Error(err)
			}
			if e, _ := w.entryOf("n1"); e.boot != "" {
				w.t.Error("the note is still there when the pod is bound")
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
		"by a pod that comes past the scheduler": func(w *world, p *view) *view {
			w.bound(w.pod("again", "acme"), "n1")
			p.engine.Touch("n1")
			return p
		},
		"by a pod that comes while nobody leads": func(w *world, p *view) *view {
			p.see(w.pod("again", "acme"), false)
			w.bound(w.pod("again", "acme"), "n1")
			return w.leader(afterReboot)
		},
	}
	for name, use := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader(afterReboot)
				p.leaves(p.open())
				w.sleep(releaseAfter)
				if e, _ := w.entryOf("n1"); e.boot == "" {
					t.Fatal("no boot noted for an empty node")
				}
				p = use(w, p)
				w.sleep(0)
				if e, ok := w.entryOf("n1"); e.boot != "" || !ok {
					t.Errorf("entry %v, want one without a note", e)
				}
				w.reboot("n1", "second")
				p.engine.Touch("n1")
				p.leaves(w.pod("again", "acme"))
				w.sleep(time.Hour)
				if !w.dedicated("n1") {
					t.Error("released in the boot in which it was used")
				}
			})
		})
	}
}

func TestNodeThatReportsNoBootStaysDedicatedInPeace(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		w.reboot("n1", "")
		p := w.leader(afterReboot)
		p.leaves(p.open())
		w.forget()
		w.sleep(time.Hour)
		if !w.dedicated("n1") {
			t.Error("released, although nobody can tell of a reboot")
		}
		if w.wrote("") > 0 {
			t.Errorf("%d writes, want none", w.wrote(""))
		}
	})
}
