package isolation

import (
	"fmt"
	"unique"
)

// EvidenceAnnotation is the pod annotation that records what a pod was judged to be when
// it was placed. It is written with the bind. It is evidence for auditors, and an upper bound
// for the boundary of a resident; it makes no pod more trusted.
const EvidenceAnnotation = "tenantisolation.dev/trust-domain"

// Namespace is what the rule reads of a pod's namespace.
type Namespace struct {
	Name   string
	Labels map[string]string
	// PlatformSelected reports that the administrator's selector of platform
	// namespaces matches this one.
	PlatformSelected bool
}

// Pod is what the rule reads of a pod: facts, gathered by the caller.
type Pod struct {
	// Namespace is nil when nothing is known of it, which denies.
	Namespace *Namespace
	// OlderThanNamespace: the namespace was made after the pod, so the pod was made in another
	// one of that name, of which nothing is known.
	OlderThanNamespace bool
	// Labels and Annotations are the pod's own; a tenant writes them.
	Labels, Annotations map[string]string
	// Privilege is the lowest Pod Security Standards level that the spec satisfies,
	// over all of its containers.
	Privilege     Privilege
	UserNamespace UserNamespace
	// RuntimeClass is the name of the pod's RuntimeClass, empty for the node's
	// default runtime; RuntimeClassFound: it exists, and Handler is its handler.
	RuntimeClass      string
	RuntimeClassFound bool
	Handler           string
	// HandlerUncertain: the pod has been started, and its RuntimeClass was made after
	// that. What runs may have been started by a handler of which nothing is known.
	HandlerUncertain bool
	// HostAccess is what the spec and the volumes behind it share with the host.
	HostAccess HostAccess
	// Resident: the pod is bound to a node, and was judged when it was (L10).
	Resident bool
	// MountsPVCs: the pod mounts PersistentVolumeClaims.
	MountsPVCs bool
}

// TrustDomain names who may share a kernel. It is made by Policy.Resolve and compared
// inside of this package, because the policy chooses which parts separate them.
type TrustDomain struct {
	Tenant        string
	DataClass     string
	Privilege     Privilege
	UserNamespace UserNamespace
}

// String returns the form of the evidence annotation, without the boundary.
func (d TrustDomain) String() string {
	return fmt.Sprintf("%s=%s,%s=%s,%s=%s,%s=%s",
		AxisTenant, d.Tenant, AxisDataClass, d.DataClass,
		AxisPrivilege, d.Privilege, AxisUserNamespace, d.UserNamespace)
}

// scope says whether the rule applies to a subject. Its zero value keeps every other pod
// away.
type scope uint8

const (
	unresolved scope = iota
	unmanaged
	platform
	managed
)

// KernelGroup identifies the pods that may share a kernel under one policy: a trust
// domain with the axes that do not separate blanked and shared values replaced by
// their group's representative. It is interned, so that comparing two of them is
// comparing a pointer, and can be the key of a map. The zero KernelGroup is no group.
type KernelGroup struct {
	interned unique.Handle[TrustDomain]
}

// Subject is what a policy makes of a pod, as incoming pod and as resident. It is a
// small immutable value. The zero Subject is denied, and keeps every other pod away.
type Subject struct {
	scope scope
	// denied is why the pod may not be placed anywhere, Undecided if it may.
	denied   Reason
	group    KernelGroup
	domain   TrustDomain
	boundary Boundary
	demand   Demand
	// isolated: the boundary lets other trust domains share the machine. open: and the
	// namespace does not mind.
	isolated, open bool
	// confined: the tenant may have no other node.
	confined bool
	// avoidsVMNodes: the pod opens no node that can start pods in VMs.
	avoidsVMNodes bool
	handler       string
	hostAccess    HostAccess
}

