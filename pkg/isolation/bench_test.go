package isolation

import (
	"fmt"
	"testing"
)

// workload is an incoming pod and a node of some size, for benchmarks and for the
// tests of what they cost.
type workload struct {
	name     string
	incoming podBuilder
	// resident returns the i-th pod of the node.
	resident func(i int) podBuilder
	want     Reason
}

func workloads() []workload {
	acme := makePod("acme").NamespaceLabel(dataClassLabel, "internal")
	tenantVM := func(i int) podBuilder { return makePod(fmt.Sprintf("tenant-%d", i%10)).RuntimeClass("kata") }
	return []workload{
		{"admit-same-domain", acme, func(int) podBuilder { return acme }, SameTrustDomain},
		{"admit-separate-kernels", acme.RuntimeClass("kata"), tenantVM, SeparateKernels},
		{"deny-foreign", acme, tenantVM, ForeignResident},
		{"deny-last-of-many", acme, func(i int) podBuilder {
			if i == 0 {
				return makePod("globex")
			}
			return acme
		}, ForeignResident},
	}
}

func (w workload) residents(p *Policy, n int) []Resident {
	rs := make([]Resident, 0, n)
	for i := range n {
		rs = append(rs, Resident{UID: uid(i), Subject: p.Resolve(w.resident(i).Obj())})
	}
	return rs
}

func (w workload) node(p *Policy, n int) *Node {
	return &Node{Occupancy: NewOccupancy(w.residents(p, n)), Handlers: map[string]bool{"kata": true, "runc": true}}
}

// Filter calls Decide for every node of the cluster, for every pod.
func TestDecideAllocatesNothing(t *testing.T) {
	p := makePolicy(t)
	for _, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			incoming, node := p.Resolve(w.incoming.Obj()), w.node(p, 110)
			var v Verdict
			if n := testing.AllocsPerRun(100, func() { v = Decide(&incoming, node) }); n != 0 {
				t.Errorf("allocates %v times", n)
			}
			if v.Reason() != w.want {
				t.Errorf("got %s, want %s", v.Reason(), w.want)
			}
			if n := testing.AllocsPerRun(100, func() { _ = p.MayEvict(v) || node.Occupancy.Holds(incoming) || v.Reason().Sentence() == "" }); n != 0 {
				t.Errorf("what follows a verdict allocates %v times", n)
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	p := makePolicy(b)
	for _, w := range workloads() {
		for _, n := range []int{30, 110} {
			b.Run(fmt.Sprintf("%s/residents=%d", w.name, n), func(b *testing.B) {
				incoming, node := p.Resolve(w.incoming.Obj()), w.node(p, n)
				b.ReportAllocs()
				for b.Loop() {
					if v := Decide(&incoming, node); v.Reason() != w.want {
						b.Fatalf("got %s, want %s", v.Reason(), w.want)
					}
				}
			})
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	p := makePolicy(b)
	full := makePod("acme").NamespaceLabel(dataClassLabel, "internal").NamespaceLabel(privilegeLabel, "baseline").
		NamespaceLabel(boundaryLabel, "vm").Label(dataClassLabel, "restricted").Label(privilegeLabel, "restricted").
		Label(tenantLabel, "acme").RuntimeClass("kata").Annotation(allowedAnnotation, "2")
	for name, pod := range map[string]podBuilder{
		"plain": makePod("acme"), "every-label": full, "unmanaged": makePod("").Namespace(unmanagedNamespace()),
	} {
		b.Run(name, func(b *testing.B) {
			pod := pod.Obj()
			b.ReportAllocs()
			for b.Loop() {
				p.Resolve(pod)
			}
		})
	}
}

func BenchmarkNewOccupancy(b *testing.B) {
	p := makePolicy(b)
	for _, w := range workloads()[:2] {
		for _, n := range []int{30, 110} {
			b.Run(fmt.Sprintf("%s/residents=%d", w.name, n), func(b *testing.B) {
				rs := w.residents(p, n)
				b.ReportAllocs()
				for b.Loop() {
					NewOccupancy(rs)
				}
			})
		}
	}
}

func BenchmarkWith(b *testing.B) {
	p := makePolicy(b)
	for _, n := range []int{30, 110} {
		b.Run(fmt.Sprintf("residents=%d", n), func(b *testing.B) {
			w := workloads()[1]
			o := NewOccupancy(w.residents(p, n))
			r := Resident{UID: "another", Subject: p.Resolve(w.incoming.Obj())}
			b.ReportAllocs()
			for b.Loop() {
				_ = o.With(r)
			}
		})
	}
}
