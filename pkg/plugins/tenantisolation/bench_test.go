package tenantisolation

import (
	"context"
	"fmt"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	schedulermetrics "k8s.io/kubernetes/pkg/scheduler/metrics"
)

// benchCluster has so many nodes with so many pods each, of 20 tenants; tenant i is at home
// on every node whose number is i modulo 20.
func benchCluster(b *testing.B, nodes, podsOnEach int) (*world, []fwk.NodeInfo) {
	b.Helper()
	w := newWorld(b)
	for tenant := range 20 {
		w.namespace(fmt.Sprintf("t%d", tenant), fmt.Sprintf("tenant=t%d", tenant))
	}
	infos := make([]fwk.NodeInfo, 0, nodes)
	for n := range nodes {
		name := fmt.Sprintf("node-%05d", n)
		w.node(name)
		for p := range podsOnEach {
			w.add(w.pod(fmt.Sprintf("t%d", n%20), fmt.Sprintf("p%d-%d", n, p), on(name)))
		}
		infos = append(infos, w.snapshot[name])
	}
	return w, infos
}

// BenchmarkFilter is one Filter call on a warm node, over all nodes in turn, as in a
// cycle: memory that the processor's caches do not hold is part of the price.
func BenchmarkFilter(b *testing.B) {
	for _, nodes := range []int{500, 5000, 15000} {
		w, infos := benchCluster(b, nodes, 10)
		for name, only := range map[string]func(i int) bool{
			"admit": func(i int) bool { return i%20 == 0 },
			"deny":  func(i int) bool { return i%20 != 0 },
		} {
			var chosen []fwk.NodeInfo
			for i := range infos {
				if only(i) {
					chosen = append(chosen, infos[i])
				}
			}
			b.Run(fmt.Sprintf("nodes=%d/%s", nodes, name), func(b *testing.B) {
				pod := w.pod("t0", "incoming")
				state := framework.NewCycleState()
				state.Write(cycleKey, w.pl.newCycle(pod))
				ctx := context.Background()
				for _, info := range chosen {
					if got := w.pl.Filter(ctx, state, pod, info).IsSuccess(); got != (name == "admit") {
						b.Fatalf("admitted: %v", got)
					}
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					w.pl.Filter(ctx, state, pod, chosen[i])
					if i++; i == len(chosen) {
						i = 0
					}
				}
			})
		}
	}
}

// BenchmarkNodeChange is what one change of a node costs: its occupancy worked out from 30
// pods that have been judged before.
func BenchmarkNodeChange(b *testing.B) {
	w, infos := benchCluster(b, 500, 30)
	rules := w.store.Rules()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.pl.compute(rules, infos[i%len(infos)])
		i++
	}
}

// BenchmarkPreFilter is one PreFilter call with the filters of the default profile. Each
// tenant has a twentieth of the nodes: all with room for the pod, or full up to the last.
func BenchmarkPreFilter(b *testing.B) {
	for _, nodes := range []int{100, 500, 5000, 15000} {
		for name, full := range map[string]bool{"room": false, "full-but-one": true} {
			if full && nodes != 5000 {
				continue
			}
			b.Run(fmt.Sprintf("nodes=%d/%s", nodes, name), func(b *testing.B) {
				w, infos := benchCluster(b, nodes, 10)
				for n := 0; full && n < nodes-20; n += 20 {
					w.add(w.pod("t0", fmt.Sprintf("big-%d", n), on(infos[n].Node().Name), requests("64")))
				}
				f := w.defaultFramework(b)
				pod := w.add(w.pod("t0", "incoming", requests("100m")))
				ctx := context.Background()
				state := framework.NewCycleState()
				if result, status, _ := f.RunPreFilterPlugins(ctx, state, pod); !status.IsSuccess() || (result != nil) != (nodes > alwaysSampled) {
					b.Fatalf("%v, %v", result, status)
				}
				b.ReportAllocs()
				for b.Loop() {
					w.pl.PreFilter(ctx, state, pod, infos)
				}
			})
		}
	}
}

// BenchmarkPreFilterOfOthers is a pod that is none of the plugin's business.
func BenchmarkPreFilterOfOthers(b *testing.B) {
	w, infos := benchCluster(b, 5000, 10)
	w.namespace("nobodys")
	for name, pod := range map[string]*v1.Pod{
		"platform":  w.add(w.pod("kube-system", "agent")),
		"unmanaged": w.add(w.pod("nobodys", "pod")),
	} {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			state := framework.NewCycleState()
			b.ReportAllocs()
			for b.Loop() {
				w.pl.PreFilter(ctx, state, pod, infos)
			}
		})
	}
}

