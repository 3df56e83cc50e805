package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// DefaultName is the name of the IsolationPolicy that holds. Others have no effect.
const DefaultName = "default"

// The rules of a struct begin with !has(...): the API server also asks them of the struct's own default, {},
// in which nothing is defaulted yet.
//
// No list or map of the spec has omitempty: an empty one would be omitted from a written object, and read
// back as the default.

// IsolationPolicy says which pods may share a kernel, and what keeps them apart. The one named `default`
// holds; others have no effect.
//
// A change is followed at once: nothing restarts. What holds is `status.inForce`.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=tenant-isolation
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Enforcement",type=string,JSONPath=`.status.inForce.spec.enforcement`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Enforced",type=string,JSONPath=`.status.conditions[?(@.type=="Enforced")].status`
// +kubebuilder:printcolumn:name="Dedication",type=string,JSONPath=`.status.conditions[?(@.type=="Dedication")].reason`
// +kubebuilder:printcolumn:name="Dedicated",type=integer,JSONPath=`.status.dedicatedNodes`
// +kubebuilder:printcolumn:name="Findings",type=integer,JSONPath=`.status.findings`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IsolationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the administrator chooses.
	//
	// +optional
	// +kubebuilder:default={}
	Spec IsolationPolicySpec `json:"spec"`

	// Status is what holds, written by the leader of the scheduler alone.
	//
	// +optional
	Status IsolationPolicyStatus `json:"status,omitempty"`
}

// IsolationPolicyList is a list of policies.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +kubebuilder:object:root=true
type IsolationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []IsolationPolicy `json:"items"`
}

// IsolationPolicySpec is what the administrator chooses. A field that is missing or null gets its default;
// an empty list (`[]`) or map (`{}`) is a value: it means none.
//
// +kubebuilder:validation:XValidation:rule="!has(self.audit) || (size(self.sharing.dataClasses) == 0 || 'data-class' in self.separateBy)",message="has no effect: separateBy does not list data-class",fieldPath=".sharing.dataClasses"
// +kubebuilder:validation:XValidation:rule="!has(self.audit) || (size(self.sharing.privileges) == 0 || 'privilege' in self.separateBy)",message="has no effect: separateBy does not list privilege",fieldPath=".sharing.privileges"
// +kubebuilder:validation:XValidation:rule="!has(self.audit) || (self.sharing.dataClasses.all(group, group.all(class, class == 'unclassified' || class in self.dataClasses)))",message="names a class that dataClasses does not list",fieldPath=".sharing.dataClasses"
// +kubebuilder:validation:XValidation:rule="!has(self.audit) || (self.runtimeClasses.byDataClass.all(class, class == 'unclassified' || class in self.dataClasses))",message="names a class that dataClasses does not list",fieldPath=".runtimeClasses.byDataClass"
// +kubebuilder:validation:XValidation:rule="!has(self.audit) || (self.dedication.mode == 'Disabled' || self.enforcement == 'Enforce')",message="write Disabled, or Enforce as enforcement: a dedication keeps pods off a node, but Audit refuses no pod",fieldPath=".dedication.mode"
// +kubebuilder:validation:XValidation:rule="!has(self.audit) || (self.audit.remediation == 'None' || self.enforcement == 'Enforce')",message="write None, or Enforce as enforcement: pods would be placed and evicted in turn",fieldPath=".audit.remediation"
type IsolationPolicySpec struct {
	// DataClasses are the values of the label `tenantisolation.dev/data-class`, from the lowest sensitivity
	// to the highest. Of the classes that a namespace and its pod name, the higher one counts.
	//
	// Below all of them is the class `unclassified`, for pods without the label. A pod whose label names a
	// class that is not listed here is not scheduled. With an empty list only `unclassified` exists.
	//
	// +optional
	// +kubebuilder:default={"public","internal","confidential","restricted"}
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, a == b))",message="lists a class twice"
	// +kubebuilder:validation:XValidation:rule="!('unclassified' in self)",message="unclassified is reserved: it is below all classes and needs no entry"
	// +listType=atomic
	DataClasses []string `json:"dataClasses"`

	// SeparateBy are the axes of a trust domain: pods that differ in any of them do not share a kernel. The
	// order has no meaning. Pods that differ only in an axis that is left out may share a kernel.
	//
	// +optional
	// +kubebuilder:default={"tenant","data-class","privilege","user-namespace"}
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, a == b))",message="lists an axis twice"
	// +kubebuilder:validation:XValidation:rule="'tenant' in self",message="must list tenant: without it different customers would share kernels"
	// +listType=atomic
	SeparateBy []Axis `json:"separateBy"`

	// Sharing has exceptions from separateBy: groups whose members may share a kernel within one tenant,
	// never between two tenants.
	//
	// +optional
	// +kubebuilder:default={}
	Sharing Sharing `json:"sharing"`

	// Boundaries says what stands between a pod and the kernel of its node.
	//
	// +optional
	// +kubebuilder:default={}
	Boundaries Boundaries `json:"boundaries"`

	// RuntimeClasses are given by an admission policy to pods that name none.
	//
	// +optional
	// +kubebuilder:default={}
	RuntimeClasses RuntimeClasses `json:"runtimeClasses"`

	// TenantFrom names the label by which another product names tenants. Without it, only the label
	// `tenantisolation.dev/tenant` does.
	//
	// +optional
	TenantFrom *TenantFrom `json:"tenantFrom,omitempty"`

	// PlatformNamespaces are the namespaces of the platform itself: node agents, the network, storage
	// drivers. All trust domains trust their pods: these may run on every node, and keep no other pod off
	// a node.
	//
	// Users who can create pods in such a namespace are not isolated. A namespace with the tenant label
	// belongs to the tenant, even if it is listed here.
	//
	// +optional
	// +kubebuilder:default={}
	PlatformNamespaces PlatformNamespaces `json:"platformNamespaces"`

	// Preemption says which pods the scheduler may evict to empty a node of another trust domain, for a pod
	// of higher priority that fits on no other node. It does not limit evictions for other reasons, such as
	// a lack of memory.
	//
	// +optional
	// +kubebuilder:default=Never
	Preemption PreemptionPolicy `json:"preemption"`

	// Enforcement says whether the scheduler refuses a placement that breaks the rule, or only reports it.
	// `Audit` is a first step of adoption: the scheduler prefers nodes that keep the rule, places a pod on
	// another if there is none, and counts in the metric `tenant_isolation_placements_total` what it would
	// have refused.
	//
	// +optional
	// +kubebuilder:default=Enforce
	Enforcement Enforcement `json:"enforcement"`

	// Dedication of nodes: the first pod of a trust domain on a node dedicates the node, by taints, which
	// every scheduler, autoscaler and kubelet obeys. Dedication needs the admission policies: these add the
	// tolerations, and refuse binds that another scheduler decided before it saw the taints.
	//
	// +optional
	// +kubebuilder:default={}
	Dedication Dedication `json:"dedication"`

	// NodeLabel says which nodes are labelled with the trust domain that they are dedicated to.
	//
	// +optional
	// +kubebuilder:default={}
	NodeLabel NodeLabel `json:"nodeLabel"`

	// Audit checks all running pods against the rule, whichever scheduler placed them. The leader does this
	// in the background.
	//
	// +optional
	// +kubebuilder:default={}
	Audit Audit `json:"audit"`
}

