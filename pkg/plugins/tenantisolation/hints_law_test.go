package tenantisolation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// TestL6SoundHints runs random histories. At each step it asks Filter about every
// pending pod and node before and after, and compares with what the plugin wakes:
// each pod that a node now admits must be woken, and no other but a pod whose own
// trust domain or boundary has changed, or whose tenant has reached its limit of nodes or left it. In every
// second history nodes are dedicated.
func TestL6SoundHints(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for history := range 40 {
		h := newHistory(t, rand.New(rand.NewPCG(seed, uint64(history))), history%2 == 1)
		for step := range 60 {
			before := h.admitted()
			own, confined := h.subjects(), h.confined()
			what, woken := h.step()
			after := h.admitted()
			for key := range h.pending() {
				flipped := false
				for node := range after[key] {
					flipped = flipped || (after[key][node] && !before[key][node] && before[key] != nil)
				}
				switch {
				case flipped && !woken[key]:
					t.Fatalf("history %d, step %d: %s lets %s in somewhere, and it was not woken", history, step, what, key)
				case !flipped && woken[key] && own[key] == h.subjects()[key] && confined[key] == h.confined()[key]:
					t.Fatalf("history %d, step %d: %s does not help %s, and it was woken", history, step, what, key)
				}
			}
		}
	}
}

type history struct {
	*world
	random *rand.Rand
	count  int
	// engine is nil in a history without dedication.
	engine *fakeEngine
}

var historyNamespaces = []string{"a", "b", "c", "kube-system"}

func newHistory(t *testing.T, random *rand.Rand, dedicates bool) *history {
	t.Helper()
	h := &history{world: newWorld(t), random: random}
	if dedicates {
		h.engine = h.dedicating()
		h.engine.limit = 1 + random.IntN(3)
	}
	for _, node := range []string{"n1", "n2", "n3"} {
		h.node(node)
	}
	for range 12 {
		h.step()
	}
	return h
}

func (h *history) pick(from ...string) string { return from[h.random.IntN(len(from))] }

func (h *history) podsWhere(condition func(*v1.Pod) bool) []*v1.Pod {
	var pods []*v1.Pod
	for _, key := range slices.Sorted(maps.Keys(h.byKey())) {
		if pod := h.byKey()[key]; condition(pod) {
			pods = append(pods, pod)
		}
	}
	return pods
}

func (h *history) byKey() map[string]*v1.Pod {
	pods := map[string]*v1.Pod{}
	for _, pod := range h.store.Pods() {
		pods[cluster.PodKey(pod)] = pod
	}
	return pods
}

func (h *history) pending() map[string]*v1.Pod {
	pods := h.byKey()
	maps.DeleteFunc(pods, func(_ string, p *v1.Pod) bool { return p.Spec.NodeName != "" })
	return pods
}

func (h *history) admitted() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for key, pod := range h.pending() {
		all[key] = map[string]bool{}
		for node := range h.snapshot {
			all[key][node] = h.admits(pod, node)
		}
	}
	return all
}

func (h *history) subjects() map[string]isolation.Subject {
	all := map[string]isolation.Subject{}
	for key, pod := range h.pending() {
		all[key] = h.subject(pod)
	}
	return all
}

// confined are the pending pods as to which nodes they may open.
func (h *history) confined() map[string]isolation.Subject {
	all := map[string]isolation.Subject{}
	for key, pod := range h.pending() {
		all[key] = h.pl.dedicator.Confine(pod, h.subject(pod), false)
	}
	return all
}

// step makes one change and returns the pods that it wakes, by event handler or hint.
func (h *history) step() (string, map[string]bool) {
	h.woken()
	hinted := map[string]bool{}
	hint := func(of func(pending *v1.Pod) (fwk.QueueingHint, error)) {
		for key, pod := range h.pending() {
			if got, err := of(pod); err != nil || got == fwk.Queue {
				hinted[key] = true
			}
		}
	}
	what := ""
	kinds := 9
	if h.engine != nil {
		kinds = 12
	}
	switch h.random.IntN(kinds) {
	case 0, 1:
		what = "a pod comes"
		h.count++
		pod := h.pod(h.pick(historyNamespaces...), fmt.Sprintf("p%d", h.count), on(h.pick("", "", "n1", "n2", "n3")))
		if h.random.IntN(2) == 0 {
			class(h.pick("vm", "soft"))(pod)
		}
		if h.random.IntN(4) == 0 {
			privileged(pod)
		}
		if h.random.IntN(4) == 0 {
			labelled("data-class=" + h.pick("public", "restricted", "nonsense"))(pod)
		}
		h.add(pod)
	case 2, 3:
		what = "a pod goes"
		if pods := h.podsWhere(func(p *v1.Pod) bool { return p.Spec.NodeName != "" }); len(pods) > 0 {
			pod := pods[h.random.IntN(len(pods))]
			h.gone(pod)
			hint(func(p *v1.Pod) (fwk.QueueingHint, error) { return h.pl.afterPodGone(h.pl.logger, p, pod, nil) })
		}
	case 4:
		labels := []string{}
		if h.random.IntN(4) > 0 {
			labels = append(labels, "tenant="+h.pick("x", "y"))
		}
		if h.random.IntN(2) == 0 {
			labels = append(labels, "boundary="+h.pick("container", "vm", "node", "nonsense"))
		}
		ns := h.pick(historyNamespaces...)
		what = fmt.Sprintf("namespace %s gets %v", ns, labels)
		h.namespace(ns, labels...)
	case 5:
		what = "a namespace is forgotten"
		h.deleteNamespace(h.pick(historyNamespaces...))
	case 6:
		name, handler := h.pick("vm", "soft"), h.pick("kata-qemu", "runc", "")
		what = fmt.Sprintf("RuntimeClass %s gets %q", name, handler)
		if handler == "" {
			h.deleteRuntimeClass(name)
		} else {
			// An informer may show a deletion and a creation as one update.
			h.runtimeClass(name, handler)
		}
	case 7:
		node := h.pick("n1", "n2", "n3")
		handlers := [][]string{nil, {"runc"}, {"runc", "kata-qemu"}}[h.random.IntN(3)]
		what = fmt.Sprintf("node %s reports %v", node, handlers)
		h.node(node, handlers...)
	case 8:
		what = "a resident changes its labels"
		if pods := h.podsWhere(func(p *v1.Pod) bool { return p.Spec.NodeName != "" }); len(pods) > 0 {
			pod := pods[h.random.IntN(len(pods))]
			h.add(h.changed(pod, labelled("data-class="+h.pick("public", "restricted"))))
		}
	case 9, 10:
		node := h.pick("n1", "n2", "n3")
		pods := h.podsWhere(func(p *v1.Pod) bool { _, ok := h.subjects()[cluster.PodKey(p)].Dedication(); return ok })
		if len(pods) == 0 {
			break
		}
		pod := pods[h.random.IntN(len(pods))]
		what = fmt.Sprintf("node %s is dedicated for %s", node, cluster.PodKey(pod))
		h.dedicateFor(h.engine, node, pod)
	case 11:
		node := h.pick("n1", "n2", "n3")
		what = fmt.Sprintf("node %s is released", node)
		h.engine.free(node)
	}
	for _, key := range h.woken() {
		hinted[key] = true
	}
	return what, hinted
}
