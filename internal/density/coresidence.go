package density

import (
	"maps"
	"slices"
)

// Meeting is the chance that at least one of Pods pods of a tenant is on a node of another
// tenant, over all ordered pairs of tenants and all choices of that many of its pods.
type Meeting struct {
	Pods int
	// Node: on a node where the victim has a pod, behind any boundary.
	Node float64
	// Kernel: on that node's kernel, so that an escape reaches the victim.
	Kernel float64
}

// Meetings returns the chances for each number of pods. They are exact, not sampled: of n
// pods of which h meet the victim, k miss it with probability C(n-h,k)/C(n,k). A tenant with
// fewer pods than k uses all of them.
//
// The attacker is blind: it does not know where the victim is and does not aim at it. The
// chance measures how far a placement mixes tenants; an attacker whose pods resemble the
// victim's does better wherever tenants mix.
func (in *Instance) Meetings(p Placement, pods ...int) []Meeting {
	on := in.podsByNode(p)
	here := make([]map[string]bool, len(on)) // tenants of each node
	for n, list := range on {
		here[n] = map[string]bool{}
		for _, i := range list {
			here[n][in.Pods[i].Tenant] = true
		}
	}
	placed := map[string][]int{}
	for i, n := range p {
		if n != Unplaced {
			placed[in.Pods[i].Tenant] = append(placed[in.Pods[i].Tenant], i)
		}
	}
	tenants := slices.Sorted(maps.Keys(placed))
	meetings := make([]Meeting, len(pods))
	pairs := 0
	for _, attacker := range tenants {
		for _, victim := range tenants {
			if attacker == victim {
				continue
			}
			pairs++
			node, kernel := 0, 0
			for _, i := range placed[attacker] {
				if here[p[i]][victim] {
					node++
					if !in.Pods[i].VM {
						kernel++
					}
				}
			}
			for m, k := range pods {
				meetings[m].Node += hits(len(placed[attacker]), node, k)
				meetings[m].Kernel += hits(len(placed[attacker]), kernel, k)
			}
		}
	}
	for m, k := range pods {
		meetings[m].Pods = k
		if pairs > 0 {
			meetings[m].Node /= float64(pairs)
			meetings[m].Kernel /= float64(pairs)
		}
	}
	return meetings
}

// hits returns the chance that a draw of k out of n, without replacement, has one of the h.
func hits(n, h, k int) float64 {
	k = min(k, n)
	miss := 1.0
	for i := range k {
		if n-h-i <= 0 {
			return 1
		}
		miss *= float64(n-h-i) / float64(n-i)
	}
	return 1 - miss
}
