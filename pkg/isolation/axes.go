package isolation

import "fmt"

// Privilege is a Pod Security Standards level. A higher value may do more to the
// host. The zero value is no level at all, so that a fact that was not gathered
// is an unknown privilege and not the lowest.
type Privilege uint8

// The levels of https://kubernetes.io/docs/concepts/security/pod-security-standards/.
const (
	PrivilegeUnknown Privilege = iota
	PrivilegeRestricted
	PrivilegeBaseline
	PrivilegePrivileged
)

// Privileges lists the known levels, lowest first.
func Privileges() []Privilege {
	return []Privilege{PrivilegeRestricted, PrivilegeBaseline, PrivilegePrivileged}
}

// String returns the level as it is written in labels.
func (p Privilege) String() string {
	switch p {
	case PrivilegeRestricted:
		return "restricted"
	case PrivilegeBaseline:
		return "baseline"
	case PrivilegePrivileged:
		return "privileged"
	case PrivilegeUnknown:
	}
	return "unknown"
}

// ParsePrivilege reads a level as it is written in labels.
func ParsePrivilege(s string) (Privilege, error) {
	for _, p := range Privileges() {
		if p.String() == s {
			return p, nil
		}
	}
	return PrivilegeUnknown, fmt.Errorf("unknown privilege %q: use restricted, baseline or privileged", s)
}

// UserNamespace says whose user IDs a pod's processes have.
type UserNamespace uint8

const (
	// UserNamespaceHost is the node's own user namespace: root in the container is
	// root outside of it.
	UserNamespaceHost UserNamespace = iota
	// UserNamespacePod is a user namespace of the pod's own (spec.hostUsers: false).
	UserNamespacePod
)

// String returns "host" or "pod".
func (u UserNamespace) String() string {
	switch u {
	case UserNamespaceHost:
		return "host"
	case UserNamespacePod:
		return "pod"
	}
	return "unknown"
}

// Boundary is what stands between a pod and the node's kernel. A higher value is a
// stronger boundary; the zero value is the weakest one.
type Boundary uint8

const (
	// BoundaryContainer is no more than namespaces and cgroups of a shared kernel.
	BoundaryContainer Boundary = iota
	// BoundarySandbox is a kernel in user space (gVisor): few of the host kernel's
	// system calls are reachable, but it is still that kernel.
	BoundarySandbox
	// BoundaryVM is a kernel of the pod's own behind a hypervisor (Kata Containers).
	BoundaryVM
)

// Boundaries lists the boundaries, weakest first.
func Boundaries() []Boundary {
	return []Boundary{BoundaryContainer, BoundarySandbox, BoundaryVM}
}

// String returns the boundary as it is written in labels and arguments.
func (b Boundary) String() string {
	switch b {
	case BoundaryContainer:
		return "container"
	case BoundarySandbox:
		return "sandbox"
	case BoundaryVM:
		return "vm"
	}
	return "unknown"
}

// ParseBoundary reads a boundary as it is written in labels and arguments.
func ParseBoundary(s string) (Boundary, error) {
	for _, b := range Boundaries() {
		if b.String() == s {
			return b, nil
		}
	}
	return BoundaryContainer, fmt.Errorf("unknown boundary %q: use container, sandbox or vm", s)
}

// demandNode is the value of a namespace's boundary label that asks for a machine
// rather than for a boundary.
const demandNode = "node"

// Demand is what a namespace asks of the placement of its pods.
type Demand struct {
	// Boundary is the weakest boundary that a pod of the namespace may have.
	Boundary Boundary
	// Node keeps every other trust domain off the machine, even one in a VM.
	Node bool
}

// ParseDemand reads the value of a namespace's boundary label.
func ParseDemand(s string) (Demand, error) {
	if s == demandNode {
		return Demand{Node: true}, nil
	}
	b, err := ParseBoundary(s)
	if err != nil {
		return Demand{}, fmt.Errorf("unknown boundary %q: use container, sandbox, vm or node", s)
	}
	return Demand{Boundary: b}, nil
}

