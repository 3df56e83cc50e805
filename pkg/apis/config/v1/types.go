package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// No list or map below has omitempty: an empty list would be omitted from a written
// configuration, and read back as the default.

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// TenantIsolationArgs are the arguments of the TenantIsolation scheduler plugin.
//
// The arguments are decoded strictly: an unknown field or a repeated key is an error that
// names it. With invalid arguments the scheduler does not start, and reports every error
// with its path.
//
// A field that is missing or `null` gets its default. An empty list (`[]`) or map (`{}`)
// is a value: it means none.
type TenantIsolationArgs struct {
	metav1.TypeMeta `json:",inline"`

	// LabelKeys are the keys of the isolation labels. Change one if your namespaces already
	// have a label with the same meaning.
	//
	// Each is a label key as Kubernetes defines it: an optional DNS prefix and a slash,
	// then at most 63 letters, digits, dashes, underscores and dots. An empty string
	// means the default. All five must differ. The admission policies in `manifests/` are
	// written for the default keys: change them too.
	LabelKeys LabelKeys `json:"labelKeys"`

	// DataClasses are the values of the data-class label, from the lowest sensitivity
	// to the highest. Of the classes that a namespace and its pod name, the higher one
	// counts.
	//
	// Below all of them is the class `unclassified`, for pods without the label. This name is
	// reserved: listing it is an error, as is an empty entry, a repeated one, or one that
	// cannot be a label value. A pod whose label names a class that is not listed here is not
	// scheduled. With an empty list only `unclassified` exists.
	//
	// Bad value: `[public, unclassified]` is refused.
	DataClasses []string `json:"dataClasses"`

	// SeparateBy are the axes of a trust domain: pods that differ in any of them do
	// not share a kernel. The order has no meaning. Pods that differ only in an axis that is
	// left out may share a kernel.
	//
	// `tenant` must be listed: without it different customers would share kernels. An empty
	// list is refused for the same reason.
	//
	// Bad value: `[tenant, data_class]` is refused, and the error lists the axes.
	SeparateBy []Axis `json:"separateBy"`

	// Sharing has exceptions from `separateBy`: groups whose members may share a kernel
	// within one tenant, never between two tenants.
	//
	// The groups of one list must not overlap: if public shared with internal, and internal
	// with restricted, then public could share with restricted.
	Sharing Sharing `json:"sharing"`

	// BoundaryByHandler is the boundary that each handler of a RuntimeClass gives. The
	// handler counts, not the name of the RuntimeClass: the kubelet passes the handler to
	// the container runtime. A handler that is not listed gives `container`, as does having
	// no RuntimeClass.
	//
	// Your map replaces the default: list every handler that you trust. With an empty map
	// no two trust domains share a node.
	//
	// Make sure that your nodes configure each handler with a runtime of that boundary: the
	// scheduler cannot check it, and a wrong entry lets trust domains share a kernel.
	//
	// Bad value: `{Kata: vm}` is refused, as the handler of a RuntimeClass cannot have a
	// capital letter, and so is `{kata: VM}`.
	BoundaryByHandler map[string]Boundary `json:"boundaryByHandler"`

	// MinimumBoundary is the boundary that two pods of different trust domains must
	// both have to share a node: `vm`, or `sandbox` if a user-space kernel such as gVisor
	// is strong enough for you.
	//
	// Bad value: `container` is refused: every pod has at least that boundary, so all pods
	// could share a kernel.
	MinimumBoundary Boundary `json:"minimumBoundary"`

	// PlatformNamespaces are the namespaces of the platform itself: node agents, the
	// network, storage drivers. All trust domains trust their pods: these may run on every
	// node, and keep no other pod off a node.
	//
	// A namespace is platform if it is named here or if the selector matches it. Users who
	// can create pods in such a namespace are not isolated. A namespace with the tenant
	// label belongs to the tenant, even if it is listed here.
	PlatformNamespaces PlatformNamespaces `json:"platformNamespaces"`

	// AllowedRuntimeAnnotations are the keys of pod annotations that may reconfigure
	// the virtual machine of a Kata pod, or the runtime of any other, without voiding its
	// boundary. Any other annotation of a container runtime makes the boundary of its pod
	// `container`, as such an annotation can hand devices, paths or binaries of the host
	// to what is behind the boundary: of Kata (`io.katacontainers.`), gVisor (`dev.gvisor.`),
	// CRI-O (`io.kubernetes.cri-o.`, `crio.io`), containerd and NRI (`io.containerd.`, `nri.io`),
	// crun and runc (`run.oci.`, `org.systemd.property.`), and of the Container Device
	// Interface (`cdi.k8s.io`).
	//
	// Each entry is one whole key, without wildcards.
	//
	// Bad value: `[io.katacontainers.config.hypervisor.*]` is refused, and so is a key
	// that is none of a container runtime, as it would change nothing.
	AllowedRuntimeAnnotations []string `json:"allowedRuntimeAnnotations"`

	// HostPathProvisioners are the provisioners of StorageClasses, and the CSI drivers,
	// whose volumes are directories of the node. A pod with an unbound PVC of such a class
	// has boundary `container` whatever its RuntimeClass. For a bound PVC the volume counts:
	// a hostPath volume, a local volume other than a block device, and a volume of a listed
	// CSI driver are directories of the host, as is an inline volume of such a driver.
	//
	// Your list replaces the default: repeat the entries that you need. An empty list means
	// that no provisioner of your cluster creates such volumes.
	//
	// Bad value: `[local-path]` is the name of a StorageClass. It is accepted, as it could
	// be a provisioner, but matches none: write `rancher.io/local-path`. `["local path"]`
	// is refused, as it cannot be a provisioner.
	HostPathProvisioners []string `json:"hostPathProvisioners"`

	// Preemption says which pods the scheduler may evict to empty a node of another trust
	// domain, for a pod of higher priority that fits on no other node. It does not limit
	// evictions for other reasons, such as a lack of memory.
	//
	// Bad value: `never` is refused: write `Never`.
	Preemption PreemptionPolicy `json:"preemption"`

	// Enforcement says whether the scheduler refuses a placement that breaks the rule, or
	// only reports it. `Audit` is a first step of adoption: the scheduler prefers nodes that
	// keep the rule, places a pod on another if there is none, and counts in the metric
	// `tenant_isolation_placements_total` what it would have refused.
	//
	// Bad value: `audit` is refused: write `Audit`.
	Enforcement Enforcement `json:"enforcement"`

	// Claims configure dedication: the first pod of a trust domain on a node dedicates the
	// node, by taints, which every scheduler, autoscaler and kubelet obeys. Dedication needs
	// the admission policies of `manifests/overlays/default`: these add the tolerations, and
	// refuse binds that another scheduler decided before it saw the taints.
	Claims Claims `json:"claims"`

	// Audit checks all running pods against the rule, whichever scheduler placed them. The
	// leader does this in the background.
	Audit Audit `json:"audit"`
}

