package cluster

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func TestMemoGoesWithItsNode(t *testing.T) {
	w := tenants(t)
	memo := w.Memo("n1")
	stamp := w.Stamp(memo, w.Rules(), 1)
	kept := memo.Remember(stamp, isolation.Node{})
	if memo.Node(w.Stamp(memo, w.Rules(), 1)) != kept {
		t.Error("what was remembered is not found")
	}
	if memo.Node(w.Stamp(memo, w.Rules(), 2)) != nil {
		t.Error("what was remembered is found for another generation")
	}
	w.unset(makeNode("n1"))
	if w.Memo("n1") != nil {
		t.Error("a node that is gone is remembered")
	}
	w.set(makeNode("n1"))
	// One that has worked the node out meanwhile remembers it too late.
	memo.Remember(stamp, isolation.Node{})
	if again := w.Memo("n1"); again.Node(w.Stamp(again, w.Rules(), 1)) != nil {
		t.Error("what was worked out before is remembered of a node that came back")
	}
	if w.NodeCount() != 2 {
		t.Errorf("%d nodes are counted, want 2", w.NodeCount())
	}
}

func TestCurrentNodeHasWhoIsThereAndWhoIsComing(t *testing.T) {
	w := tenants(t)
	there, coming, deleted := w.pod("red", "there", on("n1")), w.pod("red", "coming"), w.pod("red", "deleted")
	ended := w.pod("red", "ended", on("n1"), func(p *v1.Pod) { p.Status.Phase = v1.PodFailed })
	w.set(there, coming, deleted, ended, w.pod("kube-system", "agent", on("n1")))
	w.Assume(w.Rules(), coming, "n1")
	w.Assume(w.Rules(), deleted, "n1")
	w.unset(deleted)
	node := w.CurrentNode(w.Rules(), "n1")
	if got := node.Occupancy.Len(); got != 2 {
		t.Errorf("%d residents, want those that are there and coming", got)
	}
}

// The sources have a bind before the store handles its event.
func TestPodsOnHasAPodOnceWhileItIsBound(t *testing.T) {
	w := tenants(t)
	here, elsewhere, ended := w.pod("red", "here"), w.pod("red", "elsewhere"), w.pod("red", "ended")
	for _, pod := range []*v1.Pod{here, elsewhere, ended} {
		w.set(pod)
		w.Assume(w.Rules(), pod, "n1")
	}
	for _, bound := range []*v1.Pod{
		w.changed(here, on("n1")),
		w.changed(elsewhere, on("n2")),
		w.changed(ended, on("n1"), func(p *v1.Pod) { p.Status.Phase = v1.PodFailed }),
	} {
		if err := w.sources.pods.Update(bound); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, pod := range w.PodsOn("n1") {
		got = append(got, PodKey(pod))
	}
	if diff := cmp.Diff([]string{"red/here"}, got); diff != "" {
		t.Errorf("on n1 (-want +got):\n%s", diff)
	}
}

func TestPodsOnMissesNoPodWhileItIsBound(t *testing.T) {
	w := tenants(t)
	for i := range 2000 {
		pod := w.pod("red", fmt.Sprint("p", i))
		w.set(pod)
		w.Assume(w.Rules(), pod, "n1")
		bound := make(chan struct{})
		go func() {
			defer close(bound)
			w.set(w.changed(pod, on("n1")))
		}()
		for reading := true; reading; {
			select {
			case <-bound:
				reading = false
			default:
			}
			if got := len(w.PodsOn("n1")); got != 1 {
				t.Fatalf("%d pods are on n1 while one is bound", got)
			}
		}
		w.unset(pod)
	}
}

func TestDedicationOf(t *testing.T) {
	w := tenants(t)
	node := &v1.Node{Spec: v1.NodeSpec{Taints: []v1.Taint{{Key: isolation.BoundaryTaint, Value: "vm", Effect: v1.TaintEffectNoSchedule}}}}
	if to, ok := w.DedicationOf(node); !ok || to.String() != "tenantisolation.dev/boundary=vm" {
		t.Errorf("its taints say %s, %t", to, ok)
	}
}
