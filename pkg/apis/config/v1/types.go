package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// No list or map below says omitempty: an empty list would vanish when the
// configuration is written out, and come back as the default.

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// TenantIsolationArgs are the arguments of the TenantIsolation scheduler plugin.
//
// The arguments are decoded strictly: a field that does not exist, or a key that is
// written twice, is an error that names it. Every fault is reported with its path
// before the first pod is scheduled, and the scheduler then does not start.
//
// A field that is left out, or is `null`, has its default. An empty list (`[]`) or
// map (`{}`) is not left out: it means none.
type TenantIsolationArgs struct {
	metav1.TypeMeta `json:",inline"`

	// LabelKeys are the keys of the labels that decide about isolation. Change one if
	// your namespaces already bear a label that says the same.
	//
	// Each is a label key as Kubernetes defines it: an optional DNS prefix and a slash,
	// then at most 63 letters, digits, dashes, underscores and dots. An empty string
	// means the default. All five must differ: two questions cannot be answered by one
	// label. The admission policies in `manifests/` are written for the default keys:
	// change them in the same step.
	LabelKeys LabelKeys `json:"labelKeys"`

	// DataClasses are the values of the data-class label, from the lowest sensitivity
	// to the highest. The order decides: of the classes that a namespace and its pod
	// name, the higher one holds.
	//
	// Below all of them stands a class of its own, `unclassified`, for pods without the
	// label. The name is reserved, so listing it is an error, as are an empty entry, a
	// repeated one and one that cannot be the value of a label. A pod whose label
	// names a class that is not listed here is not scheduled. With an empty list only
	// `unclassified` exists.
	//
	// Bad value: `[public, unclassified]` is refused.
	DataClasses []string `json:"dataClasses"`

	// SeparateBy are the axes of a trust domain: pods that differ in any of them do
	// not share a kernel. The order has no meaning. Leaving an axis out lets pods that
	// differ only there run side by side.
	//
	// `tenant` must be listed: without it different customers would share kernels, and
	// this plugin would have no purpose. An empty list is refused for the same reason.
	//
	// Bad value: `[tenant, data_class]` is refused, and the error lists the axes.
	SeparateBy []Axis `json:"separateBy"`

	// Sharing are exceptions from `separateBy`: groups whose members may share a kernel
	// within one tenant, and never between two tenants.
	//
	// The groups of one list must not overlap: if public shared with internal, and
	// internal with restricted, then public and restricted would meet.
	Sharing Sharing `json:"sharing"`

	// BoundaryByHandler says which boundary the handler of a RuntimeClass gives. It is
	// the handler that counts, not the name of the RuntimeClass: the handler is what
	// the kubelet passes to the container runtime. A handler that is not listed, like
	// a pod without a RuntimeClass, is `container`.
	//
	// A map that you write replaces the default, it does not add to it: list every
	// handler that you trust. An empty map trusts none, so that trust domains meet on
	// no node.
	//
	// List only what your nodes really configure under that name: the scheduler cannot
	// look behind a handler, and a wrong entry here is a wall that is not there.
	//
	// Bad value: `{Kata: vm}` is refused, as no RuntimeClass can have a handler with a
	// capital letter, and so is `{kata: VM}`.
	BoundaryByHandler map[string]Boundary `json:"boundaryByHandler"`

	// MinimumBoundary is the boundary that two pods of different trust domains must
	// both have to share a node: `vm`, or `sandbox` if you accept that a user-space
	// kernel such as gVisor is wall enough.
	//
	// Bad value: `container` is refused: every pod has at least that boundary, so
	// everybody could share a kernel with everybody.
	MinimumBoundary Boundary `json:"minimumBoundary"`

	// PlatformNamespaces are the namespaces of the platform itself: node agents, the
	// network, storage drivers. Their pods are trusted by all trust domains: they may
	// run on every node, and are no reason to keep another pod away from one.
	//
	// A namespace is of the platform if it is named or if the selector matches it.
	// Whoever can create pods in such a namespace stands outside the isolation. A
	// namespace that bears the tenant label is a tenant's, even if it is chosen here.
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
	// Each entry is one whole key: there are no wildcards.
	//
	// Bad value: `[io.katacontainers.config.hypervisor.*]` is refused, and so is a key
	// that is none of a container runtime, as it would change nothing.
	AllowedRuntimeAnnotations []string `json:"allowedRuntimeAnnotations"`

	// HostPathProvisioners are the provisioners of StorageClasses, and the CSI drivers,
	// whose volumes are directories of the node. A pod with a PVC of such a class that
	// is not bound yet will get a directory of the host, and so has boundary `container`
	// whatever its RuntimeClass. Once a PVC is bound, its volume itself is looked at:
	// a hostPath volume, a local one that is no block device, and one of a listed CSI
	// driver are directories of the host, as is an inline volume of such a driver.
	//
	// A list that you write replaces the default: repeat the entries that you need. An
	// empty list says that no provisioner of your cluster makes such volumes.
	//
	// Bad value: `[local-path]` is the name of a StorageClass. It is accepted, since it
	// could be a provisioner, but matches nothing: write `rancher.io/local-path`.
	// `["local path"]` is refused, as no provisioner can have that name.
	HostPathProvisioners []string `json:"hostPathProvisioners"`

	// Preemption says whose pods the scheduler may evict to empty a node of another
	// trust domain, for a pod of higher priority that fits nowhere else. Evictions for
	// other reasons, such as a lack of memory, are not its subject.
	//
	// Bad value: `never` is refused: the value is spelled `Never`.
	Preemption PreemptionPolicy `json:"preemption"`

	// Enforcement says what becomes of a placement that breaks the rule: it is refused, or
	// it is made and reported. `Audit` is a first step of adoption: pods are placed as
	// usual, where the rule is kept if there is such a node, and the metric
	// `tenant_isolation_placements_total` counts what would have been refused.
	//
	// Bad value: `audit` is refused: the value is spelled `Audit`.
	Enforcement Enforcement `json:"enforcement"`

	// Claims dedicate a node to those who open it, in a form that every scheduler,
	// autoscaler and kubelet obeys: taints. They need the admission policies of
	// `manifests/overlays/default`, which give pods the tolerations, and hold back what
	// another scheduler decided before it saw the taints.
	Claims Claims `json:"claims"`

	// Audit asks the rule of everything that runs already, whoever placed it. The leader
	// does it, in the background.
	Audit Audit `json:"audit"`
}