// Axis is one of the parts of a trust domain.
type Axis uint8

const (
	// AxisTenant separates customers.
	AxisTenant Axis = iota
	// AxisDataClass separates kinds of data.
	AxisDataClass
	// AxisPrivilege separates Pod Security Standards levels.
	AxisPrivilege
	// AxisUserNamespace separates pods with a user namespace of their own from the others.
	AxisUserNamespace
)

// Axes lists all axes.
func Axes() []Axis {
	return []Axis{AxisTenant, AxisDataClass, AxisPrivilege, AxisUserNamespace}
}

// String returns the axis as it is written in arguments and in evidence.
func (a Axis) String() string {
	switch a {
	case AxisTenant:
		return "tenant"
	case AxisDataClass:
		return "data-class"
	case AxisPrivilege:
		return "privilege"
	case AxisUserNamespace:
		return "user-namespace"
	}
	return "unknown"
}

// ParseAxis reads an axis as it is written in arguments.
func ParseAxis(s string) (Axis, error) {
	for _, a := range Axes() {
		if a.String() == s {
			return a, nil
		}
	}
	return 0, fmt.Errorf("unknown axis %q: use tenant, data-class, privilege or user-namespace", s)
}

// HostAccess is a set of ways in which a pod reaches through its boundary to the
// host. Any of them makes the boundary worth no more than a container.
type HostAccess uint8

// The ways, as a pod's spec (or the volumes behind it) opens them.
const (
	HostNetwork HostAccess = 1 << iota
	HostPID
	HostIPC
	// HostPath is a directory of the host, mounted directly or through a
	// PersistentVolume.
	HostPath
	// PrivilegedContainer is a container with securityContext.privileged, or a
	// Windows HostProcess container.
	PrivilegedContainer
	// RuntimeAnnotation is an annotation by which a pod configures its runtime
	// (ReconfiguresRuntime), and that Config.AllowedRuntimeAnnotations does not list.
	RuntimeAnnotation
	// SELinuxLabel is a type, user or role of SELinux of the pod's own choice. Runtimes
	// give it to the hypervisor too (kata-containers, src/runtime/virtcontainers/hypervisor.go,
	// SELinuxProcessLabel): spc_t confines it to nothing.
	SELinuxLabel
	// FlexVolume is a volume that a driver on the host mounts, with options of the pod's.
	FlexVolume
)

// String lists the ways, as the fields that open them.
func (h HostAccess) String() string {
	names := []struct {
		bit  HostAccess
		name string
	}{
		{HostNetwork, "hostNetwork"},
		{HostPID, "hostPID"},
		{HostIPC, "hostIPC"},
		{HostPath, "hostPath"},
		{PrivilegedContainer, "privileged container"},
		{RuntimeAnnotation, "runtime annotation"},
		{SELinuxLabel, "SELinux options"},
		{FlexVolume, "flexVolume"},
	}
	s := ""
	for _, n := range names {
		if h&n.bit == 0 {
			continue
		}
		if s != "" {
			s += ", "
		}
		s += n.name
	}
	if s == "" {
		return "none"
	}
	return s
}

// Preemption says whether a conflict of the rule may be resolved by evicting the
// pods in the way. It has no say in evictions for lack of CPU or memory.
type Preemption uint8

const (
	// PreemptNever says that a conflict never evicts a pod.
	PreemptNever Preemption = iota
	// PreemptSameTenant says that it may where every pod in the way is of the incoming pod's
	// own tenant.
	PreemptSameTenant
	// PreemptAny says that it may evict any pod of a lower priority, as usual.
	PreemptAny
)

// ParsePreemption reads the argument's value.
func ParsePreemption(s string) (Preemption, error) {
	switch s {
	case "Never":
		return PreemptNever, nil
	case "SameTenant":
		return PreemptSameTenant, nil
	case "Any":
		return PreemptAny, nil
	}
	return PreemptNever, fmt.Errorf("unknown preemption %q: use Never, SameTenant or Any", s)
}
