package config

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// UnclassifiedDataClass is the data class of a pod that has no data-class label.
// It is below all others, and reserved: dataClasses may not list it.
const UnclassifiedDataClass = "unclassified"

// RuntimeAnnotationPrefix is the prefix of the annotations that reconfigure the virtual
// machine of a Kata pod.
const RuntimeAnnotationPrefix = "io.katacontainers."

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// TenantIsolationArgs are the arguments of the TenantIsolation plugin. Package v1
// says what each field means; the fields here have the same names.
type TenantIsolationArgs struct {
	metav1.TypeMeta

	// LabelKeys are the keys of the isolation labels.
	LabelKeys LabelKeys
	// DataClasses are the data classes, from the lowest to the highest.
	DataClasses []string
	// SeparateBy are the axes in which two pods of one trust domain must agree.
	SeparateBy []Axis
	// Sharing are the exceptions from SeparateBy within one tenant.
	Sharing Sharing
	// BoundaryByHandler gives the boundary of each RuntimeClass handler. A handler
	// that is missing here is BoundaryContainer.
	BoundaryByHandler map[string]Boundary
	// MinimumBoundary is what both pods need to share a node across trust domains.
	MinimumBoundary Boundary
	// PlatformNamespaces are the namespaces whose pods all trust domains trust.
	PlatformNamespaces PlatformNamespaces
	// AllowedRuntimeAnnotations are the keys of the runtime annotations that leave a
	// boundary as it is.
	AllowedRuntimeAnnotations []string
	// HostPathProvisioners are the StorageClass provisioners whose volumes are
	// directories of the host.
	HostPathProvisioners []string
	// Preemption says whether pods may be evicted to make a node fit for another
	// trust domain.
	Preemption PreemptionPolicy
	// Enforcement says whether placements that break the rule are refused or reported.
	Enforcement Enforcement
	// Claims configure the dedication of nodes to trust domains.
	Claims Claims
	// Audit checks running pods against the rule.
	Audit Audit
}

// LabelKeys are the keys of the isolation labels.
type LabelKeys struct {
	// Tenant is the key of the label that makes a namespace managed.
	Tenant string
	// DataClass is the key of the label for the sensitivity of the data.
	DataClass string
	// Privilege is the key of the label for the Pod Security Standards level.
	Privilege string
	// Boundary is the key of the label for the boundary that a namespace demands.
	Boundary string
	// RuntimeClass is the key of the label for the RuntimeClass of pods that name none.
	RuntimeClass string
}

// Sharing lists groups whose members may share a kernel within one tenant.
type Sharing struct {
	// DataClasses are groups of data classes.
	DataClasses [][]string
	// Privileges are groups of privilege levels.
	Privileges [][]string
}

// PlatformNamespaces says which namespaces are the platform.
type PlatformNamespaces struct {
	// Names are the names of platform namespaces.
	Names []string
	// Selector chooses platform namespaces by label. Nil chooses none.
	Selector *metav1.LabelSelector
}

// Claims configure the dedication of nodes to trust domains.
type Claims struct {
	// Mode says whether nodes are dedicated.
	Mode Mode
	// TaintEffect is the effect of the taints on a dedicated node.
	TaintEffect TaintEffect
	// SettleTime is the delay between the dedication of a node and the check of its pods.
	// After defaulting it is not nil.
	SettleTime *metav1.Duration
	// ReleaseAfter is the delay between the end of a node's last pod and its release.
	// After defaulting it is not nil.
	ReleaseAfter *metav1.Duration
	// MaxNodesPerTenant is the number of nodes that one tenant may dedicate at a time, or a
	// percentage of the cluster's. After defaulting it is not nil.
	MaxNodesPerTenant *intstr.IntOrString
	// NodeReuse says when a dedicated node may be dedicated to others.
	NodeReuse NodeReuse
}

// Audit checks running pods against the rule.
type Audit struct {
	// Mode says whether the leader audits.
	Mode Mode
	// Remediation says what happens after a finding.
	Remediation Remediation
	// EvictionsPerMinute bounds the evictions of RemediationEvict. After defaulting it
	// is not nil.
	EvictionsPerMinute *int32
}

// Axis is one part of a trust domain.
type Axis string

// The axes of a trust domain.
const (
	AxisTenant        Axis = "tenant"
	AxisDataClass     Axis = "data-class"
	AxisPrivilege     Axis = "privilege"
	AxisUserNamespace Axis = "user-namespace"
)

// Boundary is what stands between a pod and the kernel of its node.
type Boundary string

// The boundaries, from the weakest to the strongest.
const (
	BoundaryContainer Boundary = "container"
	BoundarySandbox   Boundary = "sandbox"
	BoundaryVM        Boundary = "vm"
)

// PreemptionPolicy says whether pods may be evicted to make a node fit for another
// trust domain.
type PreemptionPolicy string

// The preemption policies.
const (
	PreemptionNever      PreemptionPolicy = "Never"
	PreemptionSameTenant PreemptionPolicy = "SameTenant"
	PreemptionAny        PreemptionPolicy = "Any"
)

// Mode switches a part of the plugin on or off.
type Mode string

// The modes.
const (
	ModeDisabled Mode = "Disabled"
	ModeEnabled  Mode = "Enabled"
)

// Enforcement says whether a placement that breaks the rule is refused.
type Enforcement string

// The enforcements.
const (
	EnforcementEnforce Enforcement = "Enforce"
	EnforcementAudit   Enforcement = "Audit"
)

// TaintEffect is the effect of the taints on a dedicated node.
type TaintEffect string

// The taint effects.
const (
	TaintEffectNoSchedule TaintEffect = "NoSchedule"
	TaintEffectNoExecute  TaintEffect = "NoExecute"
)

// NodeReuse says when a dedicated node may be dedicated to others.
type NodeReuse string

// The ways to reuse a node.
const (
	NodeReuseImmediately NodeReuse = "Immediately"
	NodeReuseAfterReboot NodeReuse = "AfterReboot"
)

// Remediation says what happens after a finding of the audit.
type Remediation string

// The remediations.
const (
	RemediationNone  Remediation = "None"
	RemediationEvict Remediation = "Evict"
)
