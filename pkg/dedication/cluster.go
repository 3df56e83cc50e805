package dedication

import (
	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Cluster is what the engine asks of the judged cluster: of a cluster.Store. All methods may
// be called from several goroutines at once; all but NodeCount never while the engine holds
// a lock, so they may ask the engine in turn.
type Cluster interface {
	// Nodes returns all nodes, as the informer has them. The caller changes none of them.
	Nodes() []*v1.Node
	// Node returns one of them, false if the informer has none of that name.
	Node(name string) (*v1.Node, bool)
	// NodeCount returns how many nodes there are. It takes no lock.
	NodeCount() int
	// Occupancy returns who is on a node, as the informers and the scheduler's cache have
	// it: pods that are assumed and not yet bound included.
	Occupancy(node string) isolation.Occupancy
	// Judge judges a pod that came out of a LIST, and so may be newer than what the
	// informer has.
	Judge(pod *v1.Pod) isolation.Subject
	// DedicationOf returns what a node's taints say that it is dedicated to, false if none of
	// them is of a dedication: isolation.Policy.ParseDedication.
	DedicationOf(node *v1.Node) (isolation.Dedication, bool)
	// Knows reports whether Occupancy takes a bound pod that came out of a LIST into
	// account: the informer has it on its node, or has seen it go since.
	Knows(pod *v1.Pod) bool
	// DedicationChanged reports that Engine.Dedication has another answer for the node, or
	// that Reserve, which refused it, may now do otherwise: what was worked out from it is
	// to be forgotten, and pods that wait for such a change are to be tried again. It may be
	// called in the scheduling cycle.
	DedicationChanged(node string, before, after cluster.Dedicated)
}

var _ Cluster = &cluster.Store{}
