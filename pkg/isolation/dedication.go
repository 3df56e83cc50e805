package isolation

// The keys of the taints, and labels, of a dedicated node. They do not follow the label
// keys of the arguments: other schedulers, autoscalers and dashboards have to know them.
const (
	TenantTaint    = "tenantisolation.dev/tenant"
	DataClassTaint = "tenantisolation.dev/data-class"
	BoundaryTaint  = "tenantisolation.dev/boundary"
)

// DedicationTaints returns those keys, in the order in which they are written.
func DedicationTaints() []string { return []string{TenantTaint, DataClassTaint, BoundaryTaint} }

// boundaryTaintVM is the only value of BoundaryTaint, whatever the minimum boundary is.
const boundaryTaintVM = "vm"

// Dedication says to whom a node is dedicated: to one tenant, or to one data class of it; or
// to all pods that bring a boundary of their own. The rest of a trust domain stays with
// Decide. Dedications are compared with ==. The zero Dedication is one of which nothing is known,
// and admits no pod.
type Dedication struct {
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

// Dedication returns what a node is dedicated to when the subject opens it; false if it opens
// none, because it is of the platform or has no trust domain.
func (s Subject) Dedication() (Dedication, bool) {
	switch {
	case s.scope != managed:
		return Dedication{}, false
	case s.open:
		return Dedication{shared: true}, true
	}
	return s.group.dedication(), true
}

// dedication returns the dedication of a node to the tenant and data class of the group.
func (g KernelGroup) dedication() Dedication {
	d := g.interned.Value()
	return Dedication{tenant: d.Tenant, dataClass: d.DataClass}
}

// Admits reports whether the subject may be on a node with this dedication, as far as the dedication
// is concerned. A container is never admitted where VM-isolated pods share the node, even
// if all of them are of its own trust domain: it would keep out the VMs that come next.
func (c Dedication) Admits(s *Subject) bool {
	switch {
	case s.scope == platform:
		return true
	case s.scope != managed:
		return false
	case c.shared:
		return s.open
	}
	return c == s.group.dedication()
}

// Known reports whether the dedication says to whom the node is dedicated.
func (c Dedication) Known() bool { return c != Dedication{} }

// Tenant returns the one tenant to whom the node is dedicated; false if it is shared, or
// nothing is known.
func (c Dedication) Tenant() (string, bool) { return c.tenant, c.tenant != "" }

// Taints returns the taints that say the same on the Node, none for the zero Dedication. The
// node bears them as labels too, for people to read.
func (c Dedication) Taints() []Taint {
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

// ParseDedication reads a dedication from the taints of a node; false if none of them is of one.
// Taints that this policy would not have written, as half of them or those of another
// policy, are the zero Dedication.
func (p *Policy) ParseDedication(taints []Taint) (Dedication, bool) {
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
		return Dedication{}, found
	}
	return p.dedicationOf(values[0], values[1], values[2]), true
}

// dedicationOf returns the dedication that the values mean, the zero Dedication if they mean none.
func (p *Policy) dedicationOf(tenant, dataClass, boundary string) Dedication {
	if boundary != "" {
		if boundary != boundaryTaintVM || tenant != "" || dataClass != "" {
			return Dedication{}
		}
		return Dedication{shared: true}
	}
	if tenant == "" || !p.representative(dataClass) {
		return Dedication{}
	}
	return Dedication{tenant: tenant, dataClass: dataClass}
}

// representative reports whether the policy dedicates nodes for this data class by this name.
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

// String returns the dedication for logs and for administrators.
func (c Dedication) String() string {
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

// Dedication returns the dedication that fits all pods on a node; false if there is none,
// because no managed pod is there or the rule does not hold among them.
func (o *Occupancy) Dedication() (Dedication, bool) {
	if o.unknown > 0 || o.unmanaged > 0 || !o.all.some {
		return Dedication{}, false
	}
	if !o.closed.some {
		return Dedication{shared: true}, true
	}
	if o.all.several {
		return Dedication{}, false
	}
	return o.all.group.dedication(), true
}

// AdmitsAll reports whether the dedication admits all pods on a node. It says nothing of
// whether the rule holds among them.
func (c Dedication) AdmitsAll(o *Occupancy) bool {
	for i := range o.residents {
		if !c.Admits(&o.residents[i].Subject) {
			return false
		}
	}
	return true
}

// Protected reports whether a node is kept dedicated for a pod on it: a managed pod, or one
// of which nothing is known.
func (o *Occupancy) Protected() bool { return o.all.some || o.unknown > 0 }
