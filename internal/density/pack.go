package density

import "slices"

// Pack returns the placement of best-fit decreasing: it knows all pods in advance, places
// large ones first, and each on the fullest node that can take it; finally it closes the
// nodes whose pods all fit elsewhere. Pods that few nodes can hold come first. Then it packs
// the trust domains that share no machine, the largest first, then the pods that share
// machines. For each it tries several orders and every machine shape, and keeps the placement
// with the fewest pods left out, then the fewest nodes, then the smallest nodes.
//
// This is a practical result, not the optimum, which is NP-hard.
func (in *Instance) Pack() Placement {
	k := newPacker(in)
	openings := in.openings()
	k.placeScarce()
	for _, group := range k.groups() {
		k.packBest(group, openings)
	}
	k.closeNodes()
	return k.at
}

// packer is the state of a packing.
type packer struct {
	in    *Instance
	scale Vector
	free  []Vector
	pods  [][]int // by node
	with  []neighbours
	used  []int // nodes in the order in which they were opened
	at    Placement
}

func newPacker(in *Instance) *packer {
	k := &packer{
		in: in, scale: in.scale(),
		free: make([]Vector, len(in.Nodes)),
		pods: make([][]int, len(in.Nodes)),
		with: make([]neighbours, len(in.Nodes)),
		at:   make(Placement, len(in.Pods)),
	}
	for n := range in.Nodes {
		k.free[n] = slices.Clone(in.Nodes[n].Capacity)
	}
	for i := range in.Pods {
		k.at[i] = Unplaced
		if p := &in.Pods[i]; p.Pinned {
			k.put(i, p.On)
		}
	}
	return k
}

func (k *packer) put(pod, node int) {
	if len(k.pods[node]) == 0 {
		k.used = append(k.used, node)
	}
	k.with[node].add(&k.in.Pods[pod], len(k.pods[node]) == 0)
	k.pods[node] = append(k.pods[node], pod)
	k.free[node].less(k.in.Pods[pod].Request)
	k.at[pod] = node
}

// groups returns the pods that are still to be placed: each trust domain that shares no
// machine, by size, then all pods that share.
func (k *packer) groups() [][]int {
	byDomain := map[string]int{}
	var groups [][]int
	var open []int
	for i := range k.in.Pods {
		p := &k.in.Pods[i]
		switch {
		case k.at[i] != Unplaced:
		case p.Open:
			open = append(open, i)
		default:
			g, known := byDomain[p.Domain]
			if !known {
				g = len(groups)
				byDomain[p.Domain] = g
				groups = append(groups, nil)
			}
			groups[g] = append(groups[g], i)
		}
	}
	demand := func(group []int) float64 { return k.share(k.demand(group)) }
	slices.SortStableFunc(groups, func(a, b []int) int { return descending(demand(a), demand(b)) })
	if len(open) > 0 {
		groups = append(groups, open)
	}
	return groups
}

func (k *packer) demand(group []int) Vector {
	sum := make(Vector, len(k.in.Dimensions))
	for _, i := range group {
		sum.plus(k.in.Pods[i].Request)
	}
	return sum
}

// share is an amount in largest nodes, over all dimensions.
func (k *packer) share(v Vector) float64 {
	sum := 0.0
	for d, amount := range v {
		sum += float64(amount) / float64(k.scale[d])
	}
	return sum
}

// result is the quality of a packing of a group.
type result struct {
	left, nodes int
	size        float64
}

func (r result) betterThan(other result) bool {
	if r.left != other.left {
		return r.left < other.left
	}
	if r.nodes != other.nodes {
		return r.nodes < other.nodes
	}
	return r.size < other.size
}

// packBest packs the group in each order with each way to open nodes, and keeps the best.
func (k *packer) packBest(group []int, openings []nodeScore) {
	first := len(k.used)
	var best func()
	var least result
	for _, order := range orders(len(k.in.Dimensions)) {
		sorted := slices.Clone(group)
		slices.SortStableFunc(sorted, func(a, b int) int {
			return descending(order(k.in.Pods[a].Request, k.scale), order(k.in.Pods[b].Request, k.scale))
		})
		for _, open := range openings {
			r := result{left: k.pack(sorted, open), nodes: len(k.used) - first}
			for _, n := range k.used[first:] {
				r.size += k.share(k.in.Nodes[n].Capacity)
			}
			if best == nil || r.betterThan(least) {
				best, least = func() { k.pack(sorted, open) }, r
			}
			for _, i := range group {
				if k.at[i] != Unplaced {
					k.take(i)
				}
			}
			k.used = k.used[:first]
		}
	}
	best()
	k.shrink(first)
}

