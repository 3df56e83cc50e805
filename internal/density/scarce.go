package density

import "slices"

// scarce: a pod that fits on fewer than one in so many nodes is placed first.
const scarce = 20

// placeScarce places the pods that few nodes can hold, before others take these nodes.
func (k *packer) placeScarce() {
	holders := map[int]int{}
	var few []int
	for i := range k.in.Pods {
		p := &k.in.Pods[i]
		if p.Pinned {
			continue
		}
		for n := range k.in.Nodes {
			if p.allowed(n) && k.in.Nodes[n].Capacity.holds(p.Request) {
				holders[i]++
			}
		}
		if holders[i]*scarce < len(k.in.Nodes) {
			few = append(few, i)
		}
	}
	slices.SortStableFunc(few, func(a, b int) int {
		if holders[a] != holders[b] {
			return holders[a] - holders[b]
		}
		return descending(byLargestShare(k.in.Pods[a].Request, k.scale), byLargestShare(k.in.Pods[b].Request, k.scale))
	})
	for _, i := range few {
		node := k.bestFit(i, k.used)
		if node == Unplaced {
			node = k.next(i, k.in.Pods[i].Request, coversWorst)
		}
		if node != Unplaced {
			k.put(i, node)
		}
	}
}
