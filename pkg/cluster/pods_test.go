package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// TestHomes runs random histories and compares the counts with those made by looking at
// every pod.
func TestHomes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	w.set(makeClass("kata", "kata-qemu"))
	tenant := func() string { return fmt.Sprintf("tenant=t%d", random.IntN(3)) }
	for i := range 4 {
		w.set(makeNamespace(fmt.Sprintf("ns%d", i), tenant()))
	}
	live := map[string]*v1.Pod{}
	for step := range 2000 {
		name := fmt.Sprintf("p%d", random.IntN(30))
		node := fmt.Sprintf("n%d", random.IntN(5))
		pod := live[name]
		switch {
		case pod == nil:
			pod = w.pod(fmt.Sprintf("ns%d", random.IntN(4)), name)
			if random.IntN(3) == 0 {
				kata(pod)
			}
			w.set(pod)
			live[name] = pod
		case random.IntN(5) == 0:
			w.unset(pod)
			delete(live, name)
		case random.IntN(8) == 0:
			w.set(makeNamespace(pod.Namespace, tenant()))
		case pod.Spec.NodeName != "":
			live[name] = w.changed(pod, dataClass("public"))
			w.set(live[name])
		default:
			assumed := pod.DeepCopy()
			assumed.Spec.NodeName = node
			w.Assume(w.Rules(), assumed, node)
			if random.IntN(3) == 0 {
				w.Forget(assumed, node)
			} else {
				live[name] = w.changed(pod, on(node))
				w.set(live[name])
			}
		}
		// What is counted may be stale until somebody asks; asking makes it right.
		homes := map[isolation.KernelGroup]map[string]int{}
		shared := map[string]int{}
		for _, p := range live {
			subject := w.Judge(p)
			group, ok := subject.KernelGroup()
			if !ok || p.Spec.NodeName == "" {
				continue
			}
			if homes[group] == nil {
				homes[group] = map[string]int{}
			}
			homes[group][p.Spec.NodeName]++
			if subject.Open() {
				shared[p.Spec.NodeName]++
			}
		}
		if len(w.pods.known) != len(live) || len(w.pods.assumed) != 0 {
			t.Fatalf("step %d: %d pods listed and %d nodes with assumed pods, want %d and 0", step, len(w.pods.known), len(w.pods.assumed), len(live))
		}
		if diff := cmp.Diff(shared, counts(w.pods.shared)); diff != "" {
			t.Fatalf("step %d: shared (-want +got):\n%s", step, diff)
		}
		if len(homes) != len(w.pods.homes) {
			t.Fatalf("step %d: %d trust domains at home, want %d", step, len(w.pods.homes), len(homes))
		}
		ofAll := 0
		for group, nodes := range homes {
			ofAll += len(nodes)
			if diff := cmp.Diff(nodes, counts(w.pods.homes[group])); diff != "" {
				t.Fatalf("step %d: homes (-want +got):\n%s", step, diff)
			}
		}
		if want := float64(ofAll) / float64(max(1, len(homes))); w.AverageHomes() != want {
			t.Fatalf("step %d: %g homes on average, want %g", step, w.AverageHomes(), want)
		}
	}
}

func TestPodOfTheSameName(t *testing.T) {
	w := tenants(t)
	first := w.pod("red", "p", on("n1"))
	w.set(first)
	second := w.changed(first, func(p *v1.Pod) { p.UID = "second" })
	w.set(second)
	if known := w.pods.get(first.UID); known != nil {
		t.Error("the first pod of the name is still remembered")
	}
	w.unset(second)
	if len(w.pods.known) != 0 || len(w.pods.homes) != 0 {
		t.Errorf("%d pods and %d homes are still remembered", len(w.pods.known), len(w.pods.homes))
	}
}

func TestForgetDeletedPod(t *testing.T) {
	w := tenants(t)
	pod := w.pod("red", "p")
	w.set(pod)
	w.unset(pod)
	w.Assume(w.Rules(), pod, "n1")
	w.Forget(pod, "n1")
	if n := len(w.pods.known); n != 0 {
		t.Errorf("%d pods are still remembered", n)
	}
}

