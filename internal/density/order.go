package density

import "cmp"

func descending(a, b float64) int { return cmp.Compare(b, a) }

// order is the size of a pod by which the large ones come first.
type order func(request, scale Vector) float64

// orders are the usual ones, and the order of the instance: no order is best for all.
func orders(dimensions int) []order {
	all := []order{byLargestShare, bySumOfShares, asTheyCome}
	for d := range dimensions {
		all = append(all, func(request, _ Vector) float64 { return float64(request[d]) })
	}
	return all
}

func asTheyCome(Vector, Vector) float64 { return 0 }

// byLargestShare takes the dimension in which the pod is largest.
func byLargestShare(request, scale Vector) float64 {
	largest := 0.0
	for d, amount := range request {
		largest = max(largest, float64(amount)/float64(scale[d]))
	}
	return largest
}

func bySumOfShares(request, scale Vector) float64 {
	sum := 0.0
	for d, amount := range request {
		sum += float64(amount) / float64(scale[d])
	}
	return sum
}

// nodeScore rates a free node to be opened for the rest of the pods; the highest is best.
type nodeScore func(node *Node, rest Vector) float64

// openings are ways to choose machines: those that take most of the rest, or those of one
// shape first, for each shape.
func (in *Instance) openings() []nodeScore {
	all := []nodeScore{coversWorst, coversOnAverage}
	seen := map[string]bool{}
	for n := range in.Nodes {
		shape := in.Nodes[n].Shape
		if seen[shape] {
			continue
		}
		seen[shape] = true
		all = append(all, func(node *Node, rest Vector) float64 {
			if node.Shape == shape {
				return 2
			}
			return coversWorst(node, rest)
		})
	}
	return all
}

// coversWorst returns the smallest share of the rest that the node takes, over the resources.
func coversWorst(node *Node, rest Vector) float64 {
	worst := 1.0
	for d, amount := range rest {
		if amount > 0 {
			worst = min(worst, float64(node.Capacity[d])/float64(amount))
		}
	}
	return worst
}

// coversOnAverage returns the average share of the rest that the node takes.
func coversOnAverage(node *Node, rest Vector) float64 {
	sum, asked := 0.0, 0
	for d, amount := range rest {
		if amount > 0 {
			sum += min(1, float64(node.Capacity[d])/float64(amount))
			asked++
		}
	}
	if asked == 0 {
		return 1
	}
	return sum / float64(asked)
}
