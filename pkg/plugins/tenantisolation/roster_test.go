package tenantisolation

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// TestTheRosterKnowsEveryHome runs random histories and compares the counts with those
// made by looking at every pod.
func TestTheRosterKnowsEveryHome(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	w.runtimeClass("kata", "kata-qemu")
	tenant := func() string { return fmt.Sprintf("tenant=t%d", random.IntN(3)) }
	for i := range 4 {
		w.namespace(fmt.Sprintf("ns%d", i), tenant())
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
				class("kata")(pod)
			}
			live[name] = w.add(pod)
		case random.IntN(5) == 0:
			w.gone(pod)
			delete(live, name)
		case random.IntN(8) == 0:
			w.namespace(pod.Namespace, tenant())
		case pod.Spec.NodeName != "":
			live[name] = w.add(w.changed(pod, labelled("data-class=public")))
		default:
			assumed := pod.DeepCopy()
			assumed.Spec.NodeName = node
			w.pl.roster.assume(w.pl.rules.Load(), assumed, node)
			if random.IntN(3) == 0 {
				w.pl.Unreserve(t.Context(), framework.NewCycleState(), assumed, node)
			} else {
				live[name] = w.add(w.changed(pod, on(node)))
			}
		}
		// What is counted may be stale until somebody asks; asking makes it right.
		homes := map[isolation.KernelGroup]map[string]int{}
		shared := map[string]int{}
		for _, p := range live {
			subject := w.pl.roster.subject(w.pl.rules.Load(), p)
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
		if len(w.pl.roster.pods) != len(live) || len(w.pl.roster.assumed) != 0 {
			t.Fatalf("step %d: %d pods listed and %d nodes with assumed pods, want %d and 0", step, len(w.pl.roster.pods), len(w.pl.roster.assumed), len(live))
		}
		if diff := cmp.Diff(shared, counts(w.pl.roster.shared)); diff != "" {
			t.Fatalf("step %d: shared (-want +got):\n%s", step, diff)
		}
		if len(homes) != len(w.pl.roster.homes) {
			t.Fatalf("step %d: %d trust domains at home, want %d", step, len(w.pl.roster.homes), len(homes))
		}
		ofAll := 0
		for group, nodes := range homes {
			ofAll += len(nodes)
			if diff := cmp.Diff(nodes, counts(w.pl.roster.homes[group])); diff != "" {
				t.Fatalf("step %d: homes (-want +got):\n%s", step, diff)
			}
		}
		if want := float64(ofAll) / float64(max(1, len(homes))); w.pl.roster.averageHomes() != want {
			t.Fatalf("step %d: %g homes on average, want %g", step, w.pl.roster.averageHomes(), want)
		}
	}
}

func TestAPodThatWasDeletedBeforeItWasReservedIsForgotten(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p"))
	w.gone(pod)
	if status := w.pl.Reserve(t.Context(), framework.NewCycleState(), pod, "n1"); !status.IsSuccess() {
		t.Fatal(status)
	}
	w.pl.Unreserve(t.Context(), framework.NewCycleState(), pod, "n1")
	if n := len(w.pl.roster.pods); n != 0 {
		t.Errorf("%d pods are still listed", n)
	}
}

func TestAPodReplacedByAnotherOfItsNameIsForgotten(t *testing.T) {
	w := tenants(t)
	first := w.add(w.pod("red", "p", on("n1")))
	second := w.changed(first, func(p *v1.Pod) { p.UID = "second" })
	w.pl.podChanged(first, second)
	w.pl.podChanged(second, nil)
	if len(w.pl.roster.pods) != 0 || len(w.pl.roster.homes) != 0 {
		t.Errorf("%d pods and %d homes are still listed", len(w.pl.roster.pods), len(w.pl.roster.homes))
	}
}

func TestAnAssumedPodsNewLabelsCountOnItsNode(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p"))
	assumed := pod.DeepCopy()
	assumed.Spec.NodeName = "n1"
	w.snapshot["n1"].AddPodInfo(mustPodInfo(t, assumed))
	w.pl.Reserve(t.Context(), framework.NewCycleState(), assumed, "n1")
	if !w.admits(w.pod("red", "other"), "n1") {
		t.Fatal("a pod of the same trust domain was denied")
	}
	// The framework ignores updates of assumed pods.
	w.pl.podChanged(pod, w.changed(pod, labelled("data-class=restricted")))
	if w.admits(w.pod("red", "other"), "n1") {
		t.Error("the assumed pod's new data class is not seen")
	}
}

func TestTheSearchForAHomeStaysWhereItIsWhenAPodBecomesReady(t *testing.T) {
	w := tenants(t)
	for _, node := range []string{"n1", "n2", "n3"} {
		w.add(w.pod("red", "on-"+node, on(node)))
	}
	pod := w.add(w.pod("red", "p", on("n3")))
	subject := w.pl.roster.subject(w.pl.rules.Load(), pod)
	group, _ := subject.KernelGroup()
	w.pl.roster.foundHome(group, "n2")
	order := func() []string {
		names := make([]string, 4)
		return names[:w.pl.roster.homesOf(group, 0, names)]
	}

	before := order()
	w.add(w.changed(pod, func(p *v1.Pod) { p.Status.Phase = v1.PodRunning }))
	if diff := cmp.Diff(before, order()); diff != "" {
		t.Errorf("a new version of a pod (-before +after):\n%s", diff)
	}
	w.gone(pod)
	if diff := cmp.Diff([]string{"n3", "n2", "n1"}, order()); diff != "" {
		t.Errorf("after its deletion (-want +got):\n%s", diff)
	}
}

func TestWhatIsKnownOfAPodIsKnownOfThatVersion(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p"))
	newer := w.changed(pod, hostNetwork)
	unversioned := newer.DeepCopy()
	unversioned.ResourceVersion = ""
	rules := w.pl.rules.Load()
	for name, asked := range map[string]*v1.Pod{"the same": pod, "a copy": pod.DeepCopy(), "a newer one": newer, "one without a version": unversioned} {
		want := w.pl.roster.gatherer.Gather(asked)
		if got := w.pl.roster.facts(asked); w.pl.roster.judge(rules, asked, got).subject != w.pl.roster.judge(rules, asked, want).subject {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestUnreserveLeavesABoundPodAlone(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p"))
	w.pl.Reserve(t.Context(), framework.NewCycleState(), pod, "n1")
	w.add(w.changed(pod, on("n1")))
	w.pl.Unreserve(t.Context(), framework.NewCycleState(), pod, "n1")
	if node := w.pl.roster.nodeOf(pod.UID); node != "n1" {
		t.Errorf("the pod is listed on %q, want n1", node)
	}
}
