package isolation

// Reason is why a verdict is as it is: a closed set. The zero value denies; Decide
// gives it only to a zero Subject or of a zero Policy.
type Reason uint8

// Reasons to deny come first, then the reasons to admit.
const (
	Undecided Reason = iota

	// Denials of the incoming pod, wherever it wants to go.

	// FactsIncomplete: what is needed to judge has not been read yet.
	FactsIncomplete
	// NoPolicy: no IsolationPolicy is in force.
	NoPolicy
	// TakingOver: nodes are dedicated, and this process does not know them yet.
	TakingOver
	// UnknownNamespace: nothing is known of the pod's namespace.
	UnknownNamespace
	// OlderThanNamespace: the pod was made in another namespace of that name.
	OlderThanNamespace
	// UnmanagedNamespace: the pod's namespace has no tenant.
	UnmanagedNamespace
	// InvalidTenant: the namespace's tenant label is empty.
	InvalidTenant
	// MismatchedTenant: the pod's tenant label contradicts its namespace's.
	MismatchedTenant
	// UnknownDataClass: a data-class label has a value that is not configured.
	UnknownDataClass
	// UnknownPrivilege: a privilege label is no Pod Security Standards level.
	UnknownPrivilege
	// UnknownBoundary: the namespace's boundary label has an unknown value.
	UnknownBoundary
	// UnknownRuntimeClass: the pod names a RuntimeClass that does not exist.
	UnknownRuntimeClass
	// WeakBoundary: the pod's boundary is below what its namespace demands.
	WeakBoundary

	// Denials of one node.

	// MissingHandler: the node reports its runtime handlers, and the pod's is not
	// among them.
	MissingHandler
	// ForeignDedication: the node is dedicated, and not to the likes of the pod.
	ForeignDedication
	// UnknownResident: a resident's trust domain is unknown.
	UnknownResident
	// UnmanagedResident: a resident's namespace has no tenant.
	UnmanagedResident
	// ForeignResident: a resident is of another trust domain, and not both it and the
	// pod are behind a boundary that would let them share the machine.
	ForeignResident
	// DemandedNode: only a demand for the whole machine, the pod's or a resident's, is
	// in the way.
	DemandedNode
	// NodeLimit: the node would take the pod, but would be one more that is charged to the
	// pod's tenant, which has as many as it may have.
	NodeLimit
	// KeptForVMs: the pod would have to open the node, which could take pods in VMs, and needs
	// none.
	KeptForVMs

	// Admissions.

	// PlatformPod: the pod belongs to the platform and is not judged.
	PlatformPod
	// EmptyNode: no pod but the platform's is there.
	EmptyNode
	// DedicatedNode: the same, and the node is dedicated to the likes of the pod.
	DedicatedNode
	// SameTrustDomain: all pods there are of the pod's own trust domain.
	SameTrustDomain
	// SeparateKernels: others are there, each behind its own boundary, as the pod is.
	SeparateKernels
)

// Reasons lists all reasons but Undecided.
func Reasons() []Reason {
	all := make([]Reason, 0, SeparateKernels)
	for r := FactsIncomplete; r <= SeparateKernels; r++ {
		all = append(all, r)
	}
	return all
}

// Admits reports whether the reason is one to admit.
func (r Reason) Admits() bool {
	switch r {
	case PlatformPod, EmptyNode, DedicatedNode, SameTrustDomain, SeparateKernels:
		return true
	case Undecided, FactsIncomplete, NoPolicy, TakingOver, UnknownNamespace, OlderThanNamespace, UnmanagedNamespace, InvalidTenant,
		MismatchedTenant, UnknownDataClass, UnknownPrivilege, UnknownBoundary, UnknownRuntimeClass,
		WeakBoundary, MissingHandler, ForeignDedication, UnknownResident, UnmanagedResident, ForeignResident,
		DemandedNode, NodeLimit, KeptForVMs:
	}
	return false
}

// AboutPod reports whether the reason denies the pod on every node.
func (r Reason) AboutPod() bool {
	return r >= FactsIncomplete && r <= WeakBoundary
}

// AboutResidents reports whether the reason denies because of who is on the node.
func (r Reason) AboutResidents() bool {
	return r >= UnknownResident && r <= DemandedNode
}

