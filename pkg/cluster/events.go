package cluster

import (
	"slices"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Cause names what has changed, for logs too.
type Cause string

// The causes of events.
const (
	NamespaceChanged    Cause = "namespace"
	RuntimeClassChanged Cause = "runtime class"
	PVCChanged          Cause = "PVC"
	PodChanged          Cause = "pod"
	NodeAdded           Cause = "node added"
	NodeChanged         Cause = "node"
	NodeRemoved         Cause = "node removed"
	DedicationChanged   Cause = "dedication"
	// PolicyChanged says that other rules are in force: any node and any pod may be judged otherwise.
	PolicyChanged Cause = "policy"
	// EverythingReread says that any node and any pod may be judged otherwise.
	EverythingReread Cause = "everything read again"
)

// Event is what one change of one object has changed for the rule.
type Event struct {
	Cause Cause
	// Nodes are the nodes where somebody came or went, is judged otherwise or mounts
	// something else, or of which something has changed itself.
	Nodes []Change
	// Pods are pods on no node that are judged otherwise.
	Pods []*v1.Pod
	// plain are the nodes for containers that are no longer there: see FreesVMNodes.
	plain []*plainNode
}

// Change is a node before and after an event.
type Change struct {
	Node string
	// Before and After are nil where the pods that wait learn of the change by an event of
	// the scheduling framework: pods and nodes that come and go. See Gone and Added.
	Before, After *isolation.Node
}

// Helps reports whether the change turns a denial of the pod into an admission. It asks
// the same function as Filter, so the two cannot drift apart (L6).
func (c *Change) Helps(subject *isolation.Subject) bool {
	return c.Before != nil && c.After != nil &&
		!isolation.Decide(subject, c.Before).Allowed() && isolation.Decide(subject, c.After).Allowed()
}

func (s *Store) report(e Event) {
	if len(e.Nodes) == 0 && len(e.Pods) == 0 && len(e.plain) == 0 {
		return
	}
	for _, listener := range s.listeners {
		listener(e)
	}
}

// touch notes a node without comparing it.
func (e *Event) touch(node string) {
	if node == "" {
		return
	}
	for i := range e.Nodes {
		if e.Nodes[i].Node == node {
			return
		}
	}
	e.Nodes = append(e.Nodes, Change{Node: node})
}

// Gone returns what the end of a pod changes on its node. A pod that was only nominated to
// a node counts there like one that is on it. The Change is of no node if the pod has none.
func (s *Store) Gone(rules *podfacts.Rules, pod *v1.Pod) Change {
	name := pod.Spec.NodeName
	if name == "" {
		name = pod.Status.NominatedNodeName
	}
	if name == "" {
		return Change{}
	}
	resident := s.Resident(rules, pod)
	after := s.CurrentNode(rules, name)
	if pod.Spec.NodeName != "" {
		// It is gone, whatever the sources still say. A nominated pod may also have
		// arrived, and then nothing has changed.
		after.Occupancy = after.Occupancy.Without(resident.UID)
	}
	before := after
	before.Occupancy = after.Occupancy.With(resident)
	return Change{Node: name, Before: &before, After: &after}
}

// Added returns a node that has just been added, which the store may not have yet.
func (s *Store) Added(rules *podfacts.Rules, object *v1.Node) isolation.Node {
	node := s.CurrentNode(rules, object.Name)
	if _, known := s.around.machines.get(object.Name); !known {
		s.machineOf(rules, object).apply(&node)
	}
	return node
}

// Dedicated is what a node's dedication was or is: none, if Dedicated is false. The zero
// Dedication of a node that is dedicated denies every pod.
type Dedicated struct {
	Dedication isolation.Dedication
	Dedicated  bool
	// Charged are the tenants towards whose limit the node counts. They are in order, and
	// not changed.
	Charged []string
}

// Equal reports whether both say the same.
func (d Dedicated) Equal(other Dedicated) bool {
	return d.Dedication == other.Dedication && d.Dedicated == other.Dedicated && slices.Equal(d.Charged, other.Charged)
}

// apply writes it to a node.
func (d Dedicated) apply(node *isolation.Node) {
	node.Dedication, node.Dedicated, node.Charged = d.Dedication, d.Dedicated, d.Charged
}

// DedicationChanged is called when Dedications has another answer for a node, or when pods
// were denied a node whatever it said: then before is what denied them. It may be called
// in the scheduling cycle.
func (s *Store) DedicationChanged(name string, before, after Dedicated) {
	s.nodes.invalidate(name)
	change := Change{Node: name}
	if !before.Equal(after) {
		// The residents are read after the dedication has changed: whoever changes both at
		// one time, the later of the two sees both.
		now := s.CurrentNode(s.Rules(), name)
		was := now
		before.apply(&was)
		after.apply(&now)
		change.Before, change.After = &was, &now
	}
	s.report(Event{Cause: DedicationChanged, Nodes: []Change{change}})
}
