package density

// Size is a class of pods by their request in one dimension.
type Size struct {
	// UpTo is the largest request in the class; 0 for the last class, which has no bound.
	UpTo int64
	Pods int
	// Requested is the sum of the requests, Overhead what a VM for each pod would add.
	Requested, Overhead int64
}

// Price is the factor by which VMs increase the requests; 0 for a class without requests.
func (s Size) Price() float64 {
	if s.Requested == 0 {
		return 0
	}
	return float64(s.Requested+s.Overhead) / float64(s.Requested)
}

// Sizes sorts amounts into classes with these ascending upper bounds, and one for the rest.
func Sizes(amounts []int64, overhead int64, bounds ...int64) []Size {
	sizes := make([]Size, len(bounds)+1)
	for i, bound := range bounds {
		sizes[i].UpTo = bound
	}
	for _, amount := range amounts {
		class := 0
		for class < len(bounds) && amount > bounds[class] {
			class++
		}
		sizes[class].Pods++
		sizes[class].Requested += amount
		sizes[class].Overhead += overhead
	}
	return sizes
}
