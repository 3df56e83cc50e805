package dedication

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Outcome says what is known about a bind that has ended.
type Outcome uint8

const (
	// OutcomeUnknown says that the request may still take effect; its answer was lost, or is an
	// error that does not say that the pod was not bound.
	OutcomeUnknown Outcome = iota
	// OutcomeKnown says that the pod was bound, or never will be by that request.
	OutcomeKnown
)

// Reserve keeps a node for a pod until Release: dedicated to the pod if it is free, and
// not released meanwhile. It runs in the scheduling cycle and works in memory only. Pods that
// no dedication concerns, the platform's, are none of its business.
//
// Whoever is refused is noted together with the refusal, so that no change after it is
// missed: see DedicationChanged and Unlimited.
func (e *Engine) Reserve(uid types.UID, node string, subject *isolation.Subject) error {
	dedication, ok := subject.Dedication()
	if !ok {
		return nil
	}
	if !e.Ready() {
		return e.refuse(ErrNotReady)
	}
	if err := e.reserve(uid, node, subject, dedication); err != nil {
		return e.refuse(err)
	}
	e.report(node)
	return nil
}

func (e *Engine) reserve(uid types.UID, node string, subject *isolation.Subject, dedication isolation.Dedication) error {
	domain, _ := subject.TrustDomain()
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := e.book[node]
	switch {
	case rec == nil && e.opened[domain.Tenant] >= e.limit():
		e.limited[domain.Tenant] = true
		return ErrTooManyNodes
	case rec == nil:
		rec = &record{phase: planned, dedication: dedication, openedBy: domain.Tenant}
		e.addRecord(node, rec)
	case rec.phase == closing || !rec.dedication.Admits(subject):
		e.denied[node] = true
		return ErrDedicated
	}
	rec.leases[uid] = struct{}{}
	rec.uses++
	return nil
}

// Held reports whether the pod has reserved the node and nothing is left to do before its
// bind.
func (e *Engine) Held(uid types.UID, node string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	rec := e.book[node]
	if rec == nil || rec.phase != held {
		return false
	}
	_, leased := rec.leases[uid]
	return leased
}

// Release ends what Reserve began: the pod will not be bound, or its bind has ended. Only
// the first call for a pod and node counts, so Bind can tell of an unknown outcome before
// Unreserve is called.
func (e *Engine) Release(uid types.UID, node string, outcome Outcome) {
	e.release(uid, node, outcome)
	e.report(node)
	e.Touch(node)
}

func (e *Engine) release(uid types.UID, node string, outcome Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := e.book[node]
	if rec == nil {
		return
	}
	if _, leased := rec.leases[uid]; !leased {
		return
	}
	delete(rec.leases, uid)
	if outcome == OutcomeUnknown && rec.phase == held {
		// Its token is good for as long as the id is: whoever comes next gets another.
		e.advance(rec, doubtful)
	}
	if rec.phase == planned && rec.work == nil && len(rec.leases) == 0 {
		e.deleteRecord(node, rec)
	}
}

// Confine returns the subject as its tenant may open nodes now: confined while it has as
// many as it may. If the pod is to wait for another node, the tenant is noted: see Unlimited.
func (e *Engine) Confine(subject isolation.Subject, wait bool) isolation.Subject {
	domain, ok := subject.TrustDomain()
	if !ok {
		return subject
	}
	e.mu.RLock()
	within := e.opened[domain.Tenant] < e.limit()
	e.mu.RUnlock()
	if within {
		return subject
	}
	if wait {
		e.mu.Lock()
		defer e.mu.Unlock()
		// Asked again, so that no change since is missed.
		if e.opened[domain.Tenant] < e.limit() {
			return subject
		}
		e.limited[domain.Tenant] = true
	}
	return subject.Confined()
}

// Unlimited returns the tenants that waited for another node and may open one now, nil if
// there is none.
func (e *Engine) Unlimited() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	var tenants map[string]bool
	for tenant := range e.limited {
		if e.opened[tenant] >= e.limit() {
			continue
		}
		if tenants == nil {
			tenants = map[string]bool{}
		}
		tenants[tenant] = true
		delete(e.limited, tenant)
	}
	return tenants
}

// Homes returns nodes with the dedication that the subject would bring, at most so many.
func (e *Engine) Homes(subject *isolation.Subject, most int) []string {
	dedication, ok := subject.Dedication()
	if !ok {
		return nil
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	homes := e.homes[dedication]
	names := make([]string, 0, min(len(homes), most))
	for name := range homes {
		if len(names) == most {
			break
		}
		names = append(names, name)
	}
	return names
}

// limit returns how many nodes one tenant may open.
func (e *Engine) limit() int {
	const none = int(^uint(0) >> 1)
	maximum := e.cfg.MaxNodesPerTenant
	if maximum.Type == intstr.Int {
		if maximum.IntVal == 0 {
			return none
		}
		return int(maximum.IntVal)
	}
	nodes, err := intstr.GetScaledValueFromIntOrPercent(&maximum, e.cluster.NodeCount(), true)
	if err != nil {
		// The arguments are validated; if they are not, nobody opens anything.
		return 0
	}
	return max(nodes, 1)
}

// refuse counts an error that a pod gets.
func (e *Engine) refuse(err error) error {
	e.metrics.refused.WithLabelValues(refusal(err)).Inc()
	return err
}
