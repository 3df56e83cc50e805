package density

// Radius is what an attacker reaches from the kernel of one pod.
type Radius struct {
	// PodsMean and PodsMax are the pods within reach, the attacker's own included, over all
	// pods as the start.
	PodsMean float64
	PodsMax  int
	// TenantsMean and TenantsMax are the tenants within reach, the attacker's own included.
	TenantsMean float64
	TenantsMax  int
	// DomainsMax is the same for trust domains.
	DomainsMax int
}

// Radius returns the blast radius of a placement. A pod in a VM has a kernel of its own. The
// kernel of any other pod is the node's, and reaches every pod on the node, those in VMs
// included, because the hypervisor is a process of it.
func (in *Instance) Radius(p Placement) Radius {
	var r Radius
	placed := 0
	pods, tenants := 0, 0
	reach := func(times, reachedPods, reachedTenants, reachedDomains int) {
		placed += times
		pods += times * reachedPods
		tenants += times * reachedTenants
		r.PodsMax = max(r.PodsMax, reachedPods)
		r.TenantsMax = max(r.TenantsMax, reachedTenants)
		r.DomainsMax = max(r.DomainsMax, reachedDomains)
	}
	for _, on := range in.podsByNode(p) {
		seenTenants, seenDomains := map[string]bool{}, map[string]bool{}
		containers := 0
		for _, i := range on {
			seenTenants[in.Pods[i].Tenant] = true
			seenDomains[in.Pods[i].Domain] = true
			if in.Pods[i].VM {
				reach(1, 1, 1, 1)
			} else {
				containers++
			}
		}
		if containers > 0 {
			reach(containers, len(on), len(seenTenants), len(seenDomains))
		}
	}
	if placed > 0 {
		r.PodsMean = float64(pods) / float64(placed)
		r.TenantsMean = float64(tenants) / float64(placed)
	}
	return r
}