// String returns the reason's name, for logs, metrics and tests.
func (r Reason) String() string {
	switch r {
	case Undecided:
		return "Undecided"
	case FactsIncomplete:
		return "FactsIncomplete"
	case NoPolicy:
		return "NoPolicy"
	case TakingOver:
		return "TakingOver"
	case UnknownNamespace:
		return "UnknownNamespace"
	case OlderThanNamespace:
		return "OlderThanNamespace"
	case UnmanagedNamespace:
		return "UnmanagedNamespace"
	case InvalidTenant:
		return "InvalidTenant"
	case MismatchedTenant:
		return "MismatchedTenant"
	case UnknownDataClass:
		return "UnknownDataClass"
	case UnknownPrivilege:
		return "UnknownPrivilege"
	case UnknownBoundary:
		return "UnknownBoundary"
	case UnknownRuntimeClass:
		return "UnknownRuntimeClass"
	case WeakBoundary:
		return "WeakBoundary"
	case MissingHandler:
		return "MissingHandler"
	case ForeignDedication:
		return "ForeignDedication"
	case UnknownResident:
		return "UnknownResident"
	case UnmanagedResident:
		return "UnmanagedResident"
	case ForeignResident:
		return "ForeignResident"
	case DemandedNode:
		return "DemandedNode"
	case NodeLimit:
		return "NodeLimit"
	case KeptForVMs:
		return "KeptForVMs"
	case PlatformPod:
		return "PlatformPod"
	case EmptyNode:
		return "EmptyNode"
	case DedicatedNode:
		return "DedicatedNode"
	case SameTrustDomain:
		return "SameTrustDomain"
	case SeparateKernels:
		return "SeparateKernels"
	}
	return "Unknown"
}

// residentsSentence is the one sentence for everything that others cause, by being there
// or by their dedication: a second one would show a tenant something of its neighbours.
const residentsSentence = "node(s) hold pods of another trust domain"

// Sentence returns the denial in words that the pod's owner may read: a constant
// that names no tenant, pod, namespace or node. The framework counts equal sentences
// over the nodes, so every one of a node is a fragment of the form "node(s) <fact>".
// It is empty for an admission.
func (r Reason) Sentence() string {
	switch r {
	case Undecided:
		return "pod was not judged: this is a fault of the scheduler, report it"
	case FactsIncomplete:
		return "namespaces and runtime classes have not been read yet: the pod is retried as soon as they are"
	case NoPolicy:
		return "no IsolationPolicy is in force: the pod is retried as soon as an administrator has made one"
	case TakingOver:
		return "dedicated nodes have not been taken over yet: the pod is retried as soon as they are"
	case UnknownNamespace:
		return "pod has no trust domain: its namespace is not known yet"
	case OlderThanNamespace:
		return "pod is older than its namespace, which was deleted and made again: delete the pod, so that it is made again too"
	case UnmanagedNamespace:
		return "pod has no trust domain: its namespace has no tenant label, ask an administrator to set it"
	case InvalidTenant:
		return "pod has no trust domain: its namespace's tenant label is empty"
	case MismatchedTenant:
		return "pod's tenant label differs from its namespace's: remove it from the pod"
	case UnknownDataClass:
		return "data-class label of the pod or its namespace is not one of the configured classes"
	case UnknownPrivilege:
		return "privilege label of the pod or its namespace is not restricted, baseline or privileged"
	case UnknownBoundary:
		return "boundary label of the pod's namespace is not container, sandbox, vm or node"
	case UnknownRuntimeClass:
		return "pod's RuntimeClass does not exist"
	case WeakBoundary:
		return "pod's boundary is weaker than its namespace demands: name a VM-isolated RuntimeClass and share nothing with the host"
	case MissingHandler:
		return "node(s) don't offer the runtime handler of the pod's RuntimeClass"
	case ForeignDedication, UnknownResident, UnmanagedResident, ForeignResident, DemandedNode:
		return residentsSentence
	case NodeLimit:
		return "node(s) would take the pod, but its tenant has as many nodes as it may have (maxNodesPerTenant): free one of them, or ask an administrator for more"
	case KeptForVMs:
		return "node(s) are kept for pods in VMs while others can take the pod (containersOnVMNodes): remove what selects them, or name a VM-isolated RuntimeClass"
	case PlatformPod, EmptyNode, DedicatedNode, SameTrustDomain, SeparateKernels:
	}
	return ""
}
