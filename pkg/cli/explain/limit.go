package explain

import (
	"slices"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/dedication"
)

// atLimit reports whether a tenant has as many nodes as it may have.
func (x *Explainer) atLimit(tenant string) bool {
	if x.Policy.Dedication.Mode != v1alpha1.ModeEnabled || x.Policy.Dedication.MaxNodesPerTenant == nil {
		return false
	}
	has := 0
	for _, node := range x.Nodes {
		if slices.Contains(x.chargedFor(node.Name), tenant) {
			has++
		}
	}
	return has >= dedication.Limit(*x.Policy.Dedication.MaxNodesPerTenant, len(x.Nodes))
}

// chargedFor returns the tenants to which a node is charged.
func (x *Explainer) chargedFor(name string) []string {
	if x.charged == nil {
		x.charged = map[string][]string{}
		for _, node := range x.Nodes {
			dedicated, ok := x.Store.DedicationOf(node)
			if !ok {
				continue
			}
			occupancy := x.Store.Occupancy(node.Name)
			x.charged[node.Name] = dedication.ChargedTo(dedicated, &occupancy, x.Store.LocalTenants(node.Name))
		}
	}
	return x.charged[name]
}
