package density

// Size is a class of pods by what they ask for in one dimension.
type Size struct {
	// UpTo is the largest amount that is of the class; 0 for the last, which has no bound.
	UpTo int64
	Pods int
	// Requested is what they ask for, Overhead what a virtual machine for each would add.
	Requested, Overhead int64
}

// Price is how many times as much the pods ask for if each has a virtual machine; 0 for a
// class that asks for nothing.
func (s Size) Price() float64 {
	if s.Requested == 0 {
		return 0
	}
	return float64(s.Requested+s.Overhead) / float64(s.Requested)
}

// Sizes sorts amounts into classes with these upper bounds, which ascend, and one more for
// the rest.
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
