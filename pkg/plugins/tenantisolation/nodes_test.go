package tenantisolation

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	internalcache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// remembered returns what the plugin reads of a node; two equal pointers mean that it
// was not worked out again.
func (w *world) remembered(info fwk.NodeInfo) *isolation.Node {
	return w.pl.node(framework.NewCycleState(), w.store.Rules(), info)
}

func TestNodeIsComputedOncePerChange(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world, resident *v1.Pod)
		again  bool
	}{
		"nothing happens":                 {change: func(*world, *v1.Pod) {}},
		"a pod elsewhere comes":           {change: func(w *world, _ *v1.Pod) { w.add(w.pod("blue", "b", on("kata1"))) }},
		"a label that is not read is set": {change: func(w *world, _ *v1.Pod) { w.namespace("red", "tenant=red", "colour=crimson") }},
		"another pod's PVC comes and goes": {change: func(w *world, _ *v1.Pod) {
			w.add(w.pod("blue", "b", on("kata1"), mountsData))
			w.boundPVC("blue", csi)
		}},
		"another namespace goes":                 {change: func(w *world, _ *v1.Pod) { w.deleteNamespace("blue") }},
		"a namespace without pods":               {change: func(w *world, _ *v1.Pod) { w.namespace("green", "tenant=green") }},
		"another node's handlers change":         {change: func(w *world, _ *v1.Pod) { w.node("kata1", "runc") }},
		"a pod comes":                            {again: true, change: func(w *world, _ *v1.Pod) { w.add(w.pod("red", "b", on("n1"))) }},
		"a pod goes":                             {again: true, change: func(w *world, r *v1.Pod) { w.gone(r) }},
		"the resident's namespace is relabelled": {again: true, change: func(w *world, _ *v1.Pod) { w.namespace("red", "tenant=blue") }},
		"the resident's namespace goes":          {again: true, change: func(w *world, _ *v1.Pod) { w.deleteNamespace("red") }},
		"a RuntimeClass comes":                   {again: true, change: func(w *world, _ *v1.Pod) { w.runtimeClass("clh", "kata-clh") }},
		"its handlers change":                    {again: true, change: func(w *world, _ *v1.Pod) { w.set(withHandlers(w.nodes["n1"], "runc")) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			resident := w.add(w.pod("red", "r", on("n1")))
			before := w.remembered(w.snapshot["n1"])
			tc.change(w, resident)
			if again := w.remembered(w.snapshot["n1"]) != before; again != tc.again {
				t.Errorf("worked out again: %v, want %v", again, tc.again)
			}
		})
	}
}

// withHandlers returns the node as it reports other runtime handlers.
func withHandlers(node *v1.Node, handlers ...string) *v1.Node {
	node = node.DeepCopy()
	node.Status.RuntimeHandlers = nil
	for _, h := range handlers {
		node.Status.RuntimeHandlers = append(node.Status.RuntimeHandlers, v1.NodeRuntimeHandler{Name: h})
	}
	return node
}

func TestFilterCountsTheNewestVersion(t *testing.T) {
	w := tenants(t)
	resident := w.add(w.pod("red", "r", on("n1")))
	secret := w.add(w.pod("red", "p", labelled("data-class=restricted")))
	if w.admits(secret, "n1") {
		t.Fatal("a pod of another data class was admitted")
	}
	// The plugin's handler runs, the framework's has not run yet.
	w.set(w.changed(resident, labelled("data-class=restricted")))
	if !w.admits(secret, "n1") {
		t.Error("the resident is judged by a version that is known to be out of date")
	}
}

