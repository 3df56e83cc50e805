package app

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-base/metrics/legacyregistry"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// BenchmarkMemory is what a leader with the audit on remembers of each pod and node, and how
// much more a sweep takes, beside the objects themselves, which the scheduler's own informers
// hold. Thirty pods are on each node.
func BenchmarkMemory(b *testing.B) {
	for _, nodes := range []int{500, 2000} {
		b.Run(fmt.Sprintf("nodes=%d/pods=%d", nodes, 30*nodes), func(b *testing.B) {
			for b.Loop() {
				informersAlone := leaderHeap(b, nodes, 30, false)
				withPods := leaderHeap(b, nodes, 30, true)
				emptyAlone := leaderHeap(b, nodes, 0, false)
				withNodes := leaderHeap(b, nodes, 0, true)
				ours, oursOfNodes := withPods.settled-informersAlone.settled, withNodes.settled-emptyAlone.settled
				b.ReportMetric(oursOfNodes/float64(nodes), "B/node")
				b.ReportMetric((ours-oursOfNodes)/float64(30*nodes), "B/pod")
				b.ReportMetric((withPods.peak-withPods.settled)/float64(30*nodes), "sweep-B/pod")
			}
			b.ReportMetric(0, "ns/op") // of the whole measurement, and of no use
		})
	}
}

// usage is the memory in use, in bytes: after everything has been read and a sweep has
// ended, and the most that was seen between the two.
type usage struct{ settled, peak float64 }

func leaderHeap(b *testing.B, nodes, podsPerNode int, plugin bool) usage {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	factory := informers.NewSharedInformerFactory(largeCluster(nodes, podsPerNode), 0)
	factory.Core().V1().Namespaces().Informer()
	factory.Core().V1().Nodes().Informer()
	factory.Core().V1().Pods().Informer()
	defer debug.SetGCPercent(debug.SetGCPercent(2))
	var kept fwk.Plugin
	swept := lastSweep(b)
	if plugin {
		var err error
		if kept, err = NewPlugin(ctx, &config.TenantIsolationArgs{Policy: &k8sruntime.RawExtension{Raw: []byte("{}")}}, &memoryHandle{factory: factory}); err != nil {
			b.Fatal(err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	// What the lists left behind is no part of the sweep, which begins when the process has
	// waited for an election.
	runtime.GC()
	var u usage
	for deadline := time.Now().Add(2 * time.Minute); plugin && lastSweep(b) == swept; {
		if time.Now().After(deadline) {
			b.Fatal("no sweep after two minutes")
		}
		u.peak = max(u.peak, heapInUse())
		time.Sleep(2 * time.Millisecond)
	}
	runtime.GC()
	runtime.GC()
	u.settled = heapInUse()
	runtime.KeepAlive(kept)
	cancel()
	factory.Shutdown()
	return u
}

func heapInUse() float64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// lastSweep returns when the audit last looked at the whole cluster, zero if it never has.
func lastSweep(b *testing.B) float64 {
	b.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, family := range families {
		if strings.HasSuffix(family.GetName(), "audit_last_sweep_timestamp_seconds") && len(family.GetMetric()) > 0 {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}

// largeCluster is a client of an API server with so many nodes, each with pods of one of 50
// tenants.
func largeCluster(nodes, podsPerNode int) clientset.Interface {
	client := fake.NewClientset()
	answer := func(resource string, list func() k8sruntime.Object) {
		client.PrependReactor("list", resource, func(clienttesting.Action) (bool, k8sruntime.Object, error) { return true, list(), nil })
	}
	answer("namespaces", func() k8sruntime.Object {
		list := &v1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
		for i := range 50 {
			list.Items = append(list.Items, v1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("t%d", i), Labels: map[string]string{"tenantisolation.dev/tenant": fmt.Sprintf("t%d", i)},
			}})
		}
		return list
	})
	answer("nodes", func() k8sruntime.Object {
		list := &v1.NodeList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
		for i := range nodes {
			list.Items = append(list.Items, v1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%05d", i)}})
		}
		return list
	})
	answer("pods", func() k8sruntime.Object {
		list := &v1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
		for i := range nodes * podsPerNode {
			namespace, name := fmt.Sprintf("t%d", i/podsPerNode%50), fmt.Sprintf("pod-%07d", i)
			list.Items = append(list.Items, v1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1"},
				Spec: v1.PodSpec{
					NodeName: fmt.Sprintf("node-%05d", i/podsPerNode), SchedulerName: "tenant-isolation-scheduler",
					Containers: []v1.Container{{Name: "app", Image: "example.com/app:1"}},
				},
				Status: v1.PodStatus{Phase: v1.PodRunning},
			})
		}
		return list
	})
	return client
}

// memoryHandle is the part of the framework that a plugin needs to follow a cluster.
type memoryHandle struct {
	fwk.Handle
	factory informers.SharedInformerFactory
}

func (h *memoryHandle) SharedInformerFactory() informers.SharedInformerFactory { return h.factory }
func (h *memoryHandle) ClientSet() clientset.Interface                         { return fake.NewClientset() }

func (h *memoryHandle) ProfileName() string { return "tenant-isolation-scheduler" }
