package dedication

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// All cases share one control plane, one after the other: starting it takes longer than a case.
func TestDedications(t *testing.T) {
	w := startEnvironment(t)
	for _, test := range []struct {
		name string
		run  func(w *environment)
	}{
		{"a dedication is written and removed", dedicateAndRelease},
		{"taints of others stay unchanged", foreignTaints},
		{"dedications outlive the process, and are released by the next", restart},
		{"a replaced process writes no more", deposed},
		{"a deleted table is written again", deletedTable},
		{"a node stays dedicated until its reboot", reboot},
		{"concurrent openings share writes, and later pods cost none", writes},
	} {
		t.Run(test.name, func(t *testing.T) {
			inner := *w
			inner.t = t
			test.run(&inner)
		})
	}
}

func dedicateAndRelease(w *environment) {
	w.node("node-a1")
	p := w.start()
	pod := w.pod("acme", "web")
	if err := p.place(pod, "node-a1"); err != nil {
		w.t.Fatal(err)
	}
	node := w.get("node-a1")
	want := []v1.Taint{
		{Key: "tenantisolation.dev/tenant", Value: "acme", Effect: v1.TaintEffectNoSchedule},
		{Key: "tenantisolation.dev/data-class", Value: "unclassified", Effect: v1.TaintEffectNoSchedule},
	}
	if diff := cmp.Diff(want, node.Spec.Taints); diff != "" {
		w.t.Errorf("taints (-want +got):\n%s", diff)
	}
	if got := node.Labels[isolation.NodeLabelKey(isolation.AxisTenant)]; got != "acme" {
		w.t.Errorf("label %q, want acme", got)
	}
	if got := node.Annotations[dedication.OpenedByAnnotation]; got != "acme" {
		w.t.Errorf("opened by %q, want acme", got)
	}
	if _, table := w.dedicated("node-a1"); table == "" {
		w.t.Error("no entry in the table")
	}
	if err := p.place(w.pod("bolt", "web"), "node-a1"); !errors.Is(err, dedication.ErrDedicated) {
		w.t.Errorf("another tenant: got %v, want %v", err, dedication.ErrDedicated)
	}
	w.remove(pod)
	w.free("node-a1")
	if node := w.get("node-a1"); node.Labels[isolation.NodeLabelKey(isolation.AxisTenant)] != "" || node.Annotations[dedication.OpenedByAnnotation] != "" {
		w.t.Errorf("labels %v, annotations %v, want nothing of a dedication", node.Labels, node.Annotations)
	}
}

func foreignTaints(w *environment) {
	theirs := v1.Taint{Key: "example.com/gpu", Value: "yes", Effect: v1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: metav1.Now().Rfc3339Copy().Time}}
	w.node("node-b1", theirs)
	p := w.start()
	pod := w.pod("acme", "beside-taints")
	if err := p.place(pod, "node-b1"); err != nil {
		w.t.Fatal(err)
	}
	// Another client writes the Node while it is dedicated.
	node := w.get("node-b1")
	more := v1.Taint{Key: "example.com/drain", Effect: v1.TaintEffectNoSchedule}
	node.Spec.Taints = append(node.Spec.Taints, more)
	if _, err := w.api.CoreV1().Nodes().Update(w.t.Context(), node, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.remove(pod)
	w.free("node-b1")
	if diff := cmp.Diff([]v1.Taint{theirs, more}, w.get("node-b1").Spec.Taints, cmp.Comparer(func(a, b metav1.Time) bool { return a.Equal(&b) })); diff != "" {
		w.t.Errorf("taints (-want +got):\n%s", diff)
	}
}

func restart(w *environment) {
	w.node("node-c1")
	w.node("node-c2")
	first := w.start()
	stays, goes := w.pod("acme", "stays"), w.pod("bolt", "goes")
	for pod, node := range map[*v1.Pod]string{stays: "node-c1", goes: "node-c2"} {
		if err := first.place(pod, node); err != nil {
			w.t.Fatal(err)
		}
	}
	_, before := w.dedicated("node-c1")
	first.stop()
	w.remove(goes)
	second := w.start()
	w.free("node-c2")
	if tainted, after := w.dedicated("node-c1"); !tainted || after != before {
		w.t.Errorf("tainted %t, entry %q, want %q", tainted, after, before)
	}
	if err := second.place(w.pod("bolt", "stranger"), "node-c1"); !errors.Is(err, dedication.ErrDedicated) {
		w.t.Errorf("another tenant: got %v, want %v", err, dedication.ErrDedicated)
	}
	if err := second.place(w.pod("acme", "next"), "node-c1"); err != nil {
		w.t.Errorf("the same tenant: %v", err)
	}
}

