package isolation

// Claim returns the claim that fits everybody who is on a node; false if there is none,
// because no managed pod is there or the rule does not hold among them.
func (o *Occupancy) Claim() (Claim, bool) {
	if o.unknown > 0 || o.unmanaged > 0 || !o.all.some {
		return Claim{}, false
	}
	if !o.closed.some {
		return Claim{shared: true}, true
	}
	if o.all.several {
		return Claim{}, false
	}
	return o.residents[0].Subject.tenantClaim(), true
}

// AdmitsAll reports whether the claim admits everybody who is on a node. It says nothing of
// whether the rule holds among them.
func (c Claim) AdmitsAll(o *Occupancy) bool {
	for i := range o.residents {
		if !c.Admits(&o.residents[i].Subject) {
			return false
		}
	}
	return true
}

// Protected reports whether somebody is there for whom a node is kept claimed: a managed
// pod, or one of which nothing is known.
func (o *Occupancy) Protected() bool { return o.all.some || o.unknown > 0 }