// Resolve computes a pod's trust domain, boundary and demand.
//
// Each ordered axis takes the highest of namespace label, pod label and, for
// privilege, what the spec asks for; so whatever a tenant writes can make its pod
// less trusted and never more (L9).
func (p *Policy) Resolve(pod Pod) Subject {
	if !p.made() {
		return Subject{}
	}
	ns := pod.Namespace
	if ns == nil {
		return Subject{scope: unresolved, denied: UnknownNamespace}
	}
	if pod.OlderThanNamespace {
		return Subject{scope: unresolved, denied: OlderThanNamespace}
	}
	tenant, isManaged := ns.Labels[TenantLabel]
	if !isManaged {
		// A namespace that is platform and managed at once is managed: the tenant
		// label is the stronger promise.
		if p.platform[ns.Name] || ns.PlatformSelected {
			return Subject{scope: platform}
		}
		return Subject{scope: unmanaged, denied: UnmanagedNamespace}
	}
	if tenant == "" {
		return Subject{scope: unresolved, denied: InvalidTenant}
	}
	if named, ok := pod.Labels[TenantLabel]; ok && named != tenant {
		return Subject{scope: unresolved, denied: MismatchedTenant}
	}
	class, ok := p.effectiveDataClass(ns.Labels, pod.Labels)
	if !ok {
		return Subject{scope: unresolved, denied: UnknownDataClass}
	}
	privilege, ok := p.effectivePrivilege(ns.Labels, pod.Labels, pod.Privilege)
	if !ok {
		return Subject{scope: unresolved, denied: UnknownPrivilege}
	}
	var demand Demand
	if value, ok := ns.Labels[BoundaryLabel]; ok {
		var err error
		if demand, err = ParseDemand(value); err != nil {
			return Subject{scope: unresolved, denied: UnknownBoundary}
		}
	}
	if pod.RuntimeClass != "" && !pod.RuntimeClassFound {
		return Subject{scope: unresolved, denied: UnknownRuntimeClass}
	}

	s := Subject{
		scope: managed,
		domain: TrustDomain{
			Tenant:        tenant,
			DataClass:     class,
			Privilege:     privilege,
			UserNamespace: pod.UserNamespace,
		},
		demand:     demand,
		handler:    pod.Handler,
		hostAccess: pod.HostAccess | p.runtimeAnnotations(pod.Annotations),
	}
	s.group = p.groupOf(s.domain)
	if pod.Resident {
		s.boundary, s.hostAccess = p.residentBoundary(&pod, s.hostAccess)
	} else if pod.RuntimeClass != "" && s.hostAccess == 0 && !pod.HandlerUncertain {
		s.boundary = p.BoundaryOf(pod.Handler)
	}
	if s.boundary < demand.Boundary {
		s.denied = WeakBoundary
	}
	s.isolated = p.Isolates(s.boundary)
	s.open = s.isolated && !demand.Node
	return s
}

func (p *Policy) effectiveDataClass(namespace, pod map[string]string) (string, bool) {
	highest := Unclassified
	for _, labels := range [...]map[string]string{namespace, pod} {
		value, ok := labels[DataClassLabel]
		if !ok {
			continue
		}
		rank, ok := p.classRank[value]
		if !ok {
			return "", false
		}
		if rank > p.classRank[highest] {
			highest = value
		}
	}
	return highest, true
}

func (p *Policy) effectivePrivilege(namespace, pod map[string]string, observed Privilege) (Privilege, bool) {
	if observed == PrivilegeUnknown || observed > PrivilegePrivileged {
		return PrivilegeUnknown, false
	}
	highest := observed
	for _, labels := range [...]map[string]string{namespace, pod} {
		value, ok := labels[PrivilegeLabel]
		if !ok {
			continue
		}
		labelled, err := ParsePrivilege(value)
		if err != nil {
			return PrivilegeUnknown, false
		}
		highest = max(highest, labelled)
	}
	return highest, true
}