func TestForgetLeavesABoundPodAlone(t *testing.T) {
	w := tenants(t)
	pod := w.pod("red", "p")
	w.set(pod)
	w.Assume(w.Rules(), pod, "n1")
	w.set(w.changed(pod, on("n1")))
	w.Forget(pod, "n1")
	if node := w.pods.nodeOf(pod.UID); node != "n1" {
		t.Errorf("the pod is on %q, want n1", node)
	}
}

func TestHomesOrder(t *testing.T) {
	w := tenants(t)
	for _, node := range []string{"n1", "n2", "n3"} {
		w.set(w.pod("red", "on-"+node, on(node)))
	}
	pod := w.pod("red", "p", on("n3"))
	w.set(pod)
	group, _ := w.Judge(pod).KernelGroup()
	w.FoundHome(group, "n2")
	order := func() []string {
		names := make([]string, 4)
		return names[:w.Homes(group, 0, names)]
	}

	before := order()
	ready := w.changed(pod, func(p *v1.Pod) { p.Status.Phase = v1.PodRunning })
	w.set(ready)
	if diff := cmp.Diff(before, order()); diff != "" {
		t.Errorf("a new version of a pod (-before +after):\n%s", diff)
	}
	w.unset(ready)
	if diff := cmp.Diff([]string{"n3", "n2", "n1"}, order()); diff != "" {
		t.Errorf("after its deletion (-want +got):\n%s", diff)
	}
}

func TestFactsAreThoseOfTheVersion(t *testing.T) {
	w := tenants(t)
	pod := w.pod("red", "p")
	w.set(pod)
	newer := w.changed(pod, hostNetwork)
	unversioned := newer.DeepCopy()
	unversioned.ResourceVersion = ""
	for name, asked := range map[string]*v1.Pod{"the same": pod, "a copy": pod.DeepCopy(), "a newer one": newer, "one without a version": unversioned} {
		if diff := cmp.Diff(w.gatherer.Gather(asked), w.Facts(asked)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSubjectOfTheNewestVersion(t *testing.T) {
	w := tenants(t)
	pod := w.pod("red", "p", on("n1"))
	w.set(pod)
	newer := w.changed(pod, dataClass("restricted"))
	unreported := w.changed(newer, dataClass("public"))
	w.set(newer)
	classOf := func(p *v1.Pod) string {
		domain, _ := w.Judge(p).TrustDomain()
		return domain.DataClass
	}
	if got := []string{classOf(pod), classOf(newer), classOf(unreported)}; !cmp.Equal(got, []string{"restricted", "restricted", "public"}) {
		t.Errorf("an old version, the newest, one that has not been reported: %v", got)
	}
	if got := w.Newest(pod); got != newer {
		t.Errorf("the newest version is %s, want %s", got.ResourceVersion, newer.ResourceVersion)
	}
}

// A PVC that was bound a moment ago counts before the store has handled it.
func TestSubjectNowIsAheadOfTheHandlers(t *testing.T) {
	w := tenants(t)
	w.set(dataPVC(), volume(network))
	pod := w.pod("red", "p", kata, mountsData)
	w.set(pod)
	if err := w.sources.volumes.Update(volume(host)); err != nil {
		t.Fatal(err)
	}
	if got := w.Judge(pod).Boundary(); got != isolation.BoundaryVM {
		t.Errorf("as handled: %s", got)
	}
	if got := w.SubjectNow(w.Rules(), pod).Boundary(); got != isolation.BoundaryContainer {
		t.Errorf("as known: %s", got)
	}
}

func TestKnows(t *testing.T) {
	w := tenants(t)
	bound, pending, gone, never := w.pod("red", "bound", on("n1")), w.pod("red", "pending"), w.pod("red", "gone", on("n1")), w.pod("red", "never", on("n1"))
	w.set(bound, pending, gone)
	w.unset(gone)
	got := []bool{w.Knows(bound), w.Knows(pending), w.Knows(gone), w.Knows(never)}
	if diff := cmp.Diff([]bool{true, false, true, false}, got); diff != "" {
		t.Errorf("one that is bound, pending, gone, has not been reported (-want +got):\n%s", diff)
	}
	if occupancy := w.Occupancy("n1"); occupancy.Len() != 1 {
		t.Errorf("%d residents, want 1", occupancy.Len())
	}
}
