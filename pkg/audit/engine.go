package audit

import (
	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/subjects"
)

// Engine holds a cluster's objects and knows what in it breaks the rule. It is not safe
// for concurrent use.
//
// It implements subjects.Surroundings and subjects.Storage of the objects that it holds.
type Engine struct {
	rules    *subjects.Rules
	gatherer *subjects.Gatherer
}

// New returns an engine that knows of no object yet.
func New(rules *subjects.Rules, gatherer *subjects.Gatherer) *Engine {
	return &Engine{rules: rules, gatherer: gatherer}
}

// Set takes an object, or its new version. It keeps the object, which must not be changed
// any more. Kinds that the rule does not read are an error: it reads Nodes, Namespaces,
// Pods, RuntimeClasses, PersistentVolumeClaims, PersistentVolumes and StorageClasses.
func (e *Engine) Set(obj runtime.Object) error { return nil }

// Delete forgets an object; one that is not known is none of its business.
func (e *Engine) Delete(obj runtime.Object) error { return nil }

// Report returns everything that breaks the rule. Its cost follows what has changed since
// the last call, and the number of findings.
func (e *Engine) Report() Report { return Report{} }

// Node returns what the rule reads of a node, false if there is no such node.
func (e *Engine) Node(name string) (isolation.Node, bool) { return isolation.Node{}, false }

// Subject returns what a pod was judged to be, false if there is no such pod.
func (e *Engine) Subject(namespace, name string) (isolation.Subject, bool) {
	return isolation.Subject{}, false
}
