package admission

import (
	"context"
	"testing"
)

func TestAuditOverlayIsTheWayBack(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(defaultClass(kataClass))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := s.apply(ctx, "overlays/default"); err != nil {
			t.Fatal(err)
		}
		if err := s.activate(ctx, unique("restored")); err != nil {
			t.Fatal(err)
		}
	})
	s.must(s.apply(s.ctx, "overlays/audit"))
	s.must(s.activate(s.ctx, unique("back")))

	pod, err := s.create(namespace, scheduledBy("another-scheduler"), labelled(tenant("globex")), onNode(attackedNode))
	if err != nil {
		t.Fatalf("what was refused before is still refused: %v", err)
	}
	if warned := s.warned.take(); len(warned) == 0 {
		t.Error("it is not warned of any more")
	}
	if pod.Spec.RuntimeClassName != nil || pod.Labels[tenantKey] != "globex" {
		t.Errorf("it is still changed: labels %v, RuntimeClass %v", pod.Labels, pod.Spec.RuntimeClassName)
	}
}
