package dedication

import (
	"slices"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// ChargedTo returns the tenants to which a dedicated node with these pods, and local volumes of these
// tenants, is charged, in order: the one to whom it is dedicated alone; else all that have pods or volumes
// on it.
func ChargedTo(dedication isolation.Dedication, on *isolation.Occupancy, local []string) []string {
	if tenant, sole := dedication.Tenant(); sole {
		return []string{tenant}
	}
	tenants := slices.Clone(local)
	for _, group := range on.Groups() {
		tenants = append(tenants, group.Domain.Tenant)
	}
	return sorted(tenants)
}

// tenants returns the tenants to which a node is to be charged, in order: also those that have reserved
// it; and, of an empty node, those that were there last.
func (r *record) tenants(on *isolation.Occupancy, local []string) []string {
	tenants := ChargedTo(r.dedication, on, local)
	if _, sole := r.dedication.Tenant(); sole {
		return tenants
	}
	for _, reserved := range r.reservations {
		tenants = append(tenants, reserved.tenant)
	}
	switch {
	case len(tenants) > 0:
		return sorted(tenants)
	case len(r.charged) > 0:
		return r.charged
	case r.openedBy != "":
		return []string{r.openedBy}
	}
	return nil
}

// sorted sorts the names, and drops those that are there twice.
func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// recharge charges a node to the tenants that are on it now. A pod that reserves the node, or
// releases its reservation, while its pods are read is not lost: its tenant is charged at once,
// and the release has the node reconciled again.
func (e *Engine) recharge(name string) {
	occupancy, local := e.cluster.Occupancy(name), e.cluster.LocalTenants(name)
	e.mu.Lock()
	rec := e.records[name]
	if rec == nil {
		e.mu.Unlock()
		return
	}
	e.setCharged(name, rec, rec.tenants(&occupancy, local))
	if occupancy.Empty() && len(rec.reservations) == 0 && len(rec.charged) > 0 && !slices.Contains(rec.charged, rec.openedBy) {
		// A successor finds nobody there, and goes by the annotation.
		rec.openedBy = rec.charged[0]
	}
	e.mu.Unlock()
	e.reportChange(name)
}

// holdsData reports whether a dedicated node keeps data of those to whom it is dedicated: it stays
// theirs, as their next pod has to go where its volume is. Data of others there, which was never
// used by a pod of this dedication, keeps nothing.
func (r *record) holdsData(local []string) bool {
	if tenant, sole := r.dedication.Tenant(); sole {
		return slices.Contains(local, tenant)
	}
	return len(local) > 0
}

// The following functions are called with the lock held.

// setCharged charges a node to exactly these tenants, which are in order.
func (e *Engine) setCharged(node string, rec *record, tenants []string) {
	if slices.Equal(tenants, rec.charged) {
		return
	}
	e.markChanged(node)
	e.count(rec.charged, -1)
	e.count(tenants, 1)
	rec.charged = tenants
}

func (e *Engine) count(tenants []string, by int) {
	for _, tenant := range tenants {
		if e.nodesCharged[tenant] += by; e.nodesCharged[tenant] == 0 {
			delete(e.nodesCharged, tenant)
		}
	}
}
