package tenantisolation

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// machine adds a node of some size.
func (w *world) machine(name string, offers v1.ResourceList, handlers ...string) {
	node := w.node(name, handlers...).DeepCopy()
	node.Status.Allocatable = offers
	w.snapshot[name].SetNode(node)
}

func asks(list v1.ResourceList) func(*v1.Pod) {
	return func(p *v1.Pod) { p.Spec.Containers[0].Resources.Requests = list }
}

func (w *world) cycle(pod *v1.Pod) *cycle {
	c := w.pl.newCycle(pod)
	c.request = newRequest(pod)
	return c
}

// opens returns the machines of those that the pod's trust domain would rather open than
// any other, by name.
func (w *world) opens(pod *v1.Pod, among ...string) []string {
	w.t.Helper()
	ctx := w.t.Context()
	state := framework.NewCycleState()
	if _, status := w.pl.PreFilter(ctx, state, pod, nil); !status.IsSuccess() {
		w.t.Fatal(status)
	}
	var nodes []fwk.NodeInfo
	for _, name := range among {
		nodes = append(nodes, w.snapshot[name])
	}
	if status := w.pl.PreScore(ctx, state, pod, nodes); !status.IsSuccess() {
		w.t.Fatal(status)
	}
	best, first := int64(-1), []string(nil)
	for _, name := range among {
		score, status := w.pl.Score(ctx, state, pod, w.snapshot[name])
		if !status.IsSuccess() {
			w.t.Fatal(status)
		}
		if score > best {
			best, first = score, nil
		}
		if score == best {
			first = append(first, name)
		}
	}
	return first
}

func TestForecast(t *testing.T) {
	small, large := amounts("32", "128Gi", ""), amounts("64", "256Gi", "")
	withMemory, withGPUs := amounts("32", "512Gi", ""), amounts("32", "128Gi", "8")
	pod := amounts("2", "8Gi", "")
	for name, tc := range map[string]struct {
		machines map[string]v1.ResourceList
		// homes are machines of red with one pod that takes this, others of blue; those
		// in a machine of the platform's pods.
		homes, others, platform []v1.ResourceList
		asked                   v1.ResourceList
		want                    []string
	}{
		"the one that is largest for the pod, if no pod has requested anything": {
			machines: map[string]v1.ResourceList{"large": large, "small": small},
			asked:    pod, want: []string{"large"},
		},
		"of what the pod asks most for": {
			machines: map[string]v1.ResourceList{"memory": withMemory, "cpu": large},
			asked:    amounts("1", "64Gi", ""), want: []string{"memory"},
		},
		"of what its trust domain asks most for, whatever this pod does": {
			machines: map[string]v1.ResourceList{"memory": withMemory, "cpu": large},
			homes:    []v1.ResourceList{amounts("2", "500Gi", ""), amounts("2", "500Gi", "")},
			asked:    amounts("8", "1Gi", ""), want: []string{"memory"},
		},
		"of what others ask most for, while little is known of its own": {
			machines: map[string]v1.ResourceList{"gpu": withGPUs, "plain": small},
			others:   []v1.ResourceList{amounts("8", "32Gi", "7"), amounts("8", "32Gi", "8")},
			asked:    pod, want: []string{"gpu"},
		},
		"what the others ask for is worth one machine": {
			machines: map[string]v1.ResourceList{"gpu": amounts("24", "128Gi", "8"), "plain": amounts("48", "128Gi", "")},
			homes:    []v1.ResourceList{amounts("32", "64Gi", ""), amounts("32", "64Gi", ""), amounts("32", "64Gi", ""), amounts("32", "64Gi", "")},
			others:   slices.Repeat([]v1.ResourceList{amounts("1", "1Gi", "8")}, 8),
			asked:    pod, want: []string{"plain"},
		},
		"what the platform asks for on machines without tenants counts for nothing": {
			machines: map[string]v1.ResourceList{"gpu": withGPUs, "plain": amounts("40", "160Gi", "")},
			platform: []v1.ResourceList{amounts("0", "0", "8"), amounts("0", "0", "8")},
			asked:    pod, want: []string{"plain"},
		},
		"a pod that asks for nothing opens any": {
			machines: map[string]v1.ResourceList{"large": large, "small": small},
			asked:    v1.ResourceList{}, want: []string{"large", "small"},
		},
		"a full machine takes no pod": {
			machines: map[string]v1.ResourceList{"large": large, "none": amounts("0", "0", "")},
			asked:    pod, want: []string{"large"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			on := func(namespace string, pods []v1.ResourceList) {
				for i, asked := range pods {
					machine := fmt.Sprintf("of-%s-%d", namespace, i)
					w.machine(machine, amounts("64", "1024Gi", "8"))
					w.add(w.pod(namespace, fmt.Sprintf("p%d", i), on(machine), asks(asked)))
				}
			}
			on("red", tc.homes)
			on("blue", tc.others)
			on("kube-system", tc.platform)
			for machine, offers := range tc.machines {
				w.machine(machine, offers)
			}
			got := w.opens(w.pod("red", "incoming", asks(tc.asked)), slices.Sorted(maps.Keys(tc.machines))...)
			if !slices.Equal(got, tc.want) {
				t.Errorf("red opens %v, want %v", got, tc.want)
			}
		})
	}
}

