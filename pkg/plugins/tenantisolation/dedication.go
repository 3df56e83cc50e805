package tenantisolation

import (
	"context"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// dedicationEngine is what the plugin asks of the dedication engine.
type dedicationEngine interface {
	Lead()
	Ready() bool
	Touch(node string)
	SetNodes(count int)
	Dedication(node string) (isolation.Dedication, bool)
	MayOpen(subject *isolation.Subject) bool
	Reserve(uid types.UID, node string, subject *isolation.Subject) error
	Refused(err error)
	Held(uid types.UID, node string) bool
	Ensure(ctx context.Context, pod *v1.Pod, node string, subject *isolation.Subject) error
	Token(node string) (string, bool)
	Release(uid types.UID, node string, outcome dedication.Outcome)
}

// dedicatedNodes is the plugin's book of them, as the engine tells. It is nil where dedication is
// off, and then knows of none.
type dedicatedNodes struct {
	engine dedicationEngine

	// count is how many nodes there are.
	count atomic.Int64

	mu sync.RWMutex
	// nodes are the dedicated ones, homes the same by their dedication.
	nodes map[string]isolation.Dedication
	homes map[isolation.Dedication]map[string]int
	// refused are nodes that the engine has refused although the book says otherwise.
	refused map[string]bool
	// limited are the tenants that were refused another node, each with one of its pods.
	limited map[string]isolation.Subject
}

func newDedicatedNodes(engine dedicationEngine) *dedicatedNodes {
	return &dedicatedNodes{
		engine:  engine,
		nodes:   map[string]isolation.Dedication{},
		homes:   map[isolation.Dedication]map[string]int{},
		refused: map[string]bool{},
		limited: map[string]isolation.Subject{},
	}
}

// takenOver reports whether pods may be placed. Only the leader has scheduling cycles, so
// being asked from one is what tells the engine that it leads.
func (d *dedicatedNodes) takenOver() bool {
	if d == nil {
		return true
	}
	d.engine.Lead()
	return d.engine.Ready()
}

// touch tells the engine that something has changed on a node.
func (d *dedicatedNodes) touch(node string) {
	if d != nil && node != "" {
		d.engine.Touch(node)
	}
}

// node counts nodes that come and go.
func (d *dedicatedNodes) node(come, gone bool) {
	if d == nil || come == gone {
		return
	}
	change := int64(1)
	if gone {
		change = -1
	}
	d.engine.SetNodes(int(d.count.Add(change)))
}

// dedication returns what a node is dedicated to, false if it is free.
func (d *dedicatedNodes) dedication(node string) (isolation.Dedication, bool) {
	if d == nil {
		return isolation.Dedication{}, false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	whose, dedicated := d.nodes[node]
	return whose, dedicated
}

// homesOf returns nodes with the dedication that the subject asks for, at most so many.
func (d *dedicatedNodes) homesOf(subject *isolation.Subject, most int) []string {
	wanted, ok := subject.Dedication()
	if d == nil || !ok {
		return nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return someKeys(d.homes[wanted], most)
}

// confine returns the subject as its tenant may open nodes now.
func (d *dedicatedNodes) confine(subject isolation.Subject) isolation.Subject {
	if d == nil || d.engine.MayOpen(&subject) {
		return subject
	}
	return subject.Confined()
}

// confineToWait is confine for a pod that may have to wait for the tenant's limit. What it
// waits for is noted before the limit is asked for the last time, so that no change of it
// is missed.
func (d *dedicatedNodes) confineToWait(subject isolation.Subject) isolation.Subject {
	if d == nil || d.engine.MayOpen(&subject) {
		return subject
	}
	d.waitForLimit(subject)
	return d.confine(subject)
}

func (d *dedicatedNodes) waitForLimit(subject isolation.Subject) {
	domain, _ := subject.TrustDomain()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limited[domain.Tenant] = subject
}

// limits reports whether some tenant waits for its limit.
func (d *dedicatedNodes) limits() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.limited) > 0
}

// unlimited returns the tenants that waited for their limit and may open nodes again.
func (d *dedicatedNodes) unlimited() map[string]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	tenants := map[string]bool{}
	for tenant, subject := range d.limited {
		if d.engine.MayOpen(&subject) {
			tenants[tenant] = true
			delete(d.limited, tenant)
		}
	}
	return tenants
}

// reserve keeps a node for a pod. Like confineToWait it asks again when it has noted what
// the pod waits for.
func (d *dedicatedNodes) reserve(uid types.UID, node string, subject *isolation.Subject) error {
	if d == nil {
		return nil
	}
	if err := d.engine.Reserve(uid, node, subject); err == nil {
		return nil
	}
	d.waitForLimit(*subject)
	d.mu.Lock()
	d.refused[node] = true
	d.mu.Unlock()
	err := d.engine.Reserve(uid, node, subject)
	if err != nil {
		d.engine.Refused(err)
	}
	return err
}

// release ends what reserve began.
func (d *dedicatedNodes) release(uid types.UID, node string, outcome dedication.Outcome) {
	if d != nil {
		d.engine.Release(uid, node, outcome)
	}
}

// dedicationChange is the dedication of a node before and after a change of it.
type dedicationChange struct {
	before, after                   isolation.Dedication
	wasDedicated, dedicated, denied bool
}

// mayHelp reports whether a pod may join the node after the change that could not before.
func (c dedicationChange) mayHelp() bool {
	return c.denied || c.wasDedicated && (!c.dedicated || c.before != c.after)
}

// update asks the engine what a node is dedicated to now.
func (d *dedicatedNodes) update(node string) dedicationChange {
	d.mu.Lock()
	defer d.mu.Unlock()
	var c dedicationChange
	c.before, c.wasDedicated = d.nodes[node]
	c.denied = d.refused[node]
	delete(d.refused, node)
	c.after, c.dedicated = d.engine.Dedication(node)
	if c.wasDedicated {
		delete(d.nodes, node)
		decrement(d.homes[c.before], node)
		if len(d.homes[c.before]) == 0 {
			delete(d.homes, c.before)
		}
	}
	if c.dedicated {
		d.nodes[node] = c.after
		if d.homes[c.after] == nil {
			d.homes[c.after] = map[string]int{}
		}
		d.homes[c.after][node]++
	}
	return c
}

func someKeys(counts map[string]int, most int) []string {
	keys := make([]string, 0, min(len(counts), most))
	for key := range counts {
		if len(keys) == most {
			break
		}
		keys = append(keys, key)
	}
	return keys
}

func decrement(counts map[string]int, key string) {
	if counts[key] <= 1 {
		delete(counts, key)
		return
	}
	counts[key]--
}
