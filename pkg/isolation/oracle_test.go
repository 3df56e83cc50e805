package isolation

import (
	"slices"
	"strings"
)

// oracle is the rule a second time: written from the words of the contract,
// not from the code that it checks, and in the plainest way there is.
// It goes through the residents one by one, compares strings, remembers nothing
// and knows no shortcut. Where it and the core differ, one of them is wrong.
type oracle struct{ config Config }

// judged is what the contract says of one pod on its own.
type judged struct {
	platform  bool
	unmanaged bool
	// faults is everything that keeps the pod from being placed, not only the
	// first thing.
	faults map[Reason]bool
	// domain is the value of each axis, by the axis's name.
	domain map[string]string
	// resolved: the trust domain is known.
	resolved    bool
	boundary    string
	demandsNode bool
}

// answer is what the contract says of a pod and a node. Where several reasons
// are true, any of them will do.
type answer struct {
	allow   bool
	reasons map[Reason]bool
}

var (
	oracleBoundaries = []string{"container", "sandbox", "vm"}
	oraclePrivileges = []string{"restricted", "baseline", "privileged"}
)

func (o oracle) classes() []string {
	return append([]string{"unclassified"}, o.config.DataClasses...)
}

// machine is all of a node but its residents, and how many nodes the incoming pod's
// tenant may open.
type machine struct {
	// handlers is nil if the node does not report any.
	handlers map[string]bool
	// taints are those of a dedication, nil if the node is not dedicated; the keys' prefix is
	// left out.
	taints map[string]string
	// charged are the tenants that a dedicated node is charged to, if it is of several.
	charged  []string
	confined bool
	// vmCapable: it can start pods in VMs; avoids: the pod has other nodes than those.
	vmCapable, avoids bool
}

// decide: an incoming pod may join a node if every resident that is not a
// platform pod agrees, and the dedication does.
func (o oracle) decide(incoming Pod, residents []Pod, on machine) answer {
	in := o.judge(incoming)
	if in.platform {
		return answer{allow: true, reasons: set(PlatformPod)}
	}
	if len(in.faults) > 0 {
		return answer{reasons: in.faults}
	}
	if on.handlers != nil && incoming.Handler != "" && !on.handlers[incoming.Handler] {
		return answer{reasons: set(MissingHandler)}
	}
	if on.taints != nil && !o.tolerates(in, on.taints) {
		return answer{reasons: set(ForeignDedication)}
	}

	against := make(map[Reason]bool)
	count, same := 0, 0
	for _, r := range residents {
		resident := o.judge(r)
		if resident.platform {
			continue
		}
		count++
		if why, may := o.maySharePair(in, resident); !may {
			against[why] = true
		} else if o.sameDomain(in, resident) {
			same++
		}
	}
	if len(against) > 1 {
		// Said only if nothing else is in the way.
		delete(against, DemandedNode)
	}
	switch {
	case len(against) > 0:
		return answer{reasons: against}
	case on.confined && !chargedFor(in, on):
		return answer{reasons: set(NodeLimit)}
	case on.keptFrom(o, in):
		return answer{reasons: set(KeptForVMs)}
	case count == 0 && on.taints != nil:
		return answer{allow: true, reasons: set(DedicatedNode)}
	case count == 0:
		return answer{allow: true, reasons: set(EmptyNode)}
	case same == count:
		return answer{allow: true, reasons: set(SameTrustDomain)}
	}
	return answer{allow: true, reasons: set(SeparateKernels)}
}

// chargedFor: the node is one of those that the pod's tenant has already, because it is dedicated
// to it or its pods are there.
func chargedFor(in judged, on machine) bool {
	return on.taints != nil && (on.taints["tenant"] == in.domain["tenant"] || slices.Contains(on.charged, in.domain["tenant"]))
}

// keptFrom: opening the node would take it from pods in VMs, for a pod that is in none.
func (m machine) keptFrom(o oracle, in judged) bool {
	strength := slices.Index(oracleBoundaries, in.boundary)
	return m.vmCapable && m.avoids && m.taints == nil && strength < slices.Index(oracleBoundaries, o.config.MinimumBoundary.String())
}

