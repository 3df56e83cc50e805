package tenantisolation

import (
	"context"
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// benchCluster has so many nodes with 30 pods each, of 20 tenants; tenant i is at home on
// every node whose number is i modulo 20.
func benchCluster(b *testing.B, nodes int) (*world, []fwk.NodeInfo) {
	b.Helper()
	w := newWorld(b)
	for tenant := range 20 {
		w.namespace(fmt.Sprintf("t%d", tenant), fmt.Sprintf("tenant=t%d", tenant))
	}
	infos := make([]fwk.NodeInfo, 0, nodes)
	for n := range nodes {
		name := fmt.Sprintf("node-%05d", n)
		w.node(name)
		for p := range 30 {
			w.add(w.pod(fmt.Sprintf("t%d", n%20), fmt.Sprintf("p%d-%d", n, p), on(name)))
		}
		infos = append(infos, w.snapshot[name])
	}
	return w, infos
}

// BenchmarkFilter is one Filter call on a warm node, over all nodes in turn, as in a
// cycle: memory that the processor's caches do not hold is part of the price.
func BenchmarkFilter(b *testing.B) {
	for _, nodes := range []int{500, 5000} {
		w, infos := benchCluster(b, nodes)
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
	w, infos := benchCluster(b, 500)
	rules := w.pl.rules.Load()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.pl.workOut(rules, infos[i%len(infos)])
		i++
	}
}

func BenchmarkPreFilter(b *testing.B) {
	for _, nodes := range []int{100, 5000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			w, infos := benchCluster(b, nodes)
			pod := w.add(w.pod("t0", "incoming"))
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				w.pl.PreFilter(ctx, framework.NewCycleState(), pod, infos)
			}
		})
	}
}

func BenchmarkScore(b *testing.B) {
	w, infos := benchCluster(b, 5000)
	pod := w.pod("t0", "incoming")
	state := framework.NewCycleState()
	state.Write(cycleKey, w.pl.newCycle(pod))
	ctx := context.Background()
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
				w.pl.judge(w.pl.rules.Load(), pod)
			}
		})
	}
}

// BenchmarkHintAfterPodGone is one pending pod asked about a deletion: the answer for the
// node is shared by all of them.
func BenchmarkHintAfterPodGone(b *testing.B) {
	w, _ := benchCluster(b, 500)
	gone := w.pod("t1", "gone", on("node-00000"))
	pod := w.add(w.pod("t2", "incoming"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.pl.afterPodGone(w.pl.logger, pod, gone, nil); err != nil {
			b.Fatal(err)
		}
	}
}
