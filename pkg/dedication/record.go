package dedication

import (
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// phase is the phase of a node's dedication.
type phase uint8

const (
	// planned: reserved in memory; the entry and the taints are not written yet.
	planned phase = iota + 1
	// inherited: the entry is older than this process's term, or pods came that this process
	// did not place. The node has to be verified before the next bind.
	inherited
	// doubtful: a bind of unknown outcome, with the current token, may still take effect.
	doubtful
	// held: the dedication is in the cluster and verified; a pod that it admits may be bound.
	held
	// vacated: empty, and its entry records the boot in which its last pod ended. Removing
	// that boot from the entry makes it held again.
	vacated
	// closing: the dedication is being removed. No pod may reserve the node.
	closing
)

// state returns the value of the metric's label "state".
func (p phase) state() string {
	switch p {
	case planned:
		return "opening"
	case inherited:
		return "inherited"
	case held, doubtful:
		return "held"
	case vacated:
		return "vacated"
	case closing:
		return "releasing"
	}
	return "unknown"
}

// record is what the engine knows of a dedicated node. The engine's lock guards it.
type record struct {
	phase      phase
	dedication isolation.Dedication
	// charged are the tenants towards whose limit the node counts, in order: see recharge.
	charged []string
	// openedBy is the tenant that OpenedByAnnotation names, empty if there is none.
	openedBy string
	// labels are those of the opener, and then those that the node was last to have, as far as they are a
	// trust domain's or that of VMs.
	labels isolation.NodeLabels
	// toHave are the labels that the node is to have, nil before that was decided.
	toHave map[string]string
	// entry is the node's entry in the table as last written, the zero entry if there is none.
	entry entry
	// reservations are the pods that have reserved the node and not released it yet.
	reservations map[types.UID]reservation
	// reserveCount counts the reservations ever made. A pod may reserve the node, be bound and
	// release its reservation during a LIST, and yet be missing from that LIST.
	reserveCount uint64
	// emptySince is when the node became empty, zero while it is in use.
	emptySince time.Time
	// operation is the operation that runs for the node, nil if none does. Only the goroutine
	// that set it changes phase, dedication and entry.
	operation *operation
}

// reservation is one pod's.
type reservation struct {
	pod    *v1.Pod
	tenant string
	// early: the node was not ready for binds yet, so the pod was placed without regard to
	// pods that the LIST may find.
	early bool
}

// operation is a change of one node's dedication in the cluster. Pods wait for its end.
type operation struct {
	// done is closed at the end, after err and residents have been set.
	done chan struct{}
	err  error
	// residents is the occupancy of the node that the LIST found.
	residents isolation.Occupancy
}

func newOperation() *operation { return &operation{done: make(chan struct{})} }

// The following functions change the records and are called with the lock held.

// addRecord adds the record of a node that has none.
func (e *Engine) addRecord(node string, rec *record) {
	if rec.reservations == nil {
		rec.reservations = map[types.UID]reservation{}
	}
	e.markChanged(node)
	e.records[node] = rec
	e.updateHomes(node, rec.dedication, 1)
	e.metrics.nodes.WithLabelValues(rec.phase.state()).Inc()
	e.count(rec.charged, 1)
}

// deleteRecord removes the record of a node, which is free then.
func (e *Engine) deleteRecord(node string, rec *record) {
	e.markChanged(node)
	e.updateHomes(node, rec.dedication, -1)
	delete(e.records, node)
	e.metrics.nodes.WithLabelValues(rec.phase.state()).Dec()
	e.count(rec.charged, -1)
}

// setPhase changes a record's phase.
func (e *Engine) setPhase(rec *record, to phase) {
	e.metrics.nodes.WithLabelValues(rec.phase.state()).Dec()
	e.metrics.nodes.WithLabelValues(to.state()).Inc()
	rec.phase = to
}

// setClosing says that a node's dedication is being removed: from here on it admits no pod.
func (e *Engine) setClosing(node string, rec *record) {
	e.markChanged(node)
	e.setPhase(rec, closing)
}

// setDedication changes a record's dedication and the tenant that has opened the node.
func (e *Engine) setDedication(node string, rec *record, dedication isolation.Dedication, openedBy string) {
	e.markChanged(node)
	e.updateHomes(node, rec.dedication, -1)
	e.updateHomes(node, dedication, 1)
	rec.dedication, rec.openedBy = dedication, openedBy
}

func (e *Engine) updateHomes(node string, dedication isolation.Dedication, by int) {
	if by < 0 {
		delete(e.homes[dedication], node)
		if len(e.homes[dedication]) == 0 {
			delete(e.homes, dedication)
		}
		return
	}
	if e.homes[dedication] == nil {
		e.homes[dedication] = map[string]struct{}{}
	}
	e.homes[dedication][node] = struct{}{}
}

// admitsNoPod stands for the old dedication of a node that has denied a pod for another reason
// than its dedication.
var admitsNoPod = cluster.Dedicated{Dedicated: true}

// markChanged is called before the record of a node changes: it keeps the old dedication for
// reportChange.
func (e *Engine) markChanged(node string) {
	now := e.dedicated(node)
	before, noted := e.lastReported[node]
	switch {
	case !noted:
		e.lastReported[node] = now
	case !before.Equal(now):
		// Pods may have been judged by a dedication that was never reported.
		e.lastReported[node] = admitsNoPod
	}
}

// reportChange reports how a node's dedication has changed since the last report. It is called
// without the lock, after a change of the records.
func (e *Engine) reportChange(node string) {
	e.mu.Lock()
	before, changed := e.lastReported[node]
	delete(e.lastReported, node)
	after := e.dedicated(node)
	// That a node admits no pod any more is no news for those that it has refused, but it is for the others.
	if changed && e.refusedNodes[node] && !after.Equal(admitsNoPod) {
		before = admitsNoPod
		delete(e.refusedNodes, node)
	}
	e.mu.Unlock()
	if changed && !before.Equal(after) {
		e.cluster.DedicationChanged(node, before, after)
	}
}
