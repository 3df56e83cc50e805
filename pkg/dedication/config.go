package dedication

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TableName is the name of the ConfigMap that the API server's fence reads.
const TableName = "tenant-isolation-dedicated-nodes"

// TokenAnnotation is the annotation of a Binding, and so of the pod, that names the dedication
// under which the pod was bound: <term>-<id>. The fence compares it with the table.
const TokenAnnotation = "tenantisolation.dev/dedication"

// OpenedByAnnotation is the annotation of a dedicated Node that names the tenant whose pod
// opened it, or that was there last if the one who opened it has left before. A node without
// pods that another process left behind is charged to it.
const OpenedByAnnotation = "tenantisolation.dev/opened-by"

// NodeReuse says when an empty node becomes free for another tenant.
type NodeReuse string

const (
	// ReuseImmediately frees a node once it has been empty for Config.ReleaseAfter.
	ReuseImmediately NodeReuse = "Immediately"
	// ReuseAfterReboot frees an empty node once its bootID has changed.
	ReuseAfterReboot NodeReuse = "AfterReboot"
)

// ContainersOnVMNodes says whether a pod that is not in a VM may open a node that can start
// pods in VMs.
type ContainersOnVMNodes string

const (
	// AvoidVMNodes keeps such nodes for pods in VMs while there are others. It is the default,
	// also of the empty value.
	AvoidVMNodes ContainersOnVMNodes = "Avoid"
	// AllowVMNodes lets every pod open every node.
	AllowVMNodes ContainersOnVMNodes = "Allow"
)

// Config is what the engine is made with.
type Config struct {
	// Namespace is the namespace of the table.
	Namespace string
	// Settings are those of the start. See Configure.
	Settings
	// Unsettled: Settings are nobody's choice. Until the first Configure nothing is done, and no pod may
	// be placed.
	Unsettled bool
	// OnReady is called once this process has taken over: pods can be placed from then on.
	// Optional.
	OnReady func()
	// OnDeposed is called once, with the reason, when another process has taken over: this
	// one never places a pod again and should exit. Optional.
	OnDeposed func(error)
}

// Settings hold an administrator's choices about dedication. The caller has validated them.
type Settings struct {
	// Enabled: nodes are dedicated. Otherwise those that are become free.
	Enabled bool
	// TaintEffect is the effect of the dedication's taints: NoSchedule or NoExecute.
	TaintEffect v1.TaintEffect
	// SettleTime is how long the engine waits for binds that another scheduler decided before
	// it saw the dedication, or that the API server admitted before it saw the table.
	SettleTime time.Duration
	// ReleaseAfter is how long a node stays dedicated after its last pod is gone.
	ReleaseAfter time.Duration
	// NodeReuse says whether a node must be rebooted before its release.
	NodeReuse NodeReuse
	// MaxNodesPerTenant is how many nodes may be charged to one tenant, as a number or as a
	// percentage of all nodes (rounded up, at least 1). Zero, the zero value, is no limit.
	MaxNodesPerTenant intstr.IntOrString
	// Beside is written into the table beside its entries, for the fence. Its keys have more than
	// two characters, and are not "term" or "dedication".
	Beside map[string]string
	// LabelledNodes selects the nodes that are labelled (isolation.NodeLabels), by their other labels. Nil,
	// the zero value, selects none.
	LabelledNodes labels.Selector
	// ContainersOnVMNodes says which nodes containers may open. The zero value is AvoidVMNodes.
	ContainersOnVMNodes ContainersOnVMNodes
}
