package isolation

import "slices"

// Node is what the rule reads of a node.
type Node struct {
	Occupancy Occupancy
	// Handlers are the runtime handlers that the node reports; nil if it does not
	// report any, and then the node is taken to have all of them.
	Handlers map[string]bool
	// VMCapable: the node can start VM-isolated pods.
	VMCapable bool
	// Dedicated: the node is dedicated, to whom Dedication says.
	Dedicated  bool
	Dedication Dedication
	// Charged are the tenants to which a dedicated node is charged. One to whom it is
	// dedicated alone need not be among them.
	Charged []string
}

// chargedTo reports whether the node counts towards the limit of the tenant already.
func (n *Node) chargedTo(tenant string) bool {
	return n.Dedicated && (n.Dedication.tenant == tenant || slices.Contains(n.Charged, tenant))
}

// Verdict is the answer to "may this pod join this node". The zero Verdict denies.
type Verdict struct {
	reason Reason
	// ownTenant: every pod in the way is of the incoming pod's own tenant.
	ownTenant bool
	// final: evicting every pod in the way would not make the node admit.
	final bool
}

// Reason returns why.
func (v Verdict) Reason() Reason { return v.reason }

// Allowed reports whether the pod may join the node.
func (v Verdict) Allowed() bool { return v.reason.Admits() }

// Decide judges whether the incoming pod may join the node. It never allows a pod
// beside a resident with which it may not share the machine (L1), reads nothing but
// its arguments (L2), and of a node that it denies every superset is denied too (L4).
// The policy's choices are in the subjects; all of them have to come from one policy.
func Decide(incoming *Subject, node *Node) Verdict {
	// Platform pods are never judged.
	if incoming.scope == platform {
		return Verdict{reason: PlatformPod}
	}
	// The order is the specification: faults of the pod, then of the
	// node, then its residents; of these, first those of which least is known.
	if incoming.scope != managed || incoming.denied != Undecided {
		return Verdict{reason: incoming.denied}
	}
	if incoming.handler != "" && node.Handlers != nil && !node.Handlers[incoming.handler] {
		return Verdict{reason: MissingHandler}
	}
	// Before the residents: evicting them would not change to whom the node is dedicated.
	if node.Dedicated && !node.Dedication.Admits(incoming) {
		return Verdict{reason: ForeignDedication}
	}
	v := decideResidents(incoming, node)
	if incoming.confined && !node.chargedTo(incoming.domain.Tenant) {
		if v.Allowed() {
			return Verdict{reason: NodeLimit}
		}
		v.final = true
	}
	if incoming.avoidsVMNodes && node.VMCapable && !node.Dedicated {
		if v.Allowed() {
			return Verdict{reason: KeptForVMs}
		}
		v.final = true
	}
	return v
}

func decideResidents(incoming *Subject, node *Node) Verdict {
	o := &node.Occupancy
	if o.unknown > 0 {
		return Verdict{reason: UnknownResident}
	}
	if o.unmanaged > 0 {
		return Verdict{reason: UnmanagedResident}
	}
	switch {
	case !o.all.some && node.Dedicated:
		return Verdict{reason: DedicatedNode}
	case !o.all.some:
		return Verdict{reason: EmptyNode}
	case o.all.only(incoming.group):
		return Verdict{reason: SameTrustDomain}
	case incoming.open && o.closed.only(incoming.group):
		return Verdict{reason: SeparateKernels}
	}
	return denyResidents(incoming, o)
}

// denyResidents finds out who is in the way.
func denyResidents(incoming *Subject, o *Occupancy) Verdict {
	v := Verdict{reason: DemandedNode, ownTenant: true}
	for i := range o.groups {
		g := &o.groups[i]
		if g.group == incoming.group || (incoming.open && g.Open) {
			continue
		}
		if !incoming.isolated || !g.Isolated {
			v.reason = ForeignResident
		}
		if g.Domain.Tenant != incoming.domain.Tenant {
			v.ownTenant = false
		}
	}
	return v
}

// MayEvict reports whether the policy lets a denial be resolved by evicting the
// residents in the way. Only then may the scheduler's preemption consider the node.
func (p *Policy) MayEvict(v Verdict) bool {
	if !v.reason.AboutResidents() || v.final {
		return false
	}
	switch p.preemption {
	case PreemptAny:
		return true
	case PreemptSameTenant:
		return v.ownTenant
	case PreemptNever:
	}
	return false
}
