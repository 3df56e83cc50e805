package isolation

// The keys of the taints, and of the labels for people, by which a node is claimed.
const (
	ClaimTenantKey    = "tenantisolation.dev/tenant"
	ClaimDataClassKey = "tenantisolation.dev/data-class"
	ClaimBoundaryKey  = "tenantisolation.dev/boundary"
)

// Claim is whom a node is dedicated to: the pods of one tenant and data class, or the
// VM-isolated pods of everybody. It is comparable. The zero Claim is one of which nothing
// is known: it admits nobody.
type Claim struct {
	tenant, dataClass string
	vm                bool
}

// Claim returns what the subject claims a free node for; false if it claims none, because
// it is of the platform, unmanaged or unknown.
func (s Subject) Claim() (Claim, bool) {
	if s.standing != managed {
		return Claim{}, false
	}
	if s.open {
		return Claim{vm: true}, true
	}
	return s.tenantClaim(), true
}

// tenantClaim is the claim for the axes that admission can work out: a class that shares
// is its group's representative, and none at all if classes do not separate.
func (s Subject) tenantClaim() Claim {
	d := s.group.interned.Value()
	return Claim{tenant: d.Tenant, dataClass: d.DataClass}
}

// Admits reports whether the subject may be on a node with the claim, as far as the claim
// is concerned: Decide asks for more. Platform pods are admitted everywhere.
func (c Claim) Admits(s *Subject) bool {
	switch {
	case s.standing == platform:
		return true
	case s.standing != managed || c == Claim{}:
		return false
	case c.vm:
		return s.open
	}
	return c == s.tenantClaim()
}

// Tenant returns the tenant that the node is claimed for; empty for VMs of everybody.
func (c Claim) Tenant() string { return c.tenant }

// VM reports whether the node is claimed for the VM-isolated pods of everybody.
func (c Claim) VM() bool { return c.vm }

// Values returns the claim as keys and values of taints. Those of the zero Claim keep
// everybody away.
func (c Claim) Values() map[string]string {
	if c.vm {
		return map[string]string{ClaimBoundaryKey: BoundaryVM.String()}
	}
	values := map[string]string{ClaimTenantKey: c.tenant}
	if c.dataClass != "" {
		values[ClaimDataClassKey] = c.dataClass
	}
	return values
}

// ParseClaim reads a claim from keys and values of taints, among which may be others;
// false if none of them is a claim's. What is no claim that Values returns is the zero Claim.
func ParseClaim(values map[string]string) (Claim, bool) {
	tenant, hasTenant := values[ClaimTenantKey]
	class, hasClass := values[ClaimDataClassKey]
	boundary, hasBoundary := values[ClaimBoundaryKey]
	switch {
	case !hasTenant && !hasClass && !hasBoundary:
		return Claim{}, false
	case hasBoundary && !hasTenant && !hasClass && boundary == BoundaryVM.String():
		return Claim{vm: true}, true
	case !hasBoundary && tenant != "":
		return Claim{tenant: tenant, dataClass: class}, true
	}
	return Claim{}, true
}

// Claim returns the claim that fits everybody who is there; false if there is none: nobody
// managed is there, or no single claim admits them all.
func (o *Occupancy) Claim() (Claim, bool) {
	if o.unknown > 0 || o.unmanaged > 0 {
		return Claim{}, false
	}
	var vm, one Claim
	open := true
	for i := range o.residents {
		s := &o.residents[i].Subject
		open = open && s.open
		c := s.tenantClaim()
		if one != (Claim{}) && one != c {
			one, vm = c, Claim{vm: true}
			continue
		}
		one = c
	}
	switch {
	case one == Claim{}:
		return Claim{}, false
	case open:
		return Claim{vm: true}, true
	case vm.vm:
		return Claim{}, false
	}
	return one, true
}

// Dedicates reports whether somebody is there whom a claim protects: anybody but the
// platform's and unmanaged pods.
func (o *Occupancy) Dedicates() bool { return len(o.groups) > 0 || o.unknown > 0 }
