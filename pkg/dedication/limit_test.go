package dedication

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// The pods that come while their tenant's last permitted node is being opened wait for it
// like any others: that the tenant may open no other node does not matter there.
func TestLastPermittedNode(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		w.node("n2")
		p := w.leader(func(c *Config) { c.MaxNodesPerTenant = intstr.FromInt32(1) })
		const pods = 6
		placed := make(chan error, pods)
		for i := range pods {
			pod := w.pod(fmt.Sprintf("web-%d", i), "acme")
			subject := p.engine.Confine(pod, *p.subject(pod), true)
			if err := p.engine.Reserve(pod, "n1", &subject); err != nil {
				t.Fatalf("pod %d is refused the node: %v", i, err)
			}
			go func() {
				defer p.engine.Release(pod.UID, "n1", OutcomeKnown)
				placed <- p.engine.Ensure(t.Context(), pod, "n1", &subject)
			}()
		}
		for range pods {
			if err := <-placed; err != nil {
				t.Errorf("a pod is refused the node that is opened for it: %v", err)
			}
		}
	})
}

// A dedication that came and went before it was reported may have denied a pod, which waits
// for an event: the change is reported all the same.
func TestUnreportedDedication(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		w.sleep(0)
		before := p.changes()
		rec := &record{phase: closing}
		p.engine.mu.Lock()
		p.engine.addRecord("n1", rec)
		p.engine.deleteRecord("n1", rec)
		p.engine.mu.Unlock()
		p.engine.reportChange("n1")
		if got := p.changes() - before; got != 1 {
			t.Errorf("%d changes were reported, want 1", got)
		}
		p.engine.reportChange("n1")
		if got := p.changes() - before; got != 1 {
			t.Errorf("%d changes were reported without another change, want 1", got)
		}
	})
}

func (v *view) changes() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changed["n1"]
}