// tolerates: a node of several trust domains takes each pod that brings a boundary and does
// not demand the machine, one of a tenant that tenant, and of it the data class that the
// taint names; where classes share, the taint names the first of them.
func (o oracle) tolerates(in judged, taints map[string]string) bool {
	want := map[string]string{"tenant": in.domain["tenant"]}
	for _, axis := range o.config.SeparateBy {
		if axis.String() == "data-class" {
			want["data-class"] = in.domain["data-class"]
			for _, group := range o.config.ShareDataClasses {
				if contains(group, in.domain["data-class"]) {
					want["data-class"] = group[0]
				}
			}
		}
	}
	isolated := rank(oracleBoundaries, in.boundary) >= rank(oracleBoundaries, o.config.MinimumBoundary.String())
	if isolated && !in.demandsNode && len(taints) == 1 && taints["boundary"] == "vm" {
		return true
	}
	if len(taints) != len(want) {
		return false
	}
	for key, value := range want {
		if taints[key] != value {
			return false
		}
	}
	return true
}

// mayEvict: a conflict with residents may evict as the argument says, and for
// SameTenant only if everybody in the way is of the pod's own tenant.
func (o oracle) mayEvict(incoming Pod, residents []Pod, on machine) bool {
	a := o.decide(incoming, residents, on)
	if a.allow || len(o.judge(incoming).faults) > 0 || a.reasons[MissingHandler] || a.reasons[ForeignDedication] {
		return false
	}
	if on.confined && !chargedFor(o.judge(incoming), on) || on.keptFrom(o, o.judge(incoming)) {
		return false
	}
	if o.config.Preemption != PreemptSameTenant {
		return o.config.Preemption == PreemptAny
	}
	in := o.judge(incoming)
	for _, r := range residents {
		resident := o.judge(r)
		if resident.platform {
			continue
		}
		if _, may := o.maySharePair(in, resident); may {
			continue
		}
		if !resident.resolved || resident.domain["tenant"] != in.domain["tenant"] {
			return false
		}
	}
	return true
}

// isolated: the boundary is at least the minimum.
func (o oracle) isolated(j judged) bool {
	return rank(oracleBoundaries, j.boundary) >= rank(oracleBoundaries, o.config.MinimumBoundary.String())
}

// evidence is what is stamped on a pod whose trust domain is known.
func (o oracle) evidence(p Pod) string {
	j := o.judge(p)
	parts := []string{}
	for _, name := range []string{"tenant", "data-class", "privilege", "user-namespace"} {
		parts = append(parts, name+"="+j.domain[name])
	}
	return strings.Join(append(parts, "boundary="+j.boundary), ",")
}

// maySharePair is the rule of two lines for one pair of managed pods, and a
// denial beside everybody else.
func (o oracle) maySharePair(in, resident judged) (Reason, bool) {
	if resident.unmanaged {
		return UnmanagedResident, false
	}
	if !resident.resolved {
		return UnknownResident, false
	}
	if o.sameDomain(in, resident) {
		return SameTrustDomain, true
	}
	minimum := o.config.MinimumBoundary.String()
	if rank(oracleBoundaries, in.boundary) < rank(oracleBoundaries, minimum) ||
		rank(oracleBoundaries, resident.boundary) < rank(oracleBoundaries, minimum) {
		return ForeignResident, false
	}
	if in.demandsNode || resident.demandsNode {
		return DemandedNode, false
	}
	return SeparateKernels, true
}

func (o oracle) sameDomain(a, b judged) bool {
	for _, axis := range o.config.SeparateBy {
		name := axis.String()
		if a.domain[name] == b.domain[name] {
			continue
		}
		if !o.groupHolds(name, a.domain[name], b.domain[name]) {
			return false
		}
	}
	return true
}

