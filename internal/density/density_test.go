package density

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// optimum is the oracle: it tries every placement of the pods that leaves none out. It
// returns the fewest nodes, and false if there is no such placement.
func optimum(in *Instance) (int, bool) {
	at := make(Placement, len(in.Pods))
	best, found := 0, false
	var try func(i int)
	try = func(i int) {
		if i == len(in.Pods) {
			if in.Validate(at) == nil {
				if n := in.Use(at).Nodes; !found || n < best {
					best, found = n, true
				}
			}
			return
		}
		for n := range in.Nodes {
			if in.Pods[i].Pinned && in.Pods[i].On != n {
				continue
			}
			at[i] = n
			try(i + 1)
		}
	}
	try(0)
	return best, found
}

// tiny makes an instance small enough for the oracle.
func tiny(random *rand.Rand) *Instance {
	in := &Instance{Dimensions: []string{"cpu", "memory"}}
	for n := range 4 {
		size := Vector{int64(4 + random.IntN(3)*2), int64(4 + random.IntN(3)*2)}
		in.Nodes = append(in.Nodes, Node{Name: fmt.Sprint("n", n), Shape: fmt.Sprint(size), Capacity: size})
	}
	for i := range 1 + random.IntN(6) {
		p := Pod{
			Name: fmt.Sprint("p", i), Tenant: fmt.Sprint("t", random.IntN(2)),
			Request: Vector{int64(random.IntN(5)), int64(random.IntN(5))},
		}
		p.Domain = p.Tenant + fmt.Sprint("/", random.IntN(2))
		p.VM = random.IntN(3) == 0
		p.Open = p.VM && random.IntN(4) > 0
		if random.IntN(5) == 0 {
			p.Nodes = []bool{random.IntN(2) == 0, true, random.IntN(2) == 0, true}
		}
		if i == 0 && random.IntN(4) == 0 {
			p.Pinned, p.On = true, random.IntN(4)
		}
		in.Pods = append(in.Pods, p)
	}
	return in
}

func TestPackAndBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	solved, exact := 0, 0
	for range 400 {
		in := tiny(random)
		packed := in.Pack()
		if err := in.Validate(packed); err != nil {
			t.Fatalf("Pack: %v\n%+v\n%v", err, in, packed)
		}
		best, possible := optimum(in)
		used := in.Use(packed)
		if !possible {
			if used.Unplaced == 0 {
				t.Fatalf("every pod is placed where no placement takes all\n%+v\n%v", in, packed)
			}
			continue
		}
		if lower := in.LowerBound(); lower > best {
			t.Fatalf("lower bound %d, but %d nodes will do\n%+v", lower, best, in)
		}
		if lower := in.IsolatedLowerBound(); lower > best {
			t.Fatalf("isolated lower bound %d, but %d nodes will do\n%+v", lower, best, in)
		}
		if in.IsolatedLowerBound() < in.LowerBound() {
			t.Fatalf("keeping apart needs fewer nodes than not\n%+v", in)
		}
		if used.Unplaced > 0 {
			continue // a heuristic may miss a tight fit
		}
		if used.Nodes < best {
			t.Fatalf("Pack opens %d nodes, the optimum is %d\n%+v\n%v", used.Nodes, best, in, packed)
		}
		solved++
		if used.Nodes == best {
			exact++
		}
	}
	// Of tiny instances nearly all come out exact; if that changes, the yardstick has.
	if solved < 200 || exact < solved*95/100 {
		t.Errorf("of %d instances that Pack solved %d are optimal", solved, exact)
	}
}

func TestPools(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		in := tiny(random)
		for i := range in.Pods {
			in.Pods[i].Open = false
		}
		pooled := in.Pools(func(p *Pod) string { return p.Domain })
		if err := in.Validate(pooled); err != nil {
			t.Fatalf("%v\n%+v\n%v", err, in, pooled)
		}
	}
}

func cluster(nodes int, capacity Vector, pods ...Pod) *Instance {
	in := &Instance{Dimensions: make([]string, len(capacity)), Pods: pods}
	for n := range nodes {
		in.Nodes = append(in.Nodes, Node{Name: fmt.Sprint("n", n), Shape: "m", Capacity: slices.Clone(capacity)})
	}
	return in
}

func container(domain string, request ...int64) Pod {
	return Pod{Name: domain, Tenant: domain[:1], Domain: domain, Request: request}
}

func vm(domain string, request ...int64) Pod {
	p := container(domain, request...)
	p.VM, p.Open = true, true
	return p
}

func TestPack(t *testing.T) {
	for name, tc := range map[string]struct {
		in            *Instance
		packed, pools int
		bound, apart  int
	}{
		"trust domains that share nothing need a node each": {
			in:     cluster(4, Vector{10}, container("a/1", 1), container("a/2", 1), container("b/1", 1)),
			packed: 3, pools: 3, bound: 1, apart: 3,
		},
		"virtual machines of different trust domains share one": {
			in:     cluster(4, Vector{10}, vm("a/1", 1), vm("a/2", 1), vm("b/1", 1)),
			packed: 1, pools: 3, bound: 1, apart: 1,
		},
		"a virtual machine joins the containers of its own trust domain, another's does not": {
			in:     cluster(4, Vector{10}, container("a/1", 5), vm("a/1", 5), vm("b/1", 5)),
			packed: 2, pools: 2, bound: 2, apart: 2,
		},
		"the scarcest resource bounds": {
			in:     cluster(4, Vector{10, 4}, container("a/1", 1, 3), container("a/1", 1, 3)),
			packed: 2, pools: 2, bound: 2, apart: 2,
		},
		"a packing takes large pods first, a pool takes them as they come": {
			in:     cluster(4, Vector{10}, container("a/1", 4), container("a/1", 4), container("a/1", 6), container("a/1", 6)),
			packed: 2, pools: 3, bound: 2, apart: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.in.Use(tc.in.Pack()).Nodes; got != tc.packed {
				t.Errorf("packed: want %d nodes, got %d", tc.packed, got)
			}
			if got := tc.in.Use(tc.in.Pools(func(p *Pod) string { return p.Domain })).Nodes; got != tc.pools {
				t.Errorf("pools: want %d nodes, got %d", tc.pools, got)
			}
			if got := tc.in.LowerBound(); got != tc.bound {
				t.Errorf("lower bound: want %d, got %d", tc.bound, got)
			}
			if got := tc.in.IsolatedLowerBound(); got != tc.apart {
				t.Errorf("isolated lower bound: want %d, got %d", tc.apart, got)
			}
		})
	}
}