// DataClassGroup is a group of data classes that may share a kernel.
//
// +kubebuilder:validation:MinItems=2
// +kubebuilder:validation:MaxItems=32
// +kubebuilder:validation:items:MaxLength=63
// +listType=atomic
type DataClassGroup []string

// PrivilegeGroup is a group of privilege levels that may share a kernel.
//
// +kubebuilder:validation:MinItems=2
// +kubebuilder:validation:MaxItems=3
// +kubebuilder:validation:items:Enum=restricted;baseline;privileged
// +listType=atomic
type PrivilegeGroup []string

// Sharing lists groups whose members may share a kernel within one tenant.
type Sharing struct {
	// DataClasses are groups of data classes, such as `[[public, internal]]`. Each group has two or more
	// members, each listed in dataClasses or `unclassified`, and a class is in one group at most: if public
	// shared with internal, and internal with restricted, then public could share with restricted.
	//
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(group, group.all(class, self.map(other, other.filter(c, c == class).size()).sum() == 1))",message="has a class twice: a class is in one group at most"
	// +listType=atomic
	DataClasses []DataClassGroup `json:"dataClasses"`

	// Privileges are groups of privilege levels: `restricted`, `baseline`, `privileged`. Each group has two
	// or more members, and a level is in one group at most.
	//
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:MaxItems=1
	// +kubebuilder:validation:XValidation:rule="self.all(group, group.all(level, self.map(other, other.filter(l, l == level).size()).sum() == 1))",message="has a level twice: a level is in one group at most"
	// +listType=atomic
	Privileges []PrivilegeGroup `json:"privileges"`
}