// groupHolds: a sharing group of this axis names both values.
func (o oracle) groupHolds(axis, a, b string) bool {
	groups := [][]string{}
	switch axis {
	case "data-class":
		groups = o.config.ShareDataClasses
	case "privilege":
		for _, group := range o.config.SharePrivileges {
			names := []string{}
			for _, level := range group {
				names = append(names, level.String())
			}
			groups = append(groups, names)
		}
	}
	for _, group := range groups {
		if contains(group, a) && contains(group, b) {
			return true
		}
	}
	return false
}

// judge reads the labels and the spec of one pod.
func (o oracle) judge(p Pod) judged {
	j := judged{faults: make(map[Reason]bool), domain: map[string]string{}, boundary: "container"}
	if p.Namespace == nil {
		j.faults[UnknownNamespace] = true
		return j
	}
	if p.OlderThanNamespace {
		j.faults[OlderThanNamespace] = true
		return j
	}
	ns := p.Namespace.Labels
	tenant, managed := ns[tenantLabel]
	if !managed {
		if p.Namespace.PlatformSelected || contains(o.config.PlatformNamespaces, p.Namespace.Name) {
			j.platform = true
			return j
		}
		j.unmanaged = true
		j.faults[UnmanagedNamespace] = true
		return j
	}
	if tenant == "" {
		j.faults[InvalidTenant] = true
	}
	if own, ok := p.Labels[tenantLabel]; ok && own != tenant {
		j.faults[MismatchedTenant] = true
	}
	j.domain["tenant"] = tenant
	j.domain["user-namespace"] = p.UserNamespace.String()

	classes := o.classes()
	j.domain["data-class"] = classes[0]
	for _, labels := range []map[string]string{ns, p.Labels} {
		if value, ok := labels[dataClassLabel]; ok {
			if rank(classes, value) < 0 {
				j.faults[UnknownDataClass] = true
			}
			j.domain["data-class"] = higher(classes, j.domain["data-class"], value)
		}
	}

	if p.Privilege == PrivilegeUnknown {
		j.faults[UnknownPrivilege] = true
	}
	j.domain["privilege"] = p.Privilege.String()
	for _, labels := range []map[string]string{ns, p.Labels} {
		if value, ok := labels[privilegeLabel]; ok {
			if rank(oraclePrivileges, value) < 0 {
				j.faults[UnknownPrivilege] = true
			}
			j.domain["privilege"] = higher(oraclePrivileges, j.domain["privilege"], value)
		}
	}

	if p.RuntimeClass != "" {
		if p.RuntimeClassFound {
			j.boundary = o.config.BoundaryByHandler[p.Handler].String()
		} else {
			j.faults[UnknownRuntimeClass] = true
		}
	}
	if p.HostAccess != 0 || p.HandlerUncertain || o.configuresItsVM(p) {
		j.boundary = "container"
	}
	if demand, ok := ns[boundaryLabel]; ok {
		switch {
		case demand == "node":
			j.demandsNode = true
		case rank(oracleBoundaries, demand) < 0:
			j.faults[UnknownBoundary] = true
		}
	}

	j.resolved = len(j.faults) == 0
	if demand := ns[boundaryLabel]; rank(oracleBoundaries, demand) > rank(oracleBoundaries, j.boundary) {
		j.faults[WeakBoundary] = true
	}
	return j
}

func (o oracle) configuresItsVM(p Pod) bool {
	for key := range p.Annotations {
		if strings.HasPrefix(key, "io.katacontainers.") &&
			!contains(o.config.AllowedRuntimeAnnotations, key) {
			return true
		}
	}
	return false
}

func higher(order []string, a, b string) string {
	if rank(order, b) > rank(order, a) {
		return b
	}
	return a
}

// rank is the place of a value in its order, and below all of them if it has none.
func rank(order []string, value string) int {
	for i, v := range order {
		if v == value {
			return i
		}
	}
	return -1
}

func contains(values []string, value string) bool {
	return rank(values, value) >= 0
}

func set(reasons ...Reason) map[Reason]bool {
	m := make(map[Reason]bool)
	for _, r := range reasons {
		m[r] = true
	}
	return m
}
