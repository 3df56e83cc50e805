package tenantisolation

import (
	"fmt"
	"testing"
)

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