// One machine in eleven is large.
func TestForecastLeavesTheBestMachines(t *testing.T) {
	w := tenants(t)
	machines := []string{"large"}
	w.machine("large", amounts("64", "256Gi", ""))
	for i := range 10 {
		name := fmt.Sprintf("small-%d", i)
		w.machine(name, amounts("32", "128Gi", ""))
		machines = append(machines, name)
	}
	pod := w.pod("red", "incoming", asks(amounts("2", "8Gi", "")))
	if got := w.opens(pod, machines...); len(got) != len(machines) {
		t.Errorf("a trust domain without any machine prefers %v", got)
	}
	w.add(w.pod("red", "r", on("n1"), asks(amounts("2", "8Gi", ""))))
	if got := w.opens(pod, machines...); !slices.Equal(got, []string{"large"}) {
		t.Errorf("a trust domain with as many machines as any prefers %v", got)
	}
	for i := range 2 {
		node := fmt.Sprintf("of-blue-%d", i)
		w.machine(node, amounts("32", "128Gi", ""))
		w.add(w.pod("blue", fmt.Sprintf("b%d", i), on(node), asks(amounts("2", "8Gi", ""))))
	}
	if got := w.opens(pod, machines...); len(got) != len(machines) {
		t.Errorf("a trust domain with fewer machines than they have on average prefers %v", got)
	}
	pod = w.pod("blue", "incoming", asks(amounts("2", "8Gi", "")))
	if got := w.opens(pod, machines...); !slices.Equal(got, []string{"large"}) {
		t.Errorf("a trust domain with more machines than they have on average prefers %v", got)
	}
}

func TestNewForecast(t *testing.T) {
	w := tenants(t)
	w.machine("a", amounts("64", "256Gi", ""))
	w.machine("b", amounts("32", "128Gi", ""))
	w.machine("vm", amounts("64", "256Gi", ""), "", "kata-qemu")
	w.add(w.pod("red", "r", on("n1")))
	w.add(w.pod("blue", "b", on("kata1"), class("kata")))
	for name, tc := range map[string]struct {
		pod   *v1.Pod
		nodes []string
		want  bool
	}{
		"its trust domain is on one of the nodes":         {pod: w.pod("red", "p"), nodes: []string{"a", "n1", "b"}},
		"a VM may share one of the nodes":                 {pod: w.pod("red", "v", class("kata")), nodes: []string{"vm", "kata1", "a"}},
		"there is one machine":                            {pod: w.pod("red", "p"), nodes: []string{"a"}},
		"there is one machine that is not kept for VMs":   {pod: w.pod("red", "p"), nodes: []string{"a", "vm"}},
		"all are empty":                                   {pod: w.pod("red", "p"), nodes: []string{"a", "b"}, want: true},
		"others are on one, and where nothing is refused": {pod: w.pod("blue", "p"), nodes: []string{"a", "n1", "b"}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			var nodes []fwk.NodeInfo
			for _, node := range tc.nodes {
				nodes = append(nodes, w.snapshot[node])
			}
			got := w.pl.newForecast(framework.NewCycleState(), w.cycle(tc.pod), nodes)
			if (got != nil) != tc.want {
				t.Errorf("asks which machine to open: %t, want %t", got != nil, tc.want)
			}
		})
	}
}

// TestForecastOfSharedMachines: the VMs ask for memory, all others for CPU.
func TestForecastOfSharedMachines(t *testing.T) {
	w := tenants(t)
	w.machine("memory", amounts("32", "512Gi", ""), "", "kata-qemu")
	w.machine("cpu", amounts("64", "128Gi", ""), "", "kata-qemu")
	w.machine("full", amounts("4", "500Gi", ""), "", "kata-qemu")
	w.add(w.pod("blue", "b", on("full"), class("kata"), asks(amounts("4", "500Gi", ""))))
	w.machine("of-blue", amounts("64", "128Gi", ""))
	w.add(w.pod("blue", "c", on("of-blue"), asks(amounts("64", "1Gi", ""))))
	w.add(w.pod("blue", "d", on("n1"), asks(amounts("64", "1Gi", ""))))
	pod := w.pod("red", "p", class("kata"), asks(amounts("1", "1Gi", "")))
	if got := w.opens(pod, "cpu", "memory"); !slices.Equal(got, []string{"memory"}) {
		t.Errorf("opens %v", got)
	}
}

func TestSuits(t *testing.T) {
	w := tenants(t)
	var nodes []fwk.NodeInfo
	for i, offers := range []v1.ResourceList{amounts("1", "1Gi", ""), amounts("64", "1Gi", "8"), amounts("1", "900Gi", ""), amounts("0", "0", "1")} {
		name := fmt.Sprintf("m%d", i)
		w.machine(name, offers)
		nodes = append(nodes, w.snapshot[name])
	}
	for _, asked := range []v1.ResourceList{{}, amounts("1", "1Gi", ""), amounts("900", "1Gi", "3")} {
		pod := w.pod("red", "p", asks(asked))
		o := w.pl.newForecast(framework.NewCycleState(), w.cycle(pod), nodes)
		for _, info := range nodes {
			if got := o.suits(info); !(got >= 0 && got <= 1) {
				t.Errorf("%s suits %v for %v", info.Node().Name, got, asked)
			}
		}
	}
}