// LabelKeys are the keys of the isolation labels.
type LabelKeys struct {
	// Tenant is the key of the namespace label that names the tenant. A namespace with this
	// label is managed. On a pod the label may only repeat the namespace's value.
	//
	// Bad value: `tenant name` is refused, as a key cannot have spaces.
	Tenant string `json:"tenant"`

	// DataClass is the key of the namespace and pod label that names the data class.
	//
	// Bad value: the key of another field of `labelKeys` is refused as a duplicate.
	DataClass string `json:"dataClass"`

	// Privilege is the key of the namespace and pod label that names a level of the Pod
	// Security Standards: `restricted`, `baseline` or `privileged`.
	//
	// Bad value: `Security/Level/Pod` is refused, as a key has at most one slash.
	Privilege string `json:"privilege"`

	// Boundary is the key of the namespace label that names the boundary that its pods must
	// have: `container`, `sandbox`, `vm` or `node`.
	//
	// Bad value: `-boundary` is refused, as a key starts with a letter or a digit.
	Boundary string `json:"boundary"`

	// RuntimeClass is the key of the namespace label that names the RuntimeClass for pods
	// that name none. An admission policy sets it, not the scheduler, as the RuntimeClass
	// of a pod cannot change later. The key is listed here so that no other label has it.
	//
	// Bad value: `runtime-class/` is refused, as it has no name after the prefix.
	RuntimeClass string `json:"runtimeClass"`
}

