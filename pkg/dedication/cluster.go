package dedication

import (
	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Cluster is what the engine reads of the cluster and reports to it: a cluster.Store. All
// methods are safe for concurrent use. The engine calls none of them but NodeCount while it
// holds a lock, so the others may call the engine.
type Cluster interface {
	// Nodes returns all nodes of the informer. The caller must not change them.
	Nodes() []*v1.Node
	// Node returns the informer's node of that name, false if it has none.
	Node(name string) (*v1.Node, bool)
	// NodeCount returns the number of nodes. It takes no lock.
	NodeCount() int
	// Occupancy returns the occupancy of a node, from the informers and the scheduler's
	// cache: it includes pods that are assumed and not yet bound.
	Occupancy(node string) isolation.Occupancy
	// Judge judges a pod from a LIST, which may be newer than the informer's version.
	Judge(pod *v1.Pod) isolation.Subject
	// DedicationOf returns the dedication that a node's taints name, false if no taint
	// belongs to a dedication: isolation.Policy.ParseDedication.
	DedicationOf(node *v1.Node) (isolation.Dedication, bool)
	// Policy returns the policy in force.
	Policy() *isolation.Policy
	// PodsOn returns the pods of which Occupancy is made, each once.
	PodsOn(node string) []*v1.Pod
	// Knows reports whether Occupancy accounts for a bound pod from a LIST: the informer has
	// the pod on its node, or has seen its deletion since.
	Knows(pod *v1.Pod) bool
	// HasPlainNodeFor reports whether there is a node for a container, with or without room,
	// that cannot start pods in VMs.
	HasPlainNodeFor(pod *v1.Pod) bool
	// LocalTenants returns the tenants whose data is in volumes on a node's disks, in order.
	LocalTenants(node string) []string
	// DedicationChanged reports that Engine.Dedication returns something else for the node,
	// or that Reserve, which refused the node, may now accept it. The receiver drops what it
	// computed from the old dedication, and wakes the pods that this change helps. It may be
	// called in the scheduling cycle.
	DedicationChanged(node string, before, after cluster.Dedicated)
}

var _ Cluster = &cluster.Store{}
