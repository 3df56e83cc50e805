package tenantisolation

import (
	"iter"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// cluster is what the rule reads besides pods: namespaces, RuntimeClasses, PVCs and
// the runtime handlers of nodes. It is fed by the plugin's own event handlers and not
// read from listers, so that a pod that such a handler wakes is judged by what woke it.
type cluster struct {
	namespaces     register[map[string]string]
	runtimeClasses register[podfacts.RuntimeClass]
	// pvcs tells whether a PVC's volume is a directory of the host.
	pvcs register[bool]
	// handlers are those that a node reports; nil if it reports none.
	handlers register[map[string]bool]

	// epoch counts the changes that concern every node. A change that concerns some pods
	// only has those judged anew, and their nodes.
	epoch atomic.Uint64
}

// pvcLookup tells of a PVC whether its volume is a directory of the host, and whether
// the PVC is known.
type pvcLookup func(pvc string) (onHost, known bool)

// surroundings are the books, with PVCs looked up where the caller says.
type surroundings struct {
	*cluster
	pvc pvcLookup
}

func (s surroundings) NamespaceLabels(name string) (map[string]string, bool) {
	return s.namespaces.get(name)
}

func (s surroundings) RuntimeClass(name string) (podfacts.RuntimeClass, bool) {
	return s.runtimeClasses.get(name)
}

func (s surroundings) PVCOnHost(key string) (onHost, known bool) { return s.pvc(key) }

// resolve makes a subject of a pod.
func (c *cluster) resolve(r *podfacts.Rules, pod *v1.Pod, f *podfacts.Facts, pvcs pvcLookup) isolation.Subject {
	return r.Subject(pod, f, surroundings{c, pvcs})
}

// register holds the current values of one kind by name. It is safe for concurrent use.
type register[V any] struct {
	mu     sync.RWMutex
	values map[string]V
}

// get returns a name's value and whether it is known.
func (r *register[V]) get(name string) (V, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	value, known := r.values[name]
	return value, known
}

func (r *register[V]) set(name string, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.values == nil {
		r.values = map[string]V{}
	}
	r.values[name] = value
}

func (r *register[V]) unset(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.values, name)
}

// all iterates over the values while nobody can change them.
func (r *register[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		for _, value := range r.values {
			if !yield(value) {
				return
			}
		}
	}
}
