package density

import "slices"

// Pools returns the placement in static pools: for each key a number of nodes of one shape,
// reserved for its pods, and filled first-fit in the order of the instance. Each pool has the
// shape of which it needs the fewest nodes, and no spare node: no real pool is sized with so
// much hindsight. Only if no shape takes all pods of a key, a second pool of another shape
// takes the others. The node of a pinned pod is in the pool of that pod.
func (in *Instance) Pools(key func(*Pod) string) Placement {
	k := newPacker(in)
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
		own := key(&in.Pods[group[0]])
		usable := func(n int) bool {
			return !slices.ContainsFunc(k.pods[n], func(i int) bool { return key(&in.Pods[i]) != own })
		}
		for len(group) > 0 {
			group = k.pool(group, usable)
		}
	}
	return k.at
}

// pool places the pods of the group that fit on one shape, and returns the rest; nil if no
// shape takes any pod.
func (k *packer) pool(group []int, usable func(node int) bool) []int {
	type try struct {
		at    map[int]int
		nodes int
		size  float64
	}
	var best *try
	for _, nodes := range k.byShape(usable) {
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
		for n := range nodes {
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

// byShape returns the usable nodes by shape, in the order of the nodes, but those with a pod
// of the same pool first.
func (k *packer) byShape(usable func(node int) bool) [][]int {
	index := map[string]int{}
	var shapes [][]int
	add := func(n int) {
		s, known := index[k.in.Nodes[n].Shape]
		if !known {
			s = len(shapes)
			index[k.in.Nodes[n].Shape] = s
			shapes = append(shapes, nil)
		}
		shapes[s] = append(shapes[s], n)
	}
	for _, n := range k.used {
		if usable(n) {
			add(n)
		}
	}
	for n := range k.in.Nodes {
		if len(k.pods[n]) == 0 {
			add(n)
		}
	}
	return shapes
}