// LabelKeys are the keys of the labels that decide about isolation.
type LabelKeys struct {
	// Tenant is the key of the namespace label that names the tenant. A namespace that
	// bears it is managed. On a pod the same label may only repeat what the namespace says.
	//
	// Bad value: `tenant name` is refused, as a key has no spaces.
	Tenant string `json:"tenant"`

	// DataClass is the key of the namespace and pod label that names the data class.
	//
	// Bad value: a key that another field of `labelKeys` has is refused as a duplicate.
	DataClass string `json:"dataClass"`

	// Privilege is the key of the namespace and pod label that names a level of the Pod
	// Security Standards: `restricted`, `baseline` or `privileged`.
	//
	// Bad value: `Security/Level/Pod` is refused, as a key has one slash at most.
	Privilege string `json:"privilege"`

	// Boundary is the key of the namespace label that names the boundary its pods must
	// have: `container`, `sandbox`, `vm` or `node`.
	//
	// Bad value: `-boundary` is refused, as a key begins with a letter or a digit.
	Boundary string `json:"boundary"`

	// RuntimeClass is the key of the namespace label that names the RuntimeClass for
	// pods that name none. Admission gives it to them, as the RuntimeClass of a pod
	// cannot change later; the scheduler sees the result. The key stands here so that
	// all keys stand in one place and none serves twice.
	//
	// Bad value: `runtime-class/` is refused, as no name follows the prefix.
	RuntimeClass string `json:"runtimeClass"`
}