// Boundaries says what stands between a pod and the kernel of its node.
type Boundaries struct {
	// Handlers add to the built-in table of the boundary that each handler of a RuntimeClass gives, which
	// has the handlers that the public installers of Kata Containers (`vm`) and gVisor (`sandbox`)
	// configure. A built-in one is distrusted by naming it `container`.
	//
	// The handler counts, not the name of the RuntimeClass: the kubelet passes the handler to the container
	// runtime. Make sure that your nodes configure each handler with a runtime of that boundary: the
	// scheduler cannot check it, and a wrong entry lets trust domains share a kernel.
	//
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:validation:XValidation:rule="self.all(handler, handler.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(handler) <= 63)",message="the handler of a RuntimeClass has at most 63 small letters, digits and dashes"
	// +mapType=atomic
	Handlers map[string]Boundary `json:"handlers"`

	// Minimum is the boundary that two pods of different trust domains must both have to share a node:
	// `vm`, or `sandbox` if a user-space kernel such as gVisor is strong enough for you.
	//
	// +optional
	// +kubebuilder:default=vm
	// +kubebuilder:validation:XValidation:rule="self != 'container'",message="every pod has at least that boundary, so all could share a kernel: write sandbox or vm"
	Minimum Boundary `json:"minimum"`

	// AllowedAnnotations are the keys of pod annotations that may reconfigure the virtual machine of a Kata
	// pod, or the runtime of any other, without voiding its boundary. Any other annotation of a container
	// runtime makes the boundary of its pod `container`, as it can hand devices, paths or binaries of the
	// host to what is behind the boundary: of Kata (`io.katacontainers.`), gVisor (`dev.gvisor.`), CRI-O
	// (`io.kubernetes.cri-o.`, `crio.io`), containerd and NRI (`io.containerd.`, `nri.io`), crun and runc
	// (`run.oci.`, `org.systemd.property.`), and of the Container Device Interface (`cdi.k8s.io`).
	//
	// Each entry is one whole key, without wildcards.
	//
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:items:Pattern=`^[-A-Za-z0-9_./]+$`
	// +listType=set
	AllowedAnnotations []string `json:"allowedAnnotations"`

	// HostPathProvisioners are the provisioners of StorageClasses, and the CSI drivers, whose volumes are
	// directories of the node. A pod with an unbound PVC of such a class has boundary `container` whatever
	// its RuntimeClass. For a bound PVC the volume counts: a hostPath volume, a local volume other than a
	// block device, and a volume of a listed CSI driver are directories of the host, as is an inline volume
	// of such a driver.
	//
	// Your list replaces the default: repeat the entries that you need. An empty list means that no
	// provisioner of your cluster creates such volumes.
	//
	// +optional
	// +kubebuilder:default={"docker.io/hostpath","hostpath.csi.k8s.io","k8s.io/minikube-hostpath","kubernetes.io/host-path","kubernetes.io/no-provisioner","kubevirt.io.hostpath-provisioner","kubevirt.io/hostpath-provisioner","microk8s.io/hostpath","openebs.io/local","rancher.io/local-path"}
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:items:Pattern=`^[-A-Za-z0-9_./]+$`
	// +listType=set
	HostPathProvisioners []string `json:"hostPathProvisioners"`
}

// RuntimeClasses are given by an admission policy to pods that name none.
type RuntimeClasses struct {
	// ByDataClass is the RuntimeClass of the pods of each data class. The label
	// `tenantisolation.dev/runtime-class` of a namespace goes first.
	//
	// +optional
	// +kubebuilder:default={}
	// +kubebuilder:validation:MaxProperties=65
	// +mapType=atomic
	ByDataClass map[string]RuntimeClassName `json:"byDataClass"`
}

// RuntimeClassName is the name of a RuntimeClass.
//
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
type RuntimeClassName string

// TenantFrom names the label by which another product names tenants.
type TenantFrom struct {
	// NamespaceLabel is the key of a namespace label whose value is copied to
	// `tenantisolation.dev/tenant`, such as `capsule.clastix.io/tenant`. Whoever may set that label sets
	// the tenant.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('tenantisolation.dev/') && self != 'kubernetes.io/metadata.name'",message="must be a label of another product"
	NamespaceLabel string `json:"namespaceLabel"`
}

