package audit

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

// fill makes a cluster of nodes with 30 pods each; one in ten nodes has a foreign pod more.
func fill(tb testing.TB, nodes int) *Engine {
	tb.Helper()
	e := newEngine(tb, makeNamespace("kube-system", ""))
	for i := range 50 {
		set(tb, e, makeNamespace(fmt.Sprintf("t%d", i), fmt.Sprintf("t%d", i)))
	}
	for i := range nodes {
		node := fmt.Sprintf("node-%05d", i)
		set(tb, e, makeNode(node))
		for j := range 30 {
			namespace := fmt.Sprintf("t%d", i%50)
			switch {
			case j == 0:
				namespace = "kube-system"
			case j == 1 && i%10 == 0:
				namespace = fmt.Sprintf("t%d", (i+1)%50)
			}
			p := makePod(namespace, fmt.Sprintf("p-%05d-%02d", i, j), node)
			p.Spec.Containers = append(p.Spec.Containers, v1.Container{Name: "sidecar"})
			set(tb, e, p)
		}
	}
	return e
}

// The size that the command line tool is meant for. The figures are printed; only the memory is
// asserted, which does not depend on how busy the machine is.
func TestWholeCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("150,000 pods")
	}
	begin := time.Now()
	e := fill(t, 5000)
	filled := time.Now()
	r := e.Report()
	reported := time.Now()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("5,000 nodes, 150,000 pods: read in %v, judged in %v, %d MiB of live memory with the pods in it",
		filled.Sub(begin).Round(time.Millisecond), reported.Sub(filled).Round(time.Millisecond), m.HeapAlloc>>20)
	if r.Nodes != 5000 || r.Pods != 150000 || r.PairsChecked != 5000*29*28/2 || r.PairsBreaking != 500*28 || len(r.Findings) != 500 {
		t.Errorf("summary: got %+v and %d findings", r.Summary, len(r.Findings))
	}
	if m.HeapAlloc > 1<<30 {
		t.Errorf("want less than 1 GiB of live memory, got %d MiB", m.HeapAlloc>>20)
	}
	runtime.KeepAlive(e)
}

// The cost of a change does not depend on the size of the cluster.
func BenchmarkChange(b *testing.B) {
	for _, nodes := range []int{50, 500, 5000} {
		b.Run(fmt.Sprintf("nodes=%d/pods=%d", nodes, nodes*30), func(b *testing.B) {
			e := fill(b, nodes)
			e.Changes()
			intruder := makePod("t7", "intruder", "node-00001")
			b.ReportAllocs()
			for b.Loop() {
				set(b, e, intruder)
				if c := e.Changes(); len(c.Began) != 1 {
					b.Fatal("want one finding")
				}
				remove(b, e, intruder)
				if c := e.Changes(); len(c.Ended) != 1 {
					b.Fatal("want it ended")
				}
			}
		})
	}
}