func TestPodGroupCycle(t *testing.T) {
	w := tenants(t)
	node := w.nodes["n1"]
	snapshot := internalcache.NewSnapshot(nil, []*v1.Node{node})
	info, err := snapshot.Get("n1")
	if err != nil {
		t.Fatal(err)
	}
	empty := w.remembered(info)
	generation := info.GetGeneration()

	// The snapshot's AssumePod changes the pods and keeps the generation.
	member := w.pod("blue", "member", on("n1"))
	if err := snapshot.AssumePod(mustPodInfo(t, member)); err != nil {
		t.Fatal(err)
	}
	info, err = snapshot.Get("n1")
	if err != nil {
		t.Fatal(err)
	}
	if info.GetGeneration() != generation {
		t.Skip("the framework no longer keeps the generation: the exception can go")
	}
	state := framework.NewCycleState()
	state.SetPodGroupSchedulingCycle(framework.NewCycleState())
	if got := w.pl.node(state, w.store.Rules(), info); got.Occupancy.Len() != 1 {
		t.Error("the group's member on the node is not seen")
	}
	if err := snapshot.ForgetPod(w.pl.logger, member); err != nil {
		t.Fatal(err)
	}
	info, _ = snapshot.Get("n1")
	if got := w.remembered(info); got != empty {
		t.Error("the group cycle has left something behind")
	}
}

func TestFilterOnANodeUnknownToTheStore(t *testing.T) {
	w := tenants(t)
	w.node("plain", "runc")
	for node, want := range map[string]bool{"plain": false, "kata1": true} {
		// The framework's handler has run, the plugin's has not yet.
		w.unset(w.nodes[node])
		if got := w.admits(w.pod("red", "p", class("kata")), node); got != want {
			t.Errorf("%s admits a pod that needs a handler: %t, want %t", node, got, want)
		}
		if !w.admits(w.pod("red", "p"), node) {
			t.Errorf("%s denies a pod that needs no handler", node)
		}
	}
}

func TestFilterCountsTheNewestHandlers(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p", class("kata")))
	if !w.admits(pod, "kata1") {
		t.Fatal("a VM was denied on a node that has its handler")
	}
	w.set(withHandlers(w.nodes["kata1"], "runc"))
	if w.admits(pod, "kata1") {
		t.Error("the node still passes for one that has the handler")
	}
}

func TestFilterInADryRun(t *testing.T) {
	w := tenants(t)
	blue := w.add(w.pod("blue", "r", on("n1")))
	red := w.add(w.pod("red", "p"))
	if w.admits(red, "n1") {
		t.Fatal("admitted beside another tenant")
	}
	// Preemption takes victims off a copy; nominated pods are added to one.
	without := w.snapshot["n1"].Snapshot()
	if err := without.RemovePod(w.pl.logger, blue); err != nil {
		t.Fatal(err)
	}
	state := framework.NewCycleState()
	w.pl.PreFilter(t.Context(), state, red, nil)
	if status := w.pl.Filter(t.Context(), state, red, without); !status.IsSuccess() {
		t.Errorf("the victim is still seen: %v", status)
	}
	nominated := w.snapshot["kata1"].Snapshot()
	nominated.AddPodInfo(mustPodInfo(t, w.pod("blue", "nominated", on("kata1"))))
	if status := w.pl.Filter(t.Context(), state, red, nominated); status.IsSuccess() {
		t.Error("the nominated pod is not seen")
	}
	if w.admits(red, "n1") || !w.admits(red, "kata1") {
		t.Error("a dry run has changed the real nodes")
	}
}

func TestFilterAllocatesNothing(t *testing.T) {
	w := tenants(t)
	w.add(w.pod("red", "r", on("n1")))
	w.add(w.pod("blue", "b", on("kata1")))
	pod := w.pod("red", "p")
	state := framework.NewCycleState()
	w.pl.PreFilter(t.Context(), state, pod, nil)
	ctx := t.Context()
	for node, want := range map[string]float64{"n1": 0, "kata1": 2} {
		info := w.snapshot[node]
		w.pl.Filter(ctx, state, pod, info)
		// A denial is one status: the struct and its list of reasons.
		if got := testing.AllocsPerRun(100, func() { w.pl.Filter(ctx, state, pod, info) }); got != want {
			t.Errorf("%s: %v allocations, want %v", node, got, want)
		}
	}
}
