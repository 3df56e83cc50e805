package tenantisolation

import (
	"fmt"
	"maps"
	"runtime"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// heap returns the bytes that are in use.
func heap() float64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// BenchmarkMemory is what the plugin remembers of each pod and node, beside the objects
// themselves, which the scheduler's own informers hold. Ten pods are on each node.
func BenchmarkMemory(b *testing.B) {
	for _, nodes := range []int{1500, 15000} {
		b.Run(fmt.Sprintf("nodes=%d/pods=%d", nodes, 10*nodes), func(b *testing.B) {
			for b.Loop() {
				measureMemory(b, nodes)
			}
			// Of the whole measurement, and of no use.
			b.ReportMetric(0, "ns/op")
		})
	}
}

func measureMemory(b *testing.B, nodes int) {
	b.Helper()
	w := newWorld(b)
	for tenant := range 20 {
		w.namespace(fmt.Sprintf("t%d", tenant), fmt.Sprintf("tenant=t%d", tenant))
	}
	made := make([]*v1.Node, 0, nodes)
	pods := make([]*v1.Pod, 0, 10*nodes)
	state := framework.NewCycleState()
	for n := range nodes {
		name := fmt.Sprintf("node-%05d", n)
		node := &v1.Node{}
		node.Name = name
		made = append(made, node)
		w.snapshot[name] = framework.NewNodeInfo()
		w.snapshot[name].SetNode(node)
		for p := range 10 {
			pod := w.pod(fmt.Sprintf("t%d", n%20), fmt.Sprintf("p%d-%d", n, p), on(name))
			pods = append(pods, pod)
			w.snapshot[name].AddPodInfo(mustPodInfo(b, pod))
		}
	}

	before := heap()
	for _, node := range made {
		w.pl.nodeChanged(nil, node)
	}
	withNodes := heap()
	for _, pod := range pods {
		w.pl.podChanged(nil, pod)
	}
	withPods := heap()
	rules := w.pl.rules.Load()
	for _, node := range made {
		w.pl.node(state, rules, w.snapshot[node.Name])
	}
	withMemo := heap()

	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, pod := range pods {
		if err := store.Add(pod); err != nil {
			b.Fatal(err)
		}
	}
	withoutIndexes := heap()
	if err := store.AddIndexers(maps.Clone(podIndexers)); err != nil {
		b.Fatal(err)
	}
	withIndexes := heap()

	b.ReportMetric((withNodes-before+withMemo-withPods)/float64(nodes), "B/node")
	b.ReportMetric((withPods-withNodes)/float64(len(pods)), "B/pod")
	b.ReportMetric((withIndexes-withoutIndexes)/float64(len(pods)), "B/pod-index")
	runtime.KeepAlive(store)
	runtime.KeepAlive(w)
	runtime.KeepAlive(pods)
}

// BenchmarkRelabel is a namespace that gets another data class while so many of its pods
// are on nodes, ten on each. No pod is pending.
func BenchmarkRelabel(b *testing.B) {
	for _, pods := range []int{100, 10000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			w := newWorld(b)
			w.namespace("red", "tenant=red")
			for i := range pods {
				name := fmt.Sprintf("node-%05d", i/10)
				if i%10 == 0 {
					w.node(name)
				}
				w.add(w.pod("red", fmt.Sprintf("p%d", i), on(name)))
			}
			classes := []string{"data-class=public", "data-class=internal"}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				w.namespace("red", "tenant=red", classes[i%2])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(pods), "ns/pod")
		})
	}
}