// pack packs the group, which is in order, and returns how many pods it left out.
func (k *packer) pack(group []int, open nodeScore) int {
	rest := k.demand(group)
	// Used nodes that may take no pod of the group are left out at once.
	var candidates []int
	for _, n := range k.used {
		if slices.ContainsFunc(group, func(i int) bool { return k.joins(&k.in.Pods[i], n) }) {
			candidates = append(candidates, n)
		}
	}
	left := 0
	for _, i := range group {
		node := k.bestFit(i, candidates)
		if node == Unplaced {
			if node = k.next(i, rest, open); node != Unplaced {
				candidates = append(candidates, node)
			}
		}
		if node != Unplaced {
			k.put(i, node)
		} else {
			left++
		}
		rest.less(k.in.Pods[i].Request)
	}
	return left
}

// bestFit returns the node of those on which the pod leaves the least.
func (k *packer) bestFit(pod int, candidates []int) int {
	p := &k.in.Pods[pod]
	best, least := Unplaced, 0.0
	for _, n := range candidates {
		if !p.allowed(n) || !k.free[n].holds(p.Request) || !k.joins(p, n) {
			continue
		}
		if left := k.share(k.free[n]); best == Unplaced || left < least {
			best, least = n, left
		}
	}
	return best
}

// neighbours summarizes the pods on a node.
type neighbours struct {
	domain string
	// mixed: several trust domains. closed: one of the pods shares with no other domain.
	mixed, closed bool
}

func (b *neighbours) add(p *Pod, first bool) {
	if first {
		*b = neighbours{domain: p.Domain}
	}
	b.mixed = b.mixed || b.domain != p.Domain
	b.closed = b.closed || !p.Open
}

// joins reports whether the pod may share the node with them.
func (k *packer) joins(p *Pod, node int) bool {
	b := &k.with[node]
	return (!b.mixed && b.domain == p.Domain) || (p.Open && !b.closed)
}

// next returns the node to open for the pod.
func (k *packer) next(pod int, rest Vector, open nodeScore) int {
	p := &k.in.Pods[pod]
	best, most, smallest := Unplaced, 0.0, 0.0
	for n := range k.in.Nodes {
		if len(k.pods[n]) > 0 || !p.allowed(n) || !k.free[n].holds(p.Request) {
			continue
		}
		covers, size := open(&k.in.Nodes[n], rest), k.share(k.free[n])
		if best == Unplaced || covers > most || (covers == most && size < smallest) {
			best, most, smallest = n, covers, size
		}
	}
	return best
}

// shrink moves the pods of each newly opened node to the smallest free node that takes them,
// so that large nodes stay free.
func (k *packer) shrink(since int) {
	for u := since; u < len(k.used); u++ {
		from := k.used[u]
		content := k.pods[from]
		demand := k.demand(content)
		best, smallest := from, k.share(k.in.Nodes[from].Capacity)
		for n := range k.in.Nodes {
			if len(k.pods[n]) > 0 || !k.free[n].holds(demand) {
				continue
			}
			if size := k.share(k.free[n]); size < smallest && k.allAllowed(content, n) {
				best, smallest = n, size
			}
		}
		if best == from {
			continue
		}
		k.pods[best], k.pods[from] = content, nil
		k.with[best] = k.with[from]
		k.free[best].less(demand)
		k.free[from] = slices.Clone(k.in.Nodes[from].Capacity)
		k.used[u] = best
		for _, i := range content {
			k.at[i] = best
		}
	}
}

func (k *packer) allAllowed(pods []int, node int) bool {
	return !slices.ContainsFunc(pods, func(i int) bool { return k.in.Pods[i].Pinned || !k.in.Pods[i].allowed(node) })
}
