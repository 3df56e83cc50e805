package density

import (
	"cmp"
	"slices"
)

// LowerBound returns a lower bound on the nodes of any placement of all pods, without regard
// to trust domains: the number of the largest nodes that hold the requests in the worst
// dimension.
func (in *Instance) LowerBound() int {
	return in.bound(func(*Pod) bool { return true })
}

// IsolatedLowerBound returns the same for placements that keep trust domains apart: the sum
// of the bounds of those that share no machine, or LowerBound if that is larger.
func (in *Instance) IsolatedLowerBound() int {
	sum := 0
	for _, domain := range in.closedDomains() {
		sum += in.bound(func(p *Pod) bool { return p.Domain == domain && !p.Open })
	}
	return max(sum, in.LowerBound())
}

func (in *Instance) closedDomains() []string {
	seen := map[string]bool{}
	var domains []string
	for i := range in.Pods {
		if p := &in.Pods[i]; !p.Open && !seen[p.Domain] {
			seen[p.Domain] = true
			domains = append(domains, p.Domain)
		}
	}
	return domains
}

func (in *Instance) bound(counts func(*Pod) bool) int {
	demand := make(Vector, len(in.Dimensions))
	some := false
	for i := range in.Pods {
		if counts(&in.Pods[i]) {
			some = true
			demand.plus(in.Pods[i].Request)
		}
	}
	if !some {
		return 0
	}
	worst := 1
	for d := range demand {
		capacities := make([]int64, len(in.Nodes))
		for n := range in.Nodes {
			capacities[n] = in.Nodes[n].Capacity[d]
		}
		slices.SortFunc(capacities, func(a, b int64) int { return cmp.Compare(b, a) })
		needed, rest := 0, demand[d]
		for _, c := range capacities {
			if rest <= 0 {
				break
			}
			rest -= c
			needed++
		}
		worst = max(worst, needed)
	}
	return worst
}
