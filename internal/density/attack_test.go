package density

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestBlastRadius(t *testing.T) {
	for name, tc := range map[string]struct {
		in   *Instance
		at   Placement
		want Radius
	}{
		"a container's kernel reaches all pods on the node": {
			in:   cluster(2, Vector{9}, container("a/1", 1), container("a/1", 1), container("b/1", 1)),
			at:   Placement{0, 0, 1},
			want: Radius{PodsMean: 5.0 / 3, PodsMax: 2, TenantsMean: 1, TenantsMax: 1, DomainsMax: 1},
		},
		"a virtual machine's kernel is its own": {
			in:   cluster(1, Vector{9}, vm("a/1", 1), vm("b/1", 1)),
			at:   Placement{0, 0},
			want: Radius{PodsMean: 1, PodsMax: 1, TenantsMean: 1, TenantsMax: 1, DomainsMax: 1},
		},
		"a container beside a virtual machine owns its hypervisor": {
			in:   cluster(1, Vector{9}, container("a/1", 1), vm("b/1", 1)),
			at:   Placement{0, 0},
			want: Radius{PodsMean: 1.5, PodsMax: 2, TenantsMean: 1.5, TenantsMax: 2, DomainsMax: 2},
		},
		"a pod without a node reaches no one": {
			in:   cluster(1, Vector{9}, container("a/1", 1), container("a/1", 1)),
			at:   Placement{0, Unplaced},
			want: Radius{PodsMean: 1, PodsMax: 1, TenantsMean: 1, TenantsMax: 1, DomainsMax: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.in.Radius(tc.at); got != tc.want {
				t.Errorf("want %+v, got %+v", tc.want, got)
			}
		})
	}
}

func TestMeetings(t *testing.T) {
	// Two of a's four pods are on nodes of b; b's one pod is on a node of a.
	in := cluster(3, Vector{9}, container("a/1", 1), container("a/1", 1), vm("a/2", 1), container("a/1", 1), container("b/1", 1))
	at := Placement{0, 1, 1, 2, 1}
	got := in.Meetings(at, 1, 2, 9)
	for i, want := range []Meeting{
		{Pods: 1, Node: (2.0/4 + 1) / 2, Kernel: (1.0/4 + 1) / 2},
		{Pods: 2, Node: (1 - 2.0*1/(4*3) + 1) / 2, Kernel: (2.0/4 + 1) / 2},
		{Pods: 9, Node: 1, Kernel: 1},
	} {
		if math.Abs(got[i].Node-want.Node) > 1e-9 || math.Abs(got[i].Kernel-want.Kernel) > 1e-9 || got[i].Pods != want.Pods {
			t.Errorf("want %+v, got %+v", want, got[i])
		}
	}
}

func TestHits(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const draws = 20000
	for _, tc := range [][3]int{{10, 3, 1}, {10, 3, 5}, {7, 1, 3}, {4, 0, 2}, {4, 4, 1}} {
		hit := 0
		for range draws {
			for _, i := range random.Perm(tc[0])[:tc[2]] {
				if i < tc[1] {
					hit++
					break
				}
			}
		}
		if want, got := float64(hit)/draws, hits(tc[0], tc[1], tc[2]); math.Abs(want-got) > 0.02 {
			t.Errorf("n, h, k = %v: drawn %.3f, computed %.3f", tc, want, got)
		}
	}
}

func TestPrice(t *testing.T) {
	sizes := Sizes([]int64{100, 100, 2000, 9000}, 250, 100, 2000)
	for i, want := range []struct {
		pods  int
		price float64
	}{{2, 3.5}, {1, 1.125}, {1, 9250.0 / 9000}} {
		if got := sizes[i]; got.Pods != want.pods || math.Abs(got.Price()-want.price) > 1e-9 {
			t.Errorf("class %d: want %d pods at %.3f, got %d at %.3f", i, want.pods, want.price, got.Pods, got.Price())
		}
	}
}

func TestUse(t *testing.T) {
	in := cluster(3, Vector{10, 4}, container("a/1", 5, 1), container("a/1", 1, 1), container("b/1", 9, 1))
	got := in.Use(Placement{0, 0, Unplaced})
	if got.Nodes != 1 || got.Placed != 2 || got.Unplaced != 1 || got.Worst != 1 || got.UnplacedOf["b"] != 1 {
		t.Errorf("got %+v", got)
	}
	if math.Abs(got.Stranded[0]-0.4) > 1e-9 || math.Abs(got.Stranded[1]-0.5) > 1e-9 {
		t.Errorf("want 0.4 and 0.5 stranded, got %v", got.Stranded)
	}
}
