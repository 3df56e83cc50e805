package cluster

import (
	"iter"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	resourcehelper "k8s.io/component-helpers/resource"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// machine is what the rule reads of a node itself.
type machine struct {
	// handlers are the runtime handlers that it reports; nil if it reports none.
	handlers  map[string]bool
	vmCapable bool
	// plain is nil unless the node is one for containers.
	plain *plainNode
}

func (m machine) apply(node *isolation.Node) {
	node.Handlers, node.VMCapable = m.handlers, m.vmCapable
}

func (m machine) equal(other machine) bool {
	return (m.handlers == nil) == (other.handlers == nil) && maps.Equal(m.handlers, other.handlers) &&
		m.vmCapable == other.vmCapable && equality.Semantic.DeepEqual(m.plain, other.plain)
}

// plainNode is a node that cannot start pods in VMs and is open to pods that tolerate and select
// nothing. A pod's own selectors and tolerations do not count: by them it could say that no
// other node suits it than those that are kept for VMs.
type plainNode struct {
	Allocatable v1.ResourceList
	// Classes are the RuntimeClasses whose pods the node takes.
	Classes sets.Set[string]
}

// takes reports whether the node, if it were empty, had room for the pod.
func (n *plainNode) takes(class string, requests v1.ResourceList) bool {
	if class != "" && !n.Classes.Has(class) {
		return false
	}
	for name, quantity := range requests {
		if quantity.Cmp(n.Allocatable[name]) > 0 {
			return false
		}
	}
	return true
}

// machineOf reads a node.
func (s *Store) machineOf(rules *podfacts.Rules, node *v1.Node) machine {
	m := machine{handlers: podfacts.ReportedHandlers(node)}
	m.vmCapable = rules.VMCapable(node, m.handlers, s.classes())
	if m.vmCapable || node.Spec.Unschedulable || keepsPodsOff(node.Spec.Taints) {
		return m
	}
	m.plain = &plainNode{Allocatable: node.Status.Allocatable, Classes: sets.Set[string]{}}
	for name, class := range s.around.runtimeClasses.all() {
		offered := m.handlers == nil || m.handlers[class.Handler]
		if offered && (class.Nodes == nil || class.Nodes.Matches(labels.Set(node.Labels))) {
			m.plain.Classes.Insert(name)
		}
	}
	return m
}

func (s *Store) classes() iter.Seq[podfacts.RuntimeClass] {
	return func(yield func(podfacts.RuntimeClass) bool) {
		for _, class := range s.around.runtimeClasses.all() {
			if !yield(class) {
				return
			}
		}
	}
}

// keepsPodsOff reports whether one of the taints keeps off pods that tolerate none but those of
// a dedication, which ends with its pods.
func keepsPodsOff(taints []v1.Taint) bool {
	for i := range taints {
		if !slices.Contains(isolation.DedicationTaints(), taints[i].Key) && taints[i].Effect != v1.TaintEffectPreferNoSchedule {
			return true
		}
	}
	return false
}

// HasPlainNodeFor reports whether there is a node for a container that cannot start pods in VMs.
// Whether it has room now does not count.
func (s *Store) HasPlainNodeFor(pod *v1.Pod) bool {
	requests, class := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}), podfacts.RuntimeClassName(pod)
	for _, of := range s.around.machines.all() {
		if of.plain != nil && of.plain.takes(class, requests) {
			return true
		}
	}
	return false
}

// FreesVMNodes reports whether the event takes from a pod the last node for containers, so that
// those that are kept for VMs take it.
func (s *Store) FreesVMNodes(e *Event, pod *v1.Pod) bool {
	requests, class := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}), podfacts.RuntimeClassName(pod)
	for _, was := range e.plain {
		if was.takes(class, requests) {
			return !s.HasPlainNodeFor(pod)
		}
	}
	return false
}

// VMCapableNodes returns the nodes that can start pods in VMs.
func (s *Store) VMCapableNodes(rules *podfacts.Rules) []isolation.Node {
	var names []string
	for name, of := range s.around.machines.all() {
		if of.vmCapable {
			names = append(names, name)
		}
	}
	nodes := make([]isolation.Node, 0, len(names))
	for _, name := range names {
		nodes = append(nodes, s.CurrentNode(rules, name))
	}
	return nodes
}

// LosesPlainNodes reports whether FreesVMNodes may be true of a pod.
func (e *Event) LosesPlainNodes() bool { return len(e.plain) > 0 }

// lost notes that a node is no longer what it was.
func (e *Event) lost(was *machine) {
	if was.plain != nil {
		e.plain = append(e.plain, was.plain)
	}
}

// setMachine notes what a node is now. It returns the change and what the node was, nil if
// nothing has changed.
func (s *Store) setMachine(name string, node *v1.Node) (Change, *machine) {
	rules := s.Rules()
	of := s.machineOf(rules, node)
	old, known := s.around.machines.get(name)
	if known && old.equal(of) {
		return Change{}, nil
	}
	before := s.CurrentNode(rules, name)
	s.around.machines.set(name, of)
	s.nodes.add(name)
	s.nodes.invalidate(name)
	after := before
	of.apply(&after)
	return Change{Node: name, Before: &before, After: &after}, &old
}

// reportedNodes returns the nodes whose events have been handled: others are judged when theirs are.
func (s *Store) reportedNodes() []*v1.Node {
	var reported []*v1.Node
	for _, node := range s.Nodes() {
		if _, known := s.around.machines.get(node.Name); known {
			reported = append(reported, node)
		}
	}
	return reported
}

// judgeMachines looks at every node again, because a RuntimeClass has changed.
func (s *Store) judgeMachines() {
	e := Event{Cause: RuntimeClassChanged}
	for _, node := range s.reportedNodes() {
		if change, old := s.setMachine(node.Name, node); old != nil {
			e.Nodes = append(e.Nodes, change)
			e.lost(old)
		}
	}
	s.report(e)
}
