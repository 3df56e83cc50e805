package tenantisolation

import (
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// cluster is what the rule reads besides pods: namespaces, RuntimeClasses, claims and
// the runtime handlers of nodes. It is fed by the plugin's own event handlers and not
// read from listers, so that a pod that such a handler wakes is judged by what woke it.
type cluster struct {
	namespaces     register[*isolation.Namespace]
	runtimeClasses register[runtimeClass]
	// claims tells whether a claim's volume is a directory of the host.
	claims register[bool]
	// handlers are those that a node reports; nil if it reports none.
	handlers register[map[string]bool]

	// epoch counts the changes of what any verdict so far may rest on. Whatever was
	// worked out under an older epoch is worked out again.
	epoch atomic.Uint64
}

type runtimeClass struct {
	handler string
	// nodes selects the nodes that support the class, nil if it does not say.
	nodes labels.Selector
}

// resolve makes a subject of a pod. The result holds for the epoch that was read
// before.
func (c *cluster) resolve(r *rules, pod *v1.Pod, f *facts) isolation.Subject {
	p := isolation.Pod{
		Labels:        pod.Labels,
		Annotations:   pod.Annotations,
		Privilege:     f.privilege,
		UserNamespace: userNamespace(pod),
		RuntimeClass:  runtimeClassName(pod),
		HostAccess:    f.hostAccess,
	}
	if ns, ok := c.namespaces.get(pod.Namespace); ok {
		p.Namespace = ns
	}
	if p.RuntimeClass != "" {
		var class runtimeClass
		class, p.RuntimeClassFound = c.runtimeClasses.get(p.RuntimeClass)
		p.Handler = class.handler
	}
	for _, claim := range f.claims {
		// A claim that is not known yet may turn out to be a directory of the host.
		if onHost, ok := c.claims.get(claim); !ok || onHost {
			p.HostAccess |= isolation.HostPath
		}
	}
	return r.Resolve(p)
}

// vmCapable reports whether a node can start VM-isolated pods: by the handlers that it
// reports, or else by the node selectors of the RuntimeClasses whose handlers isolate.
func (c *cluster) vmCapable(r *rules, node *v1.Node, handlers map[string]bool) bool {
	if handlers != nil {
		for handler := range handlers {
			if r.Isolates(r.BoundaryOf(handler)) {
				return true
			}
		}
		return false
	}
	return c.runtimeClasses.any(func(class runtimeClass) bool {
		return class.nodes != nil && r.Isolates(r.BoundaryOf(class.handler)) && class.nodes.Matches(labels.Set(node.Labels))
	})
}

// register holds the current values of one kind by name, and remembers which names,
// present or not, a verdict has asked for: a change of any other concerns nobody yet.
type register[V any] struct {
	mu      sync.RWMutex
	entries map[string]*entry[V]
}

type entry[V any] struct {
	value   V
	present bool
	asked   atomic.Bool
}

// get returns a name's value and whether it is known.
func (r *register[V]) get(name string) (V, bool) {
	r.mu.RLock()
	e := r.entries[name]
	if e != nil {
		defer r.mu.RUnlock()
		if !e.asked.Load() {
			e.asked.Store(true)
		}
		return e.value, e.present
	}
	r.mu.RUnlock()

	r.mu.Lock()
	defer r.mu.Unlock()
	e = r.entry(name)
	e.asked.Store(true)
	return e.value, e.present
}

// set stores a name's value and reports whether anybody has asked for the name.
func (r *register[V]) set(name string, value V) (asked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(name)
	e.value, e.present = value, true
	return e.asked.Load()
}

// unset forgets a name's value and reports whether anybody has asked for the name.
func (r *register[V]) unset(name string) (asked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[name]
	if !ok {
		return false
	}
	delete(r.entries, name)
	return e.asked.Load()
}

// peek returns a name's value without asking for it.
func (r *register[V]) peek(name string) (V, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.entries[name]; e != nil {
		return e.value, e.present
	}
	var none V
	return none, false
}

// any reports whether a value meets the condition.
func (r *register[V]) any(condition func(V) bool) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, e := range r.entries {
		if e.present && condition(e.value) {
			return true
		}
	}
	return false
}

func (r *register[V]) entry(name string) *entry[V] {
	e := r.entries[name]
	if e == nil {
		if r.entries == nil {
			r.entries = map[string]*entry[V]{}
		}
		e = &entry[V]{}
		r.entries[name] = e
	}
	return e
}
