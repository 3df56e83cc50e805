package density

import "cmp"

func descending(a, b float64) int { return cmp.Compare(b, a) }

// order is the size of a pod by which the large ones come first.
type order func(request, scale Vector) float64

// orders are the usual ones: no order is best for all.
var orders = []order{byLargestShare, bySumOfShares, byFirstDimension}

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

func byFirstDimension(request, _ Vector) float64 {
	if len(request) == 0 {
		return 0
	}
	return float64(request[0])
}

// opening tells how much of what is still to be placed a free node would take, 0 to 1.
type opening func(free, rest Vector) float64

var openings = []opening{coversWorst, coversOnAverage}

// coversWorst looks at the dimension that is used up first.
func coversWorst(free, rest Vector) float64 {
	worst := 1.0
	for d, amount := range rest {
		if amount > 0 {
			worst = min(worst, float64(free[d])/float64(amount))
		}
	}
	return worst
}

func coversOnAverage(free, rest Vector) float64 {
	sum, asked := 0.0, 0
	for d, amount := range rest {
		if amount > 0 {
			sum += min(1, float64(free[d])/float64(amount))
			asked++
		}
	}
	if asked == 0 {
		return 1
	}
	return sum / float64(asked)
}
