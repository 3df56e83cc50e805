package tenantisolation

import (
	"slices"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// cluster is what the rule reads besides pods: namespaces, RuntimeClasses, claims and
// the runtime handlers of nodes. It is fed by the plugin's own event handlers and not
// read from listers, so that a pod that such a handler wakes is judged by what woke it.
type cluster struct {
	namespaces     register[isolation.Namespace]
	runtimeClasses register[runtimeClass]
	// claims tells whether a claim's volume is a directory of the host.
	claims register[bool]
	// handlers are those that a node reports; nil if it reports none.
	handlers register[map[string]bool]

	// epoch counts the changes that concern every node. A change that concerns some pods
	// only has those judged anew, and their nodes.
	epoch atomic.Uint64
}

type runtimeClass struct {
	handler string
	created metav1.Time
	// nodes selects the nodes that support the class, nil if it does not say.
	nodes labels.Selector
}

// claimLookup tells of a claim whether its volume is a directory of the host, and whether
// the claim is known.
type claimLookup func(claim string) (onHost, known bool)

// resolve makes a subject of a pod.
func (c *cluster) resolve(r *rules, pod *v1.Pod, f *facts, claims claimLookup) isolation.Subject {
	p := isolation.Pod{
		Labels:        pod.Labels,
		Annotations:   pod.Annotations,
		Privilege:     f.privilege,
		UserNamespace: userNamespace(pod),
		RuntimeClass:  runtimeClassName(pod),
		HostAccess:    f.hostAccess,
	}
	if ns, ok := c.namespaces.get(pod.Namespace); ok {
		ns.PlatformSelected = r.platform.Matches(labels.Set(ns.Labels))
		p.Namespace = &ns
	}
	if p.RuntimeClass != "" {
		var class runtimeClass
		class, p.RuntimeClassFound = c.runtimeClasses.get(p.RuntimeClass)
		p.Handler = class.handler
		// The kubelet looks the handler up when it starts the pod, and never again.
		p.HandlerUncertain = pod.Status.StartTime != nil && pod.Status.StartTime.Before(&class.created)
	}
	for _, claim := range f.claims {
		// A claim that is not known yet may turn out to be a directory of the host.
		if onHost, known := claims(claim); !known || onHost {
			p.HostAccess |= isolation.HostPath
		}
	}
	for _, driver := range f.csiDrivers {
		if slices.Contains(r.hostPathProvisioners, driver) {
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

// any reports whether a value meets the condition.
func (r *register[V]) any(condition func(V) bool) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, value := range r.values {
		if condition(value) {
			return true
		}
	}
	return false
}
