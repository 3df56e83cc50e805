package isolation

// The keys of the taints, and labels, of a claimed node. They do not follow the label
// keys of the arguments: other schedulers, autoscalers and dashboards have to know them.
const (
	TenantTaint    = "tenantisolation.dev/tenant"
	DataClassTaint = "tenantisolation.dev/data-class"
	BoundaryTaint  = "tenantisolation.dev/boundary"
)

// boundaryTaintVM is the only value of BoundaryTaint, whatever the minimum boundary is.
const boundaryTaintVM = "vm"

// Claim says to whom a node is dedicated: to one tenant, or to one data class of it; or
// to everybody who brings a boundary of its own. The rest of a trust domain stays with
// Decide. Claims are compared with ==. The zero Claim is one of which nothing is known,
// and admits nobody.
type Claim struct {
	tenant string
	// dataClass is the representative of the classes that share, empty where the
	// policy does not separate by data class.
	dataClass string
	shared    bool
}

// Taint is a taint without its effect.
type Taint struct {
	Key, Value string
}

// Claim returns what a node is claimed for when the subject opens it; false if it opens
// none, because it is of the platform or has no trust domain.
func (s Subject) Claim() (Claim, bool) {
	switch {
	case s.standing != managed:
		return Claim{}, false
	case s.open:
		return Claim{shared: true}, true
	}
	return s.tenantClaim(), true
}

func (s *Subject) tenantClaim() Claim {
	return Claim{tenant: s.domain.Tenant, dataClass: s.group.interned.Value().DataClass}
}

// Admits reports whether the subject may be on a node with this claim, as far as the claim
// is concerned. A container is never admitted where VM-isolated pods share the node, even
// if all of them are of its own trust domain: it would keep out whoever comes next.
func (c Claim) Admits(s *Subject) bool {
	switch {
	case s.standing == platform:
		return true
	case s.standing != managed:
		return false
	case c.shared:
		return s.open
	}
	return c == s.tenantClaim()
}

// Known reports whether the claim says to whom the node is dedicated.
func (c Claim) Known() bool { return c != Claim{} }

// Tenant returns the one tenant to whom the node is dedicated; false if it is shared, or
// nothing is known.
func (c Claim) Tenant() (string, bool) { return c.tenant, c.tenant != "" }

// Taints returns the taints that say the same on the Node, none for the zero Claim. The
// node bears them as labels too, for people to read.
func (c Claim) Taints() []Taint {
	switch {
	case c.shared:
		return []Taint{{Key: BoundaryTaint, Value: boundaryTaintVM}}
	case c.tenant == "":
		return nil
	case c.dataClass == "":
		return []Taint{{Key: TenantTaint, Value: c.tenant}}
	}
	return []Taint{{Key: TenantTaint, Value: c.tenant}, {Key: DataClassTaint, Value: c.dataClass}}
}

// ParseClaim reads a claim from the taints of a node; false if none of them is of a claim.
// Taints that this policy would not have written, as half of them or those of another
// policy, are the zero Claim.
func (p *Policy) ParseClaim(taints []Taint) (Claim, bool) {
	var values [3]string
	found, contradicted := false, false
	for _, taint := range taints {
		var value *string
		switch taint.Key {
		case TenantTaint:
			value = &values[0]
		case DataClassTaint:
			value = &values[1]
		case BoundaryTaint:
			value = &values[2]
		default:
			continue
		}
		found = true
		// One key may come with several effects, but says one thing.
		if taint.Value == "" || (*value != "" && *value != taint.Value) {
			contradicted = true
		}
		*value = taint.Value
	}
	if !found || contradicted {
		return Claim{}, found
	}
	return p.claimOf(values[0], values[1], values[2]), true
}

// claimOf returns the claim that the values mean, the zero Claim if they mean none.
func (p *Policy) claimOf(tenant, dataClass, boundary string) Claim {
	if boundary != "" {
		if boundary != boundaryTaintVM || tenant != "" || dataClass != "" {
			return Claim{}
		}
		return Claim{shared: true}
	}
	if tenant == "" || !p.representative(dataClass) {
		return Claim{}
	}
	return Claim{tenant: tenant, dataClass: dataClass}
}

// representative reports whether the policy claims nodes for this data class by this name.
func (p *Policy) representative(dataClass string) bool {
	if !p.separates[AxisDataClass] {
		return dataClass == ""
	}
	if shared, ok := p.classShare[dataClass]; ok {
		return shared == dataClass
	}
	_, ok := p.classRank[dataClass]
	return ok
}

// String returns the claim for logs and for administrators.
func (c Claim) String() string {
	s := ""
	for _, taint := range c.Taints() {
		if s != "" {
			s += ","
		}
		s += taint.Key + "=" + taint.Value
	}
	if s == "" {
		return "unknown"
	}
	return s
}
