package dedication

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Outcome says what is known about the result of a bind request.
type Outcome uint8

const (
	// OutcomeUnknown says that the request may still take effect. Its answer was lost, or is an error
	// that does not exclude that the pod was bound.
	OutcomeUnknown Outcome = iota
	// OutcomeKnown says that the request has bound the pod, or never will.
	OutcomeKnown
)

// Reserve reserves a node for a pod until Release. A free node is planned to be dedicated to
// the pod's trust domain; a reserved node is not released. Reserve runs in the scheduling cycle
// and works in memory only. For pods that need no dedication, the platform's, it does nothing.
//
// A refusal is recorded under the same lock, so that no later change is missed: see
// Cluster.DedicationChanged and TenantsBelowLimit.
func (e *Engine) Reserve(pod *v1.Pod, node string, subject *isolation.Subject) error {
	dedication, ok := subject.Dedication()
	if !ok || !e.settings().Enabled {
		return nil
	}
	if !e.Ready() {
		return e.countRefusal(ErrNotReady)
	}
	if err := e.reserve(pod, node, subject, dedication); err != nil {
		return e.countRefusal(err)
	}
	e.reportChange(node)
	return nil
}

func (e *Engine) reserve(pod *v1.Pod, node string, subject *isolation.Subject, dedication isolation.Dedication) error {
	domain, _ := subject.TrustDomain()
	object, _ := e.cluster.Node(node)
	labels, _ := e.cluster.Policy().OpenedNodeLabels(subject)
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := e.records[node]
	switch {
	case rec != nil && (rec.phase == closing || !rec.dedication.Admits(subject) || !rec.hasLabelsFor(pod, object)):
		e.refusedNodes[node] = true
		return ErrDedicated
	case (rec == nil || !slices.Contains(rec.charged, domain.Tenant)) && !e.withinLimit(domain.Tenant):
		e.limitedTenants[domain.Tenant] = true
		return ErrTooManyNodes
	case rec == nil:
		rec = &record{phase: planned, dedication: dedication, openedBy: domain.Tenant, labels: labels}
		e.addRecord(node, rec)
	}
	e.setCharged(node, rec, sorted(append(slices.Clone(rec.charged), domain.Tenant)))
	rec.reservations[pod.UID] = reservation{pod: pod, tenant: domain.Tenant, early: rec.phase != held}
	rec.reserveCount++
	return nil
}

// ReadyToBind reports whether the pod has reserved the node when that was ready for binds, and it
// still is: then Ensure has nothing to do, and the node's pods are those by which it was placed.
func (e *Engine) ReadyToBind(uid types.UID, node string) bool {
	if !e.settings().Enabled {
		return true
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	rec := e.records[node]
	if rec == nil || rec.phase != held {
		return false
	}
	reserved, ok := rec.reservations[uid]
	return ok && !reserved.early
}

// Release drops the reservation: the pod will not be bound, or its bind has ended. Only the
// first call for a pod and node counts, so Bind can report an unknown outcome before Unreserve
// is called.
func (e *Engine) Release(uid types.UID, node string, outcome Outcome) {
	e.release(uid, node, outcome)
	e.reportChange(node)
	e.NodeChanged(node)
}

func (e *Engine) release(uid types.UID, node string, outcome Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := e.records[node]
	if rec == nil {
		return
	}
	if _, leased := rec.reservations[uid]; !leased {
		return
	}
	delete(rec.reservations, uid)
	if outcome == OutcomeUnknown && rec.phase == held {
		// Its token is valid as long as the id is: before the next bind the node gets another.
		e.setPhase(rec, doubtful)
	}
	if rec.phase == planned && rec.operation == nil && len(rec.reservations) == 0 {
		e.deleteRecord(node, rec)
	}
}

// Confine returns the subject of a pending pod as to which nodes it may open. It is confined to
// those that are charged to its tenant already (isolation.Subject.Confined) if that has reached
// its limit of nodes; and a container avoids those that can start pods in VMs while there are
// others (isolation.Subject.AvoidingVMNodes). With wait, the tenant is recorded as one that waits: see
// TenantsBelowLimit.
func (e *Engine) Confine(pod *v1.Pod, subject isolation.Subject, wait bool) isolation.Subject {
	domain, ok := subject.TrustDomain()
	if !ok || !e.settings().Enabled {
		return subject
	}
	if e.KeepsVMNodes() && !subject.Isolated() && e.cluster.HasPlainNodeFor(pod) {
		subject = subject.AvoidingVMNodes()
	}
	e.mu.RLock()
	within := e.withinLimit(domain.Tenant)
	e.mu.RUnlock()
	if within {
		return subject
	}
	if wait {
		e.mu.Lock()
		defer e.mu.Unlock()
		// Checked again with the lock held, so that no change is missed.
		if e.withinLimit(domain.Tenant) {
			return subject
		}
		e.limitedTenants[domain.Tenant] = true
	}
	return subject.Confined()
}

// KeepsVMNodes reports whether containers are kept off nodes that can start pods in VMs while
// there are others.
func (e *Engine) KeepsVMNodes() bool {
	return e.settings().Enabled && e.settings().ContainersOnVMNodes != AllowVMNodes
}

// TenantsBelowLimit returns the tenants that waited for another node and may have one now, nil if
// there is none. Each is returned once.
func (e *Engine) TenantsBelowLimit() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	var tenants map[string]bool
	for tenant := range e.limitedTenants {
		if !e.withinLimit(tenant) {
			continue
		}
		if tenants == nil {
			tenants = map[string]bool{}
		}
		tenants[tenant] = true
		delete(e.limitedTenants, tenant)
	}
	return tenants
}

// Homes returns at most that many nodes whose dedication is the one that the subject's pod would
// give to a free node.
func (e *Engine) Homes(subject *isolation.Subject, most int) []string {
	dedication, ok := subject.Dedication()
	if !ok || !e.settings().Enabled {
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

// withinLimit reports whether a tenant may be charged with another node. It is called with the
// lock held.
func (e *Engine) withinLimit(tenant string) bool { return e.nodesCharged[tenant] < e.limit() }

// limit returns how many nodes may be charged to one tenant.
func (e *Engine) limit() int { return Limit(e.settings().MaxNodesPerTenant, e.cluster.NodeCount()) }

// Limit returns how many of the nodes of a cluster may be charged to one tenant.
func Limit(maximum intstr.IntOrString, nodes int) int {
	const none = int(^uint(0) >> 1)
	if maximum.Type == intstr.Int {
		if maximum.IntVal == 0 {
			return none
		}
		return int(maximum.IntVal)
	}
	share, err := intstr.GetScaledValueFromIntOrPercent(&maximum, nodes, true)
	if err != nil {
		// The arguments are validated; if they are not, no tenant opens a node.
		return 0
	}
	return max(share, 1)
}

// countRefusal counts the error that a pod gets, and returns it.
func (e *Engine) countRefusal(err error) error {
	e.metrics.refused.WithLabelValues(refusalReason(err)).Inc()
	return err
}
