package dedication

import (
	"errors"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

func TestEnsureDedicatesAFreeNode(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		began := time.Now()
		p.mustPlace(w.pod("web", "acme"), "n1")
		if took := time.Since(began); took != settleTime {
			t.Errorf("opening took %v, want the settle time %v", took, settleTime)
		}
		if got, want := w.taints("n1"), "tenantisolation.dev/tenant=acme:NoSchedule tenantisolation.dev/data-class=unclassified:NoSchedule"; got != want {
			t.Errorf("taints %q, want %q", got, want)
		}
		if got := w.getNode("n1").Annotations[OpenedByAnnotation]; got != "acme" {
			t.Errorf("opened by %q, want acme", got)
		}
		if _, ok := w.entryOf("n1"); !ok {
			t.Error("no entry in the table")
		}
	})
}

func TestReserveOnAHeldNodeCostsNoCall(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		p.mustPlace(w.pod("first", "acme"), "n1")
		w.sleep(time.Second)
		w.resetCounts()
		pod := w.pod("second", "acme")
		p.mustReserve(pod)
		if !p.engine.ReadyToBind(pod.UID, "n1") {
			t.Error("not ready to bind on a held node")
		}
		if _, ok := p.engine.Token("n1"); !ok {
			t.Error("no token")
		}
		p.engine.Release(pod.UID, "n1", OutcomeKnown)
		if w.callsOf("") > 0 {
			t.Errorf("%d calls, want none", w.callsOf(""))
		}
	})
}

// Only the pods that come while a node is opened wait; the number of writes does not depend on
// how many they are.
func TestEnsureSharesOneOpening(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		w.resetCounts()
		var group sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "d"} {
			pod := w.pod(name, "acme")
			group.Go(func() {
				if err := p.place(pod, "n1"); err != nil {
					t.Errorf("%s: %v", pod.Name, err)
				}
			})
		}
		group.Wait()
		if w.writesOf("configmaps") != 1 || w.writesOf("nodes") != 1 {
			t.Errorf("writes: %d of the table, %d of nodes, want one of each", w.writesOf("configmaps"), w.writesOf("nodes"))
		}
	})
}

func TestEnsureFindsResidents(t *testing.T) {
	tests := map[string]struct {
		resident func(w *world) *v1.Pod
		want     error
	}{
		"no pod":                            {func(*world) *v1.Pod { return nil }, nil},
		"a pod of the platform":             {func(w *world) *v1.Pod { return w.pod("r", "", platform) }, nil},
		"an unmanaged pod":                  {func(w *world) *v1.Pod { return w.pod("r", "") }, ErrTaken},
		"a pod of another tenant":           {func(w *world) *v1.Pod { return w.pod("r", "bolt") }, ErrTaken},
		"a pod of the tenant's":             {func(w *world) *v1.Pod { return w.pod("r", "acme") }, nil},
		"a privileged pod of the tenant's":  {func(w *world) *v1.Pod { return w.pod("r", "acme", privileged) }, ErrTaken},
		"a pod of another tenant, finished": {func(w *world) *v1.Pod { return w.pod("r", "bolt", finished) }, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader()
				// The resident is bound while the dedication is written.
				var once sync.Once
				w.onCall(func(call string) fault {
					if resident := tc.resident(w); call == "patch nodes" && resident != nil {
						once.Do(func() { w.bindPod(resident, "n1") })
					}
					return fault{}
				})
				err := p.place(w.pod("web", "acme"), "n1")
				if !errors.Is(err, tc.want) {
					t.Fatalf("got %v, want %v", err, tc.want)
				}
			})
		})
	}
}

func finished(pod *v1.Pod) { pod.Status.Phase = v1.PodSucceeded }

func TestEnsureFailedLeavesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1", func(n *v1.Node) {
			n.Spec.Taints = []v1.Taint{{Key: "other", Effect: v1.TaintEffectNoSchedule}}
		})
		p := w.leader()
		w.bindPod(w.pod("stranger", ""), "n1")
		p.setSeen(w.pod("stranger", ""), false)
		if err := p.place(w.pod("web", "acme"), "n1"); !errors.Is(err, ErrTaken) {
			t.Fatalf("got %v, want %v", err, ErrTaken)
		}
		w.sleep(time.Second)
		if w.dedicated("n1") {
			t.Error("the node is still dedicated")
		}
		if p.engine.Dedicated("n1").Dedicated {
			t.Error("the engine still has the dedication")
		}
		if got := w.taints("n1"); got != "other:NoSchedule" {
			t.Errorf("taints %q, want those of others untouched", got)
		}
		if len(w.getNode("n1").Labels) > 0 || len(w.getNode("n1").Annotations) > 0 {
			t.Errorf("labels %v, annotations %v, want none", w.getNode("n1").Labels, w.getNode("n1").Annotations)
		}
	})
}

func TestEnsureWaitsForTheInformer(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		resident := w.pod("resident", "acme")
		w.bindPod(resident, "n1")
		p.setSeen(resident, false)
		done := make(chan error, 1)
		go func() { done <- p.place(w.pod("web", "acme"), "n1") }()
		w.sleep(settleTime + 5*time.Second)
		select {
		case err := <-done:
			t.Fatalf("placed with an informer that is behind: %v", err)
		default:
		}
		p.setSeen(resident, true)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestReserveOnANodeOfVMs(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		p.mustPlace(w.pod("vm", "acme", inVM), "n1")
		if got, want := w.taints("n1"), "tenantisolation.dev/boundary=vm:NoSchedule"; got != want {
			t.Errorf("taints %q, want %q", got, want)
		}
		if err := p.place(w.pod("other-vm", "bolt", inVM), "n1"); err != nil {
			t.Errorf("a VM of another tenant: %v", err)
		}
		if err := p.place(w.pod("container", "acme"), "n1"); !errors.Is(err, ErrDedicated) {
			t.Errorf("a container of the same tenant: got %v, want %v", err, ErrDedicated)
		}
	})
}

