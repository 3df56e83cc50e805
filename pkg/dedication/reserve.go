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

// Reserve keeps a node for a pod until Release: dedicated for the pod if it is free, and
// not released meanwhile. It runs in the scheduling cycle, works in memory only and may be
// repeated; who is turned away for good is for the caller to say to Refused. Of pods that no
// dedication concerns, the platform's, it takes no notice.
func (e *Engine) Reserve(uid types.UID, node string, subject *isolation.Subject) error {
	dedication, ok := subject.Dedication()
	if !ok {
		return nil
	}
	if !e.Ready() {
		return ErrNotReady
	}
	domain, _ := subject.TrustDomain()
	planned, err := e.reserve(uid, node, subject, dedication, domain.Tenant)
	if err != nil {
		return err
	}
	if planned {
		e.cluster.DedicationChanged(node)
	}
	return nil
}

func (e *Engine) reserve(uid types.UID, node string, subject *isolation.Subject, dedication isolation.Dedication, tenant string) (isNew bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := e.book[node]
	switch {
	case rec == nil && e.opened[tenant] >= e.limit():
		return false, ErrTooManyNodes
	case rec == nil:
		rec = &record{phase: planned, dedication: dedication, openedBy: tenant}
		e.addRecord(node, rec)
		isNew = true
	case rec.phase == closing || !rec.dedication.Admits(subject):
		return false, ErrDedicated
	}
	rec.leases[uid] = struct{}{}
	rec.uses++
	return isNew, nil
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
	if gone := e.release(uid, node, outcome); gone {
		e.cluster.DedicationChanged(node)
	}
	e.Touch(node)
}

func (e *Engine) release(uid types.UID, node string, outcome Outcome) (gone bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := e.book[node]
	if rec == nil {
		return false
	}
	if _, leased := rec.leases[uid]; !leased {
		return false
	}
	delete(rec.leases, uid)
	if outcome == OutcomeUnknown && rec.phase == held {
		// Its token is good for as long as the id is: whoever comes next gets another.
		e.advance(rec, doubtful)
	}
	if rec.phase == planned && rec.work == nil && len(rec.leases) == 0 {
		e.deleteRecord(node, rec)
		return true
	}
	return false
}

// MayOpen reports whether the subject's tenant may open one more node.
func (e *Engine) MayOpen(subject *isolation.Subject) bool {
	domain, ok := subject.TrustDomain()
	if !ok {
		return true
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.opened[domain.Tenant] < e.limit()
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
	nodes, err := intstr.GetScaledValueFromIntOrPercent(&maximum, int(e.nodes.Load()), true)
	if err != nil {
		// The arguments are validated; if they are not, nobody opens anything.
		return 0
	}
	return max(nodes, 1)
}

// Refused counts an error of Reserve by which a pod was turned away.
func (e *Engine) Refused(err error) { e.metrics.refused.WithLabelValues(refusal(err)).Inc() }

// refuse counts an error that a pod gets.
func (e *Engine) refuse(err error) error {
	e.Refused(err)
	return err
}
