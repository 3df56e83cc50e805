package density

import "slices"

// Pools returns the placement in static pools: for each key a number of nodes of one shape,
// set aside for its pods alone and packed first-fit decreasing. It has no spare node, knows
// all pods beforehand and takes for each pool the shape of which it needs the fewest: no
// real pool is that small. Only if no shape takes all pods of a key has it a further pool,
// of another shape, for the others. Pinned pods stay where they are, and their node is in
// no pool.
func (in *Instance) Pools(key func(*Pod) string) Placement {
	k := newPacker(in, byLargestShare)
	byKey := map[string]int{}
	var groups [][]int
	for i := range in.Pods {
		p := &in.Pods[i]
		if p.Pinned {
			continue
		}
		g, known := byKey[key(p)]
		if !known {
			g = len(groups)
			byKey[key(p)] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	slices.SortStableFunc(groups, func(a, b []int) int { return descending(k.share(k.demand(a)), k.share(k.demand(b))) })
	for _, group := range groups {
		slices.SortStableFunc(group, func(a, b int) int {
			return descending(byLargestShare(in.Pods[a].Request, k.scale), byLargestShare(in.Pods[b].Request, k.scale))
		})
		for len(group) > 0 {
			group = k.pool(group)
		}
	}
	return k.at
}

// pool places as much of the group as one shape takes and returns the rest, nothing if no
// shape takes any of it.
func (k *packer) pool(group []int) []int {
	type try struct {
		at    map[int]int
		nodes int
		size  float64
	}
	var best *try
	for _, nodes := range k.freeByShape() {
		t := &try{at: map[int]int{}, size: k.share(k.in.Nodes[nodes[0]].Capacity)}
		t.nodes = k.firstFit(group, nodes, t.at)
		if len(t.at) == 0 {
			continue
		}
		if best == nil || len(t.at) > len(best.at) ||
			(len(t.at) == len(best.at) && (t.nodes < best.nodes || (t.nodes == best.nodes && t.size < best.size))) {
			best = t
		}
	}
	if best == nil {
		return nil
	}
	var rest []int
	for _, i := range group {
		if n, ok := best.at[i]; ok {
			k.put(i, n)
		} else {
			rest = append(rest, i)
		}
	}
	return rest
}

func (k *packer) firstFit(group, nodes []int, at map[int]int) int {
	var free []Vector
	for _, i := range group {
		p := &k.in.Pods[i]
		for n := 0; n < len(nodes); n++ {
			if n == len(free) {
				free = append(free, slices.Clone(k.free[nodes[n]]))
			}
			if p.allowed(nodes[n]) && free[n].holds(p.Request) {
				free[n].less(p.Request)
				at[i] = nodes[n]
				break
			}
		}
	}
	used := map[int]bool{}
	for _, n := range at {
		used[n] = true
	}
	return len(used)
}

// freeByShape returns the nodes that nobody is on, by shape, in the order of the nodes.
func (k *packer) freeByShape() [][]int {
	byShape := map[string]int{}
	var shapes [][]int
	for n := range k.in.Nodes {
		if len(k.pods[n]) > 0 {
			continue
		}
		s, known := byShape[k.in.Nodes[n].Shape]
		if !known {
			s = len(shapes)
			byShape[k.in.Nodes[n].Shape] = s
			shapes = append(shapes, nil)
		}
		shapes[s] = append(shapes[s], n)
	}
	return shapes
}