// Sharing lists groups whose members may share a kernel within one tenant.
type Sharing struct {
	// DataClasses are groups of data classes, such as `[[public, internal]]`. Each group
	// has two or more members, each listed in `dataClasses` or `unclassified`, and a class is
	// in one group at most.
	//
	// Bad value: `[[public], [public, secret]]` is refused for three errors: a group of one
	// member, `public` in two groups, and `secret`, if `dataClasses` does not list it. Groups
	// are also refused if `separateBy` does not list `data-class`, as they would have no
	// effect.
	DataClasses [][]string `json:"dataClasses"`

	// Privileges are groups of privilege levels: `restricted`, `baseline`, `privileged`.
	// Each group has two or more members, and a level is in one group at most.
	//
	// Bad value: `[[restricted, default]]` is refused, as `default` is not a level. Groups
	// are also refused if `separateBy` does not list `privilege`, as they would have no
	// effect.
	Privileges [][]string `json:"privileges"`
}

// PlatformNamespaces says which namespaces are the platform.
type PlatformNamespaces struct {
	// Names are the names of platform namespaces. Your list replaces the default: repeat the
	// entries that you need. With an empty list no namespace is platform by its name, and
	// the pods of kube-system keep every tenant off their nodes.
	//
	// Bad value: `[kube_system]` is refused, as it cannot be the name of a namespace, and so
	// is a repeated name.
	Names []string `json:"names"`

	// Selector selects platform namespaces by their labels; without it, none is selected.
	// Users who may set these labels can leave the isolation.
	//
	// Bad value: `{}` is refused, as it matches every namespace. So is any other selector
	// that matches a namespace without labels, such as one that only excludes values.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// Claims configure the dedication of nodes to trust domains.
type Claims struct {
	// Mode says whether the scheduler dedicates a node before it binds the first pod of a trust
	// domain to it. With `Disabled` it writes to no node.
	//
	// Bad value: `On` is refused. `Enabled` is refused if `enforcement` is `Audit`: a
	// dedication keeps pods off a node, but `Audit` refuses no pod.
	Mode Mode `json:"mode"`

	// TaintEffect is the effect of the taints on a dedicated node.
	//
	// Bad value: `PreferNoSchedule` is refused, as schedulers may ignore it.
	TaintEffect TaintEffect `json:"taintEffect"`

	// SettleTime is the delay between the dedication of a node and the check that no other pod
	// is on it. It covers the lag until all API servers see the dedication, and requests that
	// they have admitted before. Only the first pod of a node waits for it. Increase it if
	// your API servers or etcd can stall for longer.
	//
	// Bad value: `0s` is refused, as the check could miss a pod, and so is a value above one
	// minute, as the first pod of every node would wait that long. `5` is refused: write the
	// unit, as in `5s`.
	SettleTime *metav1.Duration `json:"settleTime"`

	// ReleaseAfter is the delay between the end of the last pod of a dedicated node and its
	// release. A longer delay saves dedications for tenants with short-lived pods; a shorter
	// one frees the node earlier for others.
	//
	// Bad value: a delay below `settleTime` is refused, as a bind in progress could arrive
	// after the release.
	ReleaseAfter *metav1.Duration `json:"releaseAfter"`

	// MaxNodesPerTenant is the number of nodes that one tenant may have dedicated at a time,
	// or a percentage of the nodes of the cluster, rounded up. Without a limit, one DaemonSet
	// of a tenant could take every free node. At the limit, pods of the tenant still join its
	// own nodes.
	//
	// Bad value: `0` is refused, as no pod could be placed: write `100%` for no limit.
	// `150%`, `0%` and `half` are refused too.
	MaxNodesPerTenant *intstr.IntOrString `json:"maxNodesPerTenant"`

	// NodeReuse says when a dedicated node may be dedicated to others.
	//
	// Bad value: `Never` is refused: delete the Node and its machine instead.
	NodeReuse NodeReuse `json:"nodeReuse"`
}

// Audit checks running pods against the rule.
type Audit struct {
	// Mode says whether the leader audits. It reports findings as metrics, and as Events in
	// the namespace of the scheduler; tenants see neither.
	//
	// Bad value: `Off` is refused: write `Disabled`.
	Mode Mode `json:"mode"`

	// Remediation says what happens after a finding: nothing, or the eviction of the pod that
	// was bound last.
	//
	// Bad value: `Delete` is refused, as only the Eviction API respects
	// PodDisruptionBudgets. `Evict` is refused if `mode` is `Disabled`, as it would have no
	// effect, and if `enforcement` is `Audit`, as pods would be placed and evicted in turn.
	Remediation Remediation `json:"remediation"`

	// EvictionsPerMinute limits the evictions of `remediation: Evict`, over the whole
	// cluster.
	//
	// Bad value: `0` is refused: write `remediation: None` for no evictions.
	EvictionsPerMinute *int32 `json:"evictionsPerMinute"`
}

// Axis is one part of a trust domain.
type Axis string

const (
	// AxisTenant separates pods of different tenants.
	AxisTenant Axis = "tenant"
	// AxisDataClass separates pods of different data classes.
	AxisDataClass Axis = "data-class"
	// AxisPrivilege separates pods of different Pod Security Standards levels.
	AxisPrivilege Axis = "privilege"
	// AxisUserNamespace separates pods with a user namespace of their own (`hostUsers: false`)
	// from pods in that of the host.
	AxisUserNamespace Axis = "user-namespace"
)

// Boundary is what stands between a pod and the kernel of its node.
type Boundary string

const (
	// BoundaryContainer is an ordinary container on the kernel of the node.
	BoundaryContainer Boundary = "container"
	// BoundarySandbox is a container on a kernel in user space, such as gVisor.
	BoundarySandbox Boundary = "sandbox"
	// BoundaryVM is a virtual machine with a kernel of its own, such as Kata Containers.
	BoundaryVM Boundary = "vm"
)

// PreemptionPolicy says which pods may be evicted to make a node fit for another trust
// domain.
type PreemptionPolicy string

const (
	// PreemptionNever evicts no pod: a pod of another trust domain waits until the node is
	// free.
	PreemptionNever PreemptionPolicy = "Never"
	// PreemptionSameTenant evicts only pods of the same tenant.
	PreemptionSameTenant PreemptionPolicy = "SameTenant"
	// PreemptionAny evicts pods of any tenant: a tenant that may use a high priority can take
	// nodes from others.
	PreemptionAny PreemptionPolicy = "Any"
)

// Mode switches a part of the plugin on or off.
type Mode string

const (
	// ModeDisabled switches the part off.
	ModeDisabled Mode = "Disabled"
	// ModeEnabled switches the part on.
	ModeEnabled Mode = "Enabled"
)

// Enforcement says whether a placement that breaks the rule is refused.
type Enforcement string

const (
	// EnforcementEnforce refuses it: the pod waits for a node that keeps the rule.
	EnforcementEnforce Enforcement = "Enforce"
	// EnforcementAudit allows it if no node keeps the rule, and reports it.
	EnforcementAudit Enforcement = "Audit"
)

// TaintEffect is the effect of the taints on a dedicated node.
type TaintEffect string

const (
	// TaintEffectNoSchedule keeps schedulers from placing other pods on the node.
	TaintEffectNoSchedule TaintEffect = "NoSchedule"
	// TaintEffectNoExecute also makes the kubelet refuse and the taint-eviction controller
	// evict pods without the tolerations, including node agents outside of the platform
	// namespaces.
	TaintEffectNoExecute TaintEffect = "NoExecute"
)

// NodeReuse says when a dedicated node may be dedicated to others.
type NodeReuse string

const (
	// NodeReuseImmediately allows it as soon as the node is released.
	NodeReuseImmediately NodeReuse = "Immediately"
	// NodeReuseAfterReboot keeps the dedication until the boot ID of the node has changed,
	// because the kernel may contain what the last tenant left behind.
	NodeReuseAfterReboot NodeReuse = "AfterReboot"
)

// Remediation says what happens after a finding of the audit.
type Remediation string

const (
	// RemediationNone only reports.
	RemediationNone Remediation = "None"
	// RemediationEvict evicts the pod that was bound last, by the Eviction API.
	RemediationEvict Remediation = "Evict"
)