// noNominations is a scheduler in which no pod waits for a preemption.
type noNominations struct{ fwk.PodNominator }

func (noNominations) NominatedPodsForNode(string) []fwk.PodInfo { return nil }

// noDevices is a cluster without a DeviceClass.
type noDevices struct{ fwk.SharedDRAManager }

func (d noDevices) DeviceClassResolver() fwk.DeviceClassResolver { return d }

func (noDevices) GetDeviceClass(v1.ResourceName) *resourceapi.DeviceClass { return nil }

// defaultFramework is the default profile with the plugin in it, as it is shipped, on the
// nodes of the world. The plugin is the world's and asks it from now on.
func (w *world) defaultFramework(tb testing.TB) framework.Framework {
	tb.Helper()
	configuration, err := latest.Default()
	if err != nil {
		tb.Fatal(err)
	}
	profile := &configuration.Profiles[0]
	this := schedulerconfig.Plugin{Name: Name, Weight: 100}
	profile.Plugins.MultiPoint.Enabled = append(profile.Plugins.MultiPoint.Enabled, this)
	profile.Plugins.Filter.Enabled = append(profile.Plugins.Filter.Enabled, this)
	profile.Plugins.Bind.Enabled = append(profile.Plugins.Bind.Enabled, this)
	// Needs a cache of its own, and has nothing to do for these pods.
	all := &profile.Plugins.MultiPoint
	all.Enabled = slices.DeleteFunc(all.Enabled, func(p schedulerconfig.Plugin) bool { return p.Name == names.DynamicResources })
	registry := plugins.NewInTreeRegistry()
	if err := registry.Register(Name, func(_ context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		w.pl.handle = handle
		return w.pl, nil
	}); err != nil {
		tb.Fatal(err)
	}
	schedulermetrics.Register()
	client := fake.NewClientset()
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	f, err := frameworkruntime.NewFramework(ctx, registry, profile,
		frameworkruntime.WithClientSet(client),
		frameworkruntime.WithInformerFactory(informers.NewSharedInformerFactory(client, 0)),
		frameworkruntime.WithSnapshotSharedLister(&fakeHandle{world: w}),
		frameworkruntime.WithPodNominator(noNominations{}),
		frameworkruntime.WithSharedDRAManager(noDevices{}),
	)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func BenchmarkScore(b *testing.B) {
	w, infos := benchCluster(b, 5000, 10)
	pod := w.pod("t0", "incoming")
	state := framework.NewCycleState()
	state.Write(cycleKey, w.pl.newCycle(pod))
	ctx := context.Background()
	w.pl.PreScore(ctx, state, pod, infos)
	for _, info := range infos {
		w.pl.Score(ctx, state, pod, info)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.pl.Score(ctx, state, pod, infos[i%len(infos)])
		i++
	}
}

// BenchmarkPreScore is a pod that has to open one of 500 machines, the framework's sample
// of 5,000 nodes, while its trust domain has 250 others.
func BenchmarkPreScore(b *testing.B) {
	w, infos := benchCluster(b, 5000, 10)
	w.listed = infos
	var machines []fwk.NodeInfo
	for n := range 500 {
		name := fmt.Sprintf("empty-%d", n)
		w.node(name)
		machines = append(machines, w.snapshot[name])
	}
	pod := w.pod("t0", "incoming", requests("100m"))
	state := framework.NewCycleState()
	state.Write(cycleKey, w.pl.newCycle(pod))
	ctx := context.Background()
	w.pl.PreScore(ctx, state, pod, machines)
	b.ReportAllocs()
	for b.Loop() {
		w.pl.PreScore(ctx, state, pod, machines)
	}
}

// BenchmarkJudge is a new version of a pod: its spec read, its trust domain worked out.
func BenchmarkJudge(b *testing.B) {
	w := newWorld(b)
	w.namespace("red", "tenant=red")
	for name, pod := range map[string]*v1.Pod{
		"restricted": w.pod("red", "p"),
		"privileged": w.pod("red", "p", privileged),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.store.SubjectOf(w.store.Rules(), pod)
			}
		})
	}
}

// BenchmarkHintAfterPodGone is one pending pod asked about a deletion: the answer for the
// node is shared by all of them.
func BenchmarkHintAfterPodGone(b *testing.B) {
	w, _ := benchCluster(b, 500, 30)
	gone := w.pod("t1", "gone", on("node-00000"))
	pod := w.add(w.pod("t2", "incoming"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.pl.afterPodGone(w.pl.logger, pod, gone, nil); err != nil {
			b.Fatal(err)
		}
	}
}