// Sharing lists groups whose members may share a kernel within one tenant.
type Sharing struct {
	// DataClasses are groups of data classes, such as `[[public, internal]]`. Each group
	// has two members or more, each listed in `dataClasses` or `unclassified`, and a
	// class is in one group at most.
	//
	// Bad value: `[[public], [public, secret]]` is refused three times over: a group of
	// one, `public` in two groups, and `secret`, if `dataClasses` does not list it.
	// Groups are refused too while `separateBy` lacks `data-class`: they would have no
	// effect.
	DataClasses [][]string `json:"dataClasses"`

	// Privileges are groups of privilege levels: `restricted`, `baseline`, `privileged`.
	// Each group has two members or more, and a level is in one group at most.
	//
	// Bad value: `[[restricted, default]]` is refused, as `default` is no level. Groups
	// are refused too while `separateBy` lacks `privilege`: they would have no effect.
	Privileges [][]string `json:"privileges"`
}

// PlatformNamespaces says which namespaces are the platform.
type PlatformNamespaces struct {
	// Names are the names of platform namespaces. A list that you write replaces the
	// default: repeat the entries that you need. With an empty list no namespace is of
	// the platform by its name, and the pods of kube-system are foreign to every tenant.
	//
	// Bad value: `[kube_system]` is refused, as no namespace can have that name, and so is
	// a name that is written twice.
	Names []string `json:"names"`

	// Selector chooses platform namespaces by their labels. Left out, it chooses none.
	// Whoever may set the labels it asks for can step outside the isolation.
	//
	// Bad value: `{}` matches every namespace in Kubernetes, and is refused. So is any
	// other selector that matches a namespace nobody labelled, such as one that only
	// says what a label must not be.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// Claims dedicate a node to those who open it.
type Claims struct {
	// Mode says whether the scheduler dedicates a node before it binds the first pod of a trust
	// domain to it. With `Disabled` it writes to no node.
	//
	// Bad value: `On` is refused. `Enabled` is refused while `enforcement` is `Audit`: a
	// dedication keeps pods off a node, and an audit places them.
	Mode Mode `json:"mode"`

	// TaintEffect is the effect of the taints on a dedicated node. What each of them does to
	// pods that are there already, or come past every scheduler, is said below.
	//
	// Bad value: `PreferNoSchedule` is refused, as other schedulers may then ignore it.
	TaintEffect TaintEffect `json:"taintEffect"`

	// SettleTime passes between the dedication of a node and the look at who is there. It covers
	// the lag with which API servers see the dedication, and what they had admitted before.
	// Only the pods that open a node wait for it. Make it longer if your API servers or
	// etcd are known to stall for longer.
	//
	// Bad value: `0s` is refused, as the look could then miss a pod, and so is a value
	// above one minute: the pods that open nodes would wait as long. `5` is refused:
	// write the unit, as in `5s`.
	SettleTime *metav1.Duration `json:"settleTime"`

	// ReleaseAfter passes between the end of the last pod of a dedicated node and its
	// release. A longer time saves the dedications of a tenant whose pods come and go; a
	// shorter one frees the node earlier for others.
	//
	// Bad value: a time below `settleTime` is refused, as a bind that is under way could
	// arrive after the release.
	ReleaseAfter *metav1.Duration `json:"releaseAfter"`

	// MaxNodesPerTenant is how many nodes one tenant may have opened at a time: a number, or
	// a percentage of the nodes of the cluster, rounded up. Without a bound a tenant
	// could take every free node, with one DaemonSet. Pods of the tenant still join its
	// own nodes.
	//
	// Bad value: `0` is refused, as no pod could be placed: write `100%` for no bound.
	// `150%`, `0%` and `half` are refused too.
	MaxNodesPerTenant *intstr.IntOrString `json:"maxNodesPerTenant"`

	// NodeReuse says when a node that was dedicated may be dedicated to others.
	//
	// Bad value: `Never` is refused: delete the Node instead, with its machine.
	NodeReuse NodeReuse `json:"nodeReuse"`
}

// Audit asks the rule of what runs already.
type Audit struct {
	// Mode says whether the leader audits. Findings are metrics, and Events in the namespace
	// of the scheduler; nothing is told to tenants.
	//
	// Bad value: `Off` is refused: the value is spelled `Disabled`.
	Mode Mode `json:"mode"`

	// Remediation says what is done about a finding: nothing beyond the report, or the
	// eviction of the pod that came last.
	//
	// Bad value: `Delete` is refused, as only the Eviction API respects
	// PodDisruptionBudgets. `Evict` is refused while `mode` is `Disabled`, as it would do
	// nothing, and while `enforcement` is `Audit`: what is placed would be evicted again.
	Remediation Remediation `json:"remediation"`

	// EvictionsPerMinute bounds the evictions of `remediation: Evict`, over the whole
	// cluster.
	//
	// Bad value: `0` is refused: write `remediation: None` to evict nobody.
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
	// AxisUserNamespace separates pods that run in a user namespace of their own
	// (`hostUsers: false`) from pods that run in that of the host.
	AxisUserNamespace Axis = "user-namespace"
)

// Boundary is what stands between a pod and the kernel of its node.
type Boundary string

const (
	// BoundaryContainer is an ordinary container: its kernel is that of the node.
	BoundaryContainer Boundary = "container"
	// BoundarySandbox is a container behind a kernel in user space, such as gVisor.
	BoundarySandbox Boundary = "sandbox"
	// BoundaryVM is a virtual machine with a kernel of its own, such as Kata Containers.
	BoundaryVM Boundary = "vm"
)

// PreemptionPolicy says whose pods may be evicted to make a node fit for another
// trust domain.
type PreemptionPolicy string

const (
	// PreemptionNever evicts nobody: a pod of another trust domain waits until the
	// node is free of its own accord.
	PreemptionNever PreemptionPolicy = "Never"
	// PreemptionSameTenant evicts only pods of the same tenant.
	PreemptionSameTenant PreemptionPolicy = "SameTenant"
	// PreemptionAny evicts pods of any tenant: a tenant that may use a high priority can
	// then take nodes from others.
	PreemptionAny PreemptionPolicy = "Any"
)

// Mode switches a part of the plugin on or off.
type Mode string

const (
	// ModeDisabled switches it off.
	ModeDisabled Mode = "Disabled"
	// ModeEnabled switches it on.
	ModeEnabled Mode = "Enabled"
)

// Enforcement says what becomes of a placement that breaks the rule.
type Enforcement string

const (
	// EnforcementEnforce refuses it: the pod waits for a node that keeps the rule.
	EnforcementEnforce Enforcement = "Enforce"
	// EnforcementAudit makes it if no node keeps the rule, and reports it.
	EnforcementAudit Enforcement = "Audit"
)

// TaintEffect is the effect of the taints on a dedicated node.
type TaintEffect string

const (
	// TaintEffectNoSchedule keeps schedulers from placing other pods there.
	TaintEffectNoSchedule TaintEffect = "NoSchedule"
	// TaintEffectNoExecute also makes the kubelet refuse, and the taint-eviction controller
	// evict, pods without the tolerations: node agents outside of the platform
	// namespaces too.
	TaintEffectNoExecute TaintEffect = "NoExecute"
)

// NodeReuse says when a node that was dedicated may be dedicated to others.
type NodeReuse string

const (
	// NodeReuseImmediately lets it be dedicated to others as soon as it is released.
	NodeReuseImmediately NodeReuse = "Immediately"
	// NodeReuseAfterReboot keeps the dedication until the node's boot ID has changed: a kernel
	// that hosted a tenant may carry what that tenant left behind.
	NodeReuseAfterReboot NodeReuse = "AfterReboot"
)

// Remediation says what is done about a finding of the audit.
type Remediation string

const (
	// RemediationNone only reports.
	RemediationNone Remediation = "None"
	// RemediationEvict evicts the pod that came last, by the Eviction API.
	RemediationEvict Remediation = "Evict"
)