// PlatformNamespaces says which namespaces are the platform: those that are named, and those that the
// selector matches.
type PlatformNamespaces struct {
	// Names are the names of platform namespaces. Your list replaces the default: repeat the entries that
	// you need. With an empty list no namespace is platform by its name, and the pods of kube-system keep
	// every tenant off their nodes.
	//
	// +optional
	// +kubebuilder:default={"kube-system","tenant-isolation-system"}
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +listType=set
	Names []string `json:"names"`

	// Selector selects platform namespaces by their labels; without it, none is selected. Users who may set
	// these labels can leave the isolation. It must not match a namespace without labels: it needs a label
	// that only platform namespaces have, by matchLabels, In or Exists.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && self.matchExpressions.exists(r, r.operator == 'In' || (r.operator == 'Exists' && r.key != 'kubernetes.io/metadata.name')))",message="matches namespaces without labels, whose pods would not be isolated: add a label that only platform namespaces have, by matchLabels, In or Exists"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(r, (r.operator in ['In', 'NotIn'] && has(r.values) && size(r.values) > 0) || (r.operator in ['Exists', 'DoesNotExist'] && (!has(r.values) || size(r.values) == 0)))",message="has an expression that no namespace can be asked: In and NotIn have values, Exists and DoesNotExist have none"
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// Dedication of nodes to trust domains.
//
// +kubebuilder:validation:XValidation:rule="!has(self.settleTime) || (duration(self.settleTime) > duration('0s') && duration(self.settleTime) <= duration('1m'))",message="must be above zero and at most one minute: the first pod of every node waits that long",fieldPath=".settleTime"
// +kubebuilder:validation:XValidation:rule="!has(self.settleTime) || (duration(self.releaseAfter) >= duration(self.settleTime))",message="must be at least settleTime: a bind in progress could arrive after the release",fieldPath=".releaseAfter"
type Dedication struct {
	// Mode says whether the scheduler dedicates a node before it binds the first pod of a trust domain to
	// it. Switching it to `Disabled` releases every node: no taint, annotation or entry is left.
	//
	// +optional
	// +kubebuilder:default=Disabled
	Mode Mode `json:"mode"`

	// TaintEffect is the effect of the taints on a dedicated node.
	//
	// +optional
	// +kubebuilder:default=NoSchedule
	TaintEffect TaintEffect `json:"taintEffect"`

	// SettleTime is the delay between the dedication of a node and the check that no other pod is on it. It
	// covers the lag until all API servers see the dedication, and requests that they have admitted before.
	// Only the first pod of a node waits for it. Increase it if your API servers or etcd can stall for
	// longer.
	//
	// +optional
	// +kubebuilder:default="1s"
	SettleTime metav1.Duration `json:"settleTime"`

	// ReleaseAfter is the delay between the end of the last pod of a dedicated node and its release. A
	// longer delay saves dedications for tenants with short-lived pods; a shorter one frees the node
	// earlier for others.
	//
	// +optional
	// +kubebuilder:default="30s"
	ReleaseAfter metav1.Duration `json:"releaseAfter"`

	// MaxNodesPerTenant is the number of nodes that one tenant may have dedicated at a time, or a
	// percentage of the nodes of the cluster, rounded up. Without it there is no limit. At the limit, pods
	// of the tenant still join its own nodes. A percentage of a small or autoscaled cluster leaves pods
	// waiting beside free nodes.
	//
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="must be a number from 1, or a percentage from 1% to 100%"
	MaxNodesPerTenant *intstr.IntOrString `json:"maxNodesPerTenant,omitempty"`

	// ContainersOnVMNodes says whether a pod that is not in a virtual machine may open a node that can start
	// virtual machines, while the cluster has others. Without `Avoid`, a few small containers could take all
	// nodes that others need for their virtual machines.
	//
	// +optional
	// +kubebuilder:default=Avoid
	ContainersOnVMNodes ContainersOnVMNodes `json:"containersOnVMNodes"`

	// NodeReuse says when a dedicated node may be dedicated to others.
	//
	// +optional
	// +kubebuilder:default=Immediately
	NodeReuse NodeReuse `json:"nodeReuse"`
}

// NodeLabel says which nodes bear the labels
// `tenantisolation.node-restriction.kubernetes.io/{tenant,data-class,privilege,user-namespace}`.
type NodeLabel struct {
	// Selector selects the nodes whose labels say whose pods may count on them: those of an autoscaler that
	// takes such labels for new nodes too, as Karpenter does. Other nodes bear none of the labels. Without
	// dedication no node does.
	//
	// Do not select the nodes of the Cluster Autoscaler: it takes the labels of a live node for those of every
	// new one, and would find no node group for another trust domain. An empty selector (`{}`) selects all
	// nodes; to select none, name a label that no node has.
	//
	// +optional
	// +kubebuilder:default={"matchExpressions":{{"key":"karpenter.sh/nodepool","operator":"Exists"}}}
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(r, (r.operator in ['In', 'NotIn'] && has(r.values) && size(r.values) > 0) || (r.operator in ['Exists', 'DoesNotExist'] && (!has(r.values) || size(r.values) == 0)))",message="has an expression that no node can be asked: In and NotIn have values, Exists and DoesNotExist have none"
	// +kubebuilder:validation:XValidation:rule="(!has(self.matchLabels) || self.matchLabels.all(key, !key.startsWith('tenantisolation.node-restriction.kubernetes.io/'))) && (!has(self.matchExpressions) || self.matchExpressions.all(r, !r.key.startsWith('tenantisolation.node-restriction.kubernetes.io/')))",message="must not depend on the labels that the scheduler itself writes and removes"
	Selector *metav1.LabelSelector `json:"selector"`
}

// Audit checks running pods against the rule.
//
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || (self.remediation == 'None' || self.mode == 'Enabled')",message="write None, or Enabled as the mode of the audit: without it there are no findings",fieldPath=".remediation"
type Audit struct {
	// Mode says whether the leader audits. It reports findings as metrics, and as Events in the namespace
	// of the scheduler; tenants see neither.
	//
	// +optional
	// +kubebuilder:default=Enabled
	Mode Mode `json:"mode"`

	// Remediation says what happens after a finding: nothing, or the eviction of the pod that changed, or
	// else of the one that was bound last.
	//
	// +optional
	// +kubebuilder:default=None
	Remediation Remediation `json:"remediation"`

	// EvictionsPerMinute limits the evictions of `remediation: Evict`, over the whole cluster.
	//
	// +optional
	// +kubebuilder:default=6
	// +kubebuilder:validation:Minimum=1
	EvictionsPerMinute int32 `json:"evictionsPerMinute"`
}

// Axis is one part of a trust domain.
//
// +kubebuilder:validation:Enum=tenant;data-class;privilege;user-namespace
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
//
// +kubebuilder:validation:Enum=container;sandbox;vm
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
//
// +kubebuilder:validation:Enum=Never;SameTenant;Any
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
//
// +kubebuilder:validation:Enum=Disabled;Enabled
type Mode string

const (
	// ModeDisabled switches the part off.
	ModeDisabled Mode = "Disabled"
	// ModeEnabled switches the part on.
	ModeEnabled Mode = "Enabled"
)

// Enforcement says whether a placement that breaks the rule is refused.
//
// +kubebuilder:validation:Enum=Enforce;Audit
type Enforcement string

const (
	// EnforcementEnforce refuses it: the pod waits for a node that keeps the rule.
	EnforcementEnforce Enforcement = "Enforce"
	// EnforcementAudit allows it if no node keeps the rule, and reports it.
	EnforcementAudit Enforcement = "Audit"
)

// TaintEffect is the effect of the taints on a dedicated node.
//
// +kubebuilder:validation:Enum=NoSchedule;NoExecute
type TaintEffect string

const (
	// TaintEffectNoSchedule keeps schedulers from placing other pods on the node.
	TaintEffectNoSchedule TaintEffect = "NoSchedule"
	// TaintEffectNoExecute also makes the kubelet refuse and the taint-eviction controller
	// evict pods without the tolerations, including node agents outside of the platform
	// namespaces.
	TaintEffectNoExecute TaintEffect = "NoExecute"
)

// ContainersOnVMNodes says whether a container may open a node that can start virtual machines.
//
// +kubebuilder:validation:Enum=Avoid;Allow
type ContainersOnVMNodes string

const (
	// ContainersAvoidVMNodes keeps such nodes for pods in virtual machines while there are others.
	ContainersAvoidVMNodes ContainersOnVMNodes = "Avoid"
	// ContainersAllowed lets every pod open every node.
	ContainersAllowed ContainersOnVMNodes = "Allow"
)

// NodeReuse says when a dedicated node may be dedicated to others.
//
// +kubebuilder:validation:Enum=Immediately;AfterReboot
type NodeReuse string

const (
	// NodeReuseImmediately allows it as soon as the node is released.
	NodeReuseImmediately NodeReuse = "Immediately"
	// NodeReuseAfterReboot keeps the dedication until the boot ID of the node has changed,
	// because the kernel may contain what the last tenant left behind.
	NodeReuseAfterReboot NodeReuse = "AfterReboot"
)

// Remediation says what happens after a finding of the audit.
//
// +kubebuilder:validation:Enum=None;Evict
type Remediation string

const (
	// RemediationNone only reports.
	RemediationNone Remediation = "None"
	// RemediationEvict evicts the pod that changed, or else the one that was bound last, by the Eviction API.
	RemediationEvict Remediation = "Evict"
)