func TestReserveBeforeTheTakeover(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p, _ := w.process()
		pod := w.pod("web", "acme")
		if err := p.engine.Reserve(pod, "n1", p.subject(pod)); !errors.Is(err, ErrNotReady) {
			t.Errorf("before Lead: got %v, want %v", err, ErrNotReady)
		}
		p.engine.Lead()
		w.sleep(settleTime - time.Millisecond)
		if err := p.engine.Reserve(pod, "n1", p.subject(pod)); !errors.Is(err, ErrNotReady) {
			t.Errorf("before the settle time is over: got %v, want %v", err, ErrNotReady)
		}
		w.sleep(time.Millisecond)
		if err := p.engine.Reserve(pod, "n1", p.subject(pod)); err != nil {
			t.Errorf("after it: %v", err)
		}
		if p.ready != 1 {
			t.Errorf("OnReady was called %d times, want once", p.ready)
		}
	})
}

func TestReleaseOfTheLastReservation(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		a, b := w.pod("a", "acme"), w.pod("b", "acme")
		for range 2 {
			for _, pod := range []*v1.Pod{a, b} {
				p.mustReserve(pod)
			}
		}
		other := w.pod("c", "bolt")
		if err := p.engine.Reserve(other, "n1", p.subject(other)); !errors.Is(err, ErrDedicated) {
			t.Errorf("another tenant: got %v, want %v", err, ErrDedicated)
		}
		p.engine.Release(a.UID, "n1", OutcomeKnown)
		p.engine.Release(a.UID, "n1", OutcomeKnown)
		if !p.engine.Dedicated("n1").Dedicated {
			t.Error("free while a pod has it reserved")
		}
		p.engine.Release(b.UID, "n1", OutcomeKnown)
		if p.engine.Dedicated("n1").Dedicated {
			t.Error("still dedicated after the last one")
		}
		if w.writesOf("nodes") != 0 {
			t.Errorf("%d writes of nodes for reservations, want none", w.writesOf("nodes"))
		}
	})
}

// A pod is said to have ended, and its container to run: the informer leaves it out, and the LIST
// finds it. So neither is the node dedicated beside it, nor released.
func TestPodThatIsSaidToHaveEnded(t *testing.T) {
	failed := func(pod *v1.Pod) { pod.Status.Phase = v1.PodFailed }
	running := func(pod *v1.Pod) {
		failed(pod)
		pod.Status.ContainerStatuses = []v1.ContainerStatus{{Name: "app", State: v1.ContainerState{Running: &v1.ContainerStateRunning{}}}}
	}
	for name, tc := range map[string]struct {
		tenant string
		change func(*v1.Pod)
		hidden bool
	}{
		"another tenant's, running":               {"bolt", running, true},
		"one of no tenant, running":               {"", running, true},
		"the tenant's own, running":               {"acme", running, true},
		"another tenant's, which has ended":       {"bolt", failed, false},
		"another tenant's, of which nothing runs": {"bolt", func(p *v1.Pod) { p.Status.Phase = v1.PodSucceeded }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				w.node("n1")
				p := w.leader()
				there := w.pod("there", tc.tenant, tc.change)
				p.setSeen(there, false)
				w.bindPod(there, "n1")
				if err := p.place(w.pod("first", "acme"), "n1"); errors.Is(err, ErrTaken) != tc.hidden || !tc.hidden && err != nil {
					t.Errorf("opening the node: got %v, want %v: %t", err, ErrTaken, tc.hidden)
				}
			})
		})
	}
	t.Run("it keeps its node from being released", func(t *testing.T) {
		inWorld(t, func(w *world) {
			t := w.t
			w.node("n1")
			p := w.leader()
			pod := p.open()
			running(pod)
			p.setSeen(pod, false)
			w.bindPod(pod, "n1")
			p.engine.NodeChanged("n1")
			w.sleep(3 * releaseAfter)
			if !w.dedicated("n1") {
				t.Error("the node is free")
			}
			w.removePod(pod)
			w.sleep(resyncEvery + 2*releaseAfter)
			if w.dedicated("n1") {
				t.Error("the pod has gone, and the node is still dedicated")
			}
		})
	})
}

// A pod that has reserved a node before that was ready was placed without whom the LIST has found:
// it is not bound without another look. One that comes later is.
func TestEarlyReservationIsNotReadyToBind(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		first, second, later := w.pod("first", "acme"), w.pod("second", "acme"), w.pod("later", "acme")
		p.mustReserve(first)
		p.mustReserve(second)
		if err := p.engine.Ensure(t.Context(), first, "n1", p.subject(first)); err != nil {
			t.Fatal(err)
		}
		p.mustReserve(later)
		for pod, want := range map[*v1.Pod]bool{first: false, second: false, later: true} {
			if got := p.engine.ReadyToBind(pod.UID, "n1"); got != want {
				t.Errorf("%s is ready to be bound: %t, want %t", pod.Name, got, want)
			}
		}
		if err := p.engine.Ensure(t.Context(), second, "n1", p.subject(second)); err != nil {
			t.Error(err)
		}
	})
}