func (p *Policy) runtimeAnnotations(annotations map[string]string) HostAccess {
	for key := range annotations {
		if ReconfiguresRuntime(key) && !p.allowedAnnotations[key] {
			return RuntimeAnnotation
		}
	}
	return 0
}

func (p *Policy) groupOf(d TrustDomain) KernelGroup {
	if shared, ok := p.classShare[d.DataClass]; ok {
		d.DataClass = shared
	}
	if shared, ok := p.privilegeShare[d.Privilege]; ok {
		d.Privilege = shared
	}
	if !p.separates[AxisDataClass] {
		d.DataClass = ""
	}
	if !p.separates[AxisPrivilege] {
		d.Privilege = PrivilegeUnknown
	}
	if !p.separates[AxisUserNamespace] {
		d.UserNamespace = UserNamespaceHost
	}
	return KernelGroup{unique.Make(d)}
}

// TrustDomain returns the subject's trust domain; false if it has none, because it
// is of the platform, unmanaged or unknown.
func (s Subject) TrustDomain() (TrustDomain, bool) {
	return s.domain, s.scope == managed
}

// Platform reports whether the subject is a platform pod: trusted by all and never
// judged.
func (s Subject) Platform() bool { return s.scope == platform }

// Denied returns why the subject may not be placed on any node, and false if it may.
func (s Subject) Denied() (Reason, bool) {
	if s.scope == platform || (s.scope == managed && s.denied == Undecided) {
		return Undecided, false
	}
	return s.denied, true
}

// Boundary returns what stands between the pod and the node's kernel, after
// whatever voided it.
func (s Subject) Boundary() Boundary { return s.boundary }

// HostAccess returns what voided the boundary, if anything did.
func (s Subject) HostAccess() HostAccess { return s.hostAccess }

// Handler returns the runtime handler that a node must have for the pod, empty for
// the node's default.
func (s Subject) Handler() string { return s.handler }

// Isolated reports whether the pod's boundary is strong enough to share a machine with other
// trust domains.
func (s Subject) Isolated() bool { return s.isolated }

// Open reports whether other trust domains may share a machine with the pod, if
// they are open as well.
func (s Subject) Open() bool { return s.open }

// SharesKernelWith reports whether the policy puts both into one trust domain. It is
// false for a subject without one.
func (s Subject) SharesKernelWith(other Subject) bool {
	return s.scope == managed && other.scope == managed && s.group == other.group
}

// KernelGroup returns the key under which to look for others that may share a kernel
// with the subject; false if none may.
func (s Subject) KernelGroup() (KernelGroup, bool) {
	return s.group, s.scope == managed
}

// Confined returns the same subject while its tenant has as many nodes as it may: a node
// that is not charged to the tenant yet denies it.
func (s Subject) Confined() Subject {
	s.confined = s.scope == managed
	return s
}

// AvoidingVMNodes returns the same subject while there are other nodes for it than those that
// can start pods in VMs: of those, an empty one that is not dedicated yet denies a pod that is
// not isolated.
func (s Subject) AvoidingVMNodes() Subject {
	s.avoidsVMNodes = s.scope == managed && !s.isolated
	return s
}

// Equivalent reports whether the two are the same pod to the rule: they
// have the same evidence and the same verdicts, except for which nodes they may open. They may differ
// in what voided a boundary.
func (s Subject) Equivalent(other Subject) bool {
	s.hostAccess, other.hostAccess = 0, 0
	s.confined, other.confined = false, false
	s.avoidsVMNodes, other.avoidsVMNodes = false, false
	return s == other
}

// String returns the evidence that the scheduler stamps on a pod: trust domain and
// boundary.
func (s Subject) String() string {
	switch s.scope {
	case managed:
		return fmt.Sprintf("%s,boundary=%s", s.domain, s.boundary)
	case platform:
		return "platform"
	case unmanaged:
		return "unmanaged"
	case unresolved:
	}
	return "unknown: " + s.denied.String()
}
