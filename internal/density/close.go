package density

import "slices"

// closeNodes empties nodes whose pods all fit on the others in use, the emptiest first.
func (k *packer) closeNodes() {
	candidates := slices.Clone(k.used)
	slices.SortStableFunc(candidates, func(a, b int) int {
		return descending(k.share(k.demand(k.pods[b])), k.share(k.demand(k.pods[a])))
	})
	for _, node := range candidates {
		k.closeNode(node)
	}
}

func (k *packer) closeNode(node int) {
	content := slices.Clone(k.pods[node])
	if slices.ContainsFunc(content, func(i int) bool { return k.in.Pods[i].Pinned }) {
		return
	}
	u := slices.Index(k.used, node)
	k.used = slices.Delete(k.used, u, u+1)
	for moved, i := range content {
		to := k.bestFit(i, k.used)
		if to == Unplaced {
			for _, back := range content[:moved] {
				k.take(back)
			}
			k.pods[node] = content
			k.used = slices.Insert(k.used, u, node)
			for _, back := range content[:moved] {
				k.at[back] = node
			}
			return
		}
		k.put(i, to)
	}
	k.pods[node], k.with[node] = nil, neighbours{}
	k.free[node] = slices.Clone(k.in.Nodes[node].Capacity)
}

// take undoes the last put of the pod.
func (k *packer) take(pod int) {
	node := k.at[pod]
	p := &k.in.Pods[pod]
	k.pods[node] = slices.DeleteFunc(k.pods[node], func(i int) bool { return i == pod })
	k.free[node].plus(p.Request)
	k.at[pod] = Unplaced
	k.with[node] = neighbours{}
	for n, i := range k.pods[node] {
		k.with[node].add(&k.in.Pods[i], n == 0)
	}
}
