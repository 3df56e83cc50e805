package density

// Usage is the part of the cluster that a placement uses.
type Usage struct {
	// Nodes that hold a pod of a tenant.
	Nodes int
	// Placed and Unplaced pods.
	Placed, Unplaced int
	// Stranded is the unused share of the opened nodes' capacity, by dimension,
	// 0 to 1. For a dimension of which the opened nodes have nothing it is 0.
	Stranded []float64
	// Opened and Requested are the amounts behind Stranded.
	Opened, Requested Vector
	// UnplacedOf are the unplaced pods by tenant; tenants without any are left out.
	UnplacedOf map[string]int
	// Worst is the largest share of a tenant's pods that is left out, 0 to 1.
	Worst float64
}

// Use returns the usage of a placement.
func (in *Instance) Use(p Placement) Usage {
	u := Usage{
		Stranded:   make([]float64, len(in.Dimensions)),
		Opened:     make(Vector, len(in.Dimensions)),
		Requested:  make(Vector, len(in.Dimensions)),
		UnplacedOf: map[string]int{},
	}
	open := make([]bool, len(in.Nodes))
	total := map[string]int{}
	for i, n := range p {
		pod := &in.Pods[i]
		total[pod.Tenant]++
		if n == Unplaced {
			u.Unplaced++
			u.UnplacedOf[pod.Tenant]++
			continue
		}
		u.Placed++
		u.Requested.plus(pod.Request)
		if !open[n] {
			open[n] = true
			u.Nodes++
			u.Opened.plus(in.Nodes[n].Capacity)
		}
	}
	for d, opened := range u.Opened {
		if opened > 0 {
			u.Stranded[d] = 1 - float64(u.Requested[d])/float64(opened)
		}
	}
	for tenant, unplaced := range u.UnplacedOf {
		u.Worst = max(u.Worst, float64(unplaced)/float64(total[tenant]))
	}
	return u
}
