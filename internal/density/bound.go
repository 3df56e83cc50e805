package density

import (
	"cmp"
	"slices"
)

// LowerBound returns a number of nodes below which no placement of all pods can get, whoever
// may share with whom: in each dimension, how many of the largest nodes it takes to hold
// what is asked for; and of the dimensions the worst.
func (in *Instance) LowerBound() int {
	return in.bound(func(*Pod) bool { return true })
}

// IsolatedLowerBound returns the same for placements that keep trust domains apart: those
// that share a machine with nobody need the sum of their own bounds. It returns the
// larger of that and LowerBound.
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