func deposed(w *environment) {
	w.node("node-d1")
	reported := make(chan error, 1)
	first := w.start(func(c *dedication.Config) { c.OnDeposed = func(err error) { reported <- err } })
	w.start()
	if err := first.place(w.pod("acme", "late"), "node-d1"); err == nil {
		w.t.Error("placed by a process that was replaced")
	}
	w.eventually("OnDeposed is called", func() bool { return len(reported) > 0 })
	if first.engine.Ready() {
		w.t.Error("still ready")
	}
	if tainted, table := w.dedicated("node-d1"); tainted || table != "" {
		w.t.Errorf("tainted %t, entry %q, want neither", tainted, table)
	}
}

func deletedTable(w *environment) {
	w.node("node-e1")
	p := w.start()
	if err := p.place(w.pod("acme", "before-deletion"), "node-e1"); err != nil {
		w.t.Fatal(err)
	}
	token, _ := p.engine.Token("node-e1")
	_, before := w.dedicated("node-e1")
	if err := w.api.CoreV1().ConfigMaps(system).Delete(w.t.Context(), dedication.TableName, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the table is back", func() bool {
		_, after := w.dedicated("node-e1")
		return after == before
	})
	if after, ok := p.engine.Token("node-e1"); !ok || after != token {
		w.t.Errorf("token %q, want %q as before", after, token)
	}
}

func reboot(w *environment) {
	w.node("node-f1")
	p := w.start(func(c *dedication.Config) { c.NodeReuse = dedication.ReuseAfterReboot })
	pod := w.pod("acme", "before-reboot")
	if err := p.place(pod, "node-f1"); err != nil {
		w.t.Fatal(err)
	}
	_, inUse := w.dedicated("node-f1")
	w.remove(pod)
	w.eventually("the entry has the boot", func() bool {
		_, table := w.dedicated("node-f1")
		return table != inUse
	})
	if err := p.place(w.pod("bolt", "too-early"), "node-f1"); !errors.Is(err, dedication.ErrDedicated) {
		w.t.Errorf("another tenant before the reboot: got %v, want %v", err, dedication.ErrDedicated)
	}
	p.stop()
	w.start(func(c *dedication.Config) { c.NodeReuse = dedication.ReuseAfterReboot })
	if tainted, table := w.dedicated("node-f1"); !tainted || table == "" {
		w.t.Errorf("tainted %t, entry %q: released by a restart of the scheduler", tainted, table)
	}
	w.boot("node-f1", "second boot")
	w.free("node-f1")
}

func writes(w *environment) {
	const nodes, podsEach = 20, 100
	for n := range nodes {
		w.node(fmt.Sprintf("node-g%02d", n))
	}
	p := w.start()
	var first []*v1.Pod
	for n := range nodes {
		first = append(first, w.pod("acme", fmt.Sprintf("opens-%d", n)))
	}
	// If the informer has a Node from before its kubelet's report, opening it costs another write.
	w.eventually("the informer sees the nodes", func() bool {
		for n := range nodes {
			node, ok := p.Node(fmt.Sprintf("node-g%02d", n))
			if !ok || node.Status.NodeInfo.BootID == "" {
				return false
			}
		}
		return true
	})
	p.forget()
	var group sync.WaitGroup
	for n, pod := range first {
		group.Go(func() {
			if err := p.place(pod, fmt.Sprintf("node-g%02d", n)); err != nil {
				w.t.Error(err)
			}
		})
	}
	group.Wait()
	if got := p.wrote("nodes"); got != nodes {
		w.t.Errorf("%d writes of Nodes for %d openings, want one each", got, nodes)
	}
	if got := p.wrote("configmaps"); got > nodes {
		w.t.Errorf("%d writes of the table for %d openings, want no more", got, nodes)
	}
	w.t.Logf("%d openings: %d writes of Nodes, %d of the table", nodes, p.wrote("nodes"), p.wrote("configmaps"))
	p.forget()
	for n := range nodes {
		group.Go(func() {
			for i := range podsEach {
				pod := w.pod("acme", fmt.Sprintf("follows-%d-%d", n, i))
				if err := p.place(pod, fmt.Sprintf("node-g%02d", n)); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	group.Wait()
	w.t.Logf("%d pods on open nodes: %d writes of Nodes, %d of the table", nodes*podsEach, p.wrote("nodes"), p.wrote("configmaps"))
	if n, c := p.wrote("nodes"), p.wrote("configmaps"); n+c > 0 {
		w.t.Errorf("%d writes of Nodes and %d of the table for %d pods on open nodes, want none", n, c, nodes*podsEach)
	}
}
