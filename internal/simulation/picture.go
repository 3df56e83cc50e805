package simulation

import (
	"fmt"
	"maps"
	"slices"

	"tenantisolation.dev/scheduler/internal/density"
)

// tile is a node in the picture.
type tile struct {
	Node string
	// Used is the share of the node's fullest resource, 0 to 1.
	Used  float64
	Parts []part
}

// part is a trust domain on a node.
type part struct {
	Domain string
	Tenant string
	Pods   int
	VMs    int
}

// picture returns a tile for every node with pods, sorted by trust domain.
func picture(m *model, p density.Placement) []tile {
	on := make([][]int, len(m.Nodes))
	for i, n := range p {
		if n != density.Unplaced {
			on[n] = append(on[n], i)
		}
	}
	var tiles []tile
	for n, pods := range on {
		if len(pods) == 0 {
			continue
		}
		parts := map[string]*part{}
		used := make(density.Vector, len(m.Dimensions))
		for _, i := range pods {
			pod := &m.Pods[i]
			if parts[pod.Domain] == nil {
				parts[pod.Domain] = &part{Domain: pod.Domain, Tenant: pod.Tenant}
			}
			parts[pod.Domain].Pods++
			if pod.VM {
				parts[pod.Domain].VMs++
			}
			for d, amount := range pod.Request {
				used[d] += amount
			}
		}
		t := tile{Node: m.Nodes[n].Name}
		for d, amount := range used {
			if c := m.Nodes[n].Capacity[d]; c > 0 {
				t.Used = max(t.Used, float64(amount)/float64(c))
			}
		}
		for _, domain := range slices.Sorted(maps.Keys(parts)) {
			t.Parts = append(t.Parts, *parts[domain])
		}
		tiles = append(tiles, t)
	}
	slices.SortStableFunc(tiles, func(a, b tile) int {
		return slices.Compare([]string{fmt.Sprint(len(a.Parts) > 1), a.Parts[0].Domain}, []string{fmt.Sprint(len(b.Parts) > 1), b.Parts[0].Domain})
	})
	return tiles
}
