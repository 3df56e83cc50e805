package cluster

import (
	"iter"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

var (
	_ podfacts.Lookup  = &Store{}
	_ podfacts.Storage = &Store{}
)

// around is what the rule reads besides pods and nodes. It is written by the Store's own
// handlers and not read from the sources, so that a change can be compared with what was before.
type around struct {
	namespaces     register[podfacts.Namespace]
	runtimeClasses register[podfacts.RuntimeClass]
	// pvcs says of a PVC whether its volume is a directory of the host.
	pvcs register[bool]
	// machines are the nodes themselves.
	machines register[machine]

	// epoch counts the changes that concern every node. A change that concerns some pods
	// only has those judged anew, and their nodes.
	epoch atomic.Uint64
}

// Namespace returns a namespace, and whether it is known.
func (s *Store) Namespace(name string) (podfacts.Namespace, bool) {
	return s.around.namespaces.get(name)
}

// RuntimeClass returns a RuntimeClass, and whether it is known.
func (s *Store) RuntimeClass(name string) (podfacts.RuntimeClass, bool) {
	return s.around.runtimeClasses.get(name)
}

// PVCOnHost reports whether the volume of a PVC ("namespace/name") is a directory of the
// host, and whether the PVC is known.
func (s *Store) PVCOnHost(key string) (onHost, known bool) { return s.around.pvcs.get(key) }

func (s *Store) onHost(pvc *v1.PersistentVolumeClaim) bool { return s.Rules().PVCOnHost(pvc, s) }

// ahead is the Store with its PVCs as the sources have them, which may be ahead of what has
// been handled.
type ahead struct{ *Store }

func (a ahead) PVCOnHost(key string) (onHost, known bool) {
	pvc, known := a.PVC(key)
	return known && a.onHost(pvc), known
}

// SubjectNow judges this version of a pod by the newest PVCs and volumes that are known: one
// that was bound a moment ago counts already.
func (s *Store) SubjectNow(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	facts := s.Facts(pod)
	return rules.Subject(pod, &facts, ahead{s})
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

// replace puts these values in the place of all that there are.
func (r *register[V]) replace(values map[string]V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values = values
}

// all iterates over the names and values under the lock.
func (r *register[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		r.mu.RLock()
		defer r.mu.RUnlock()
		for name, value := range r.values {
			if !yield(name, value) {
				return
			}
		}
	}
}
