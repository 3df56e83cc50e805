package dedication

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// phase is how far a node's dedication has come.
type phase uint8

const (
	// planned: reserved in memory; nothing is written, or it is being written.
	planned phase = iota + 1
	// inherited: an entry of before this process's term, or one with which pods came
	// together that this process did not bring. Nobody has looked at the node yet.
	inherited
	// doubtful: a bind with the present token may still take effect.
	doubtful
	// held: true in the cluster; a pod that fits may be bound.
	held
	// vacated: empty, and its entry says in which boot it was left. It is held again by
	// whoever takes that note away.
	vacated
	// closing: the dedication is being taken away. Nobody may reserve the node.
	closing
)

// state returns the phase as the metric has it.
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
	// openedBy is the tenant that the node counts for, empty if it counts for nobody.
	openedBy string
	// entry is the node's entry in the table as it was last written, the zero entry if
	// there is none.
	entry entry
	// leases are the pods that have reserved the node and whose bind has not ended.
	leases map[types.UID]struct{}
	// uses counts the reservations ever made. A pod may have come while a LIST was on its
	// way, have been bound and be no lease any more, and yet not be in that LIST.
	uses uint64
	// emptySince is since when nobody is there, zero while somebody is.
	emptySince time.Time
	// work is what is being done for the node in the cluster, nil if nothing is. Only
	// whoever set it changes phase, dedication and entry.
	work *work
}

// work is one attempt to make a node ready for binds. Others wait for its end.
type work struct {
	// done is closed at the end; err and listed are set before.
	done chan struct{}
	err  error
	// listed is who the LIST found on the node.
	listed isolation.Occupancy
}

func newWork() *work { return &work{done: make(chan struct{})} }

// The following change the book and are called with the lock held.

// addRecord puts a new record into the book.
func (e *Engine) addRecord(node string, rec *record) {
	if rec.leases == nil {
		rec.leases = map[types.UID]struct{}{}
	}
	e.noteChange(node)
	e.book[node] = rec
	e.countHome(node, rec.dedication, 1)
	e.metrics.nodes.WithLabelValues(rec.phase.state()).Inc()
	e.opened[rec.openedBy]++
}

// deleteRecord takes a record out of the book.
func (e *Engine) deleteRecord(node string, rec *record) {
	e.noteChange(node)
	e.countHome(node, rec.dedication, -1)
	delete(e.book, node)
	e.metrics.nodes.WithLabelValues(rec.phase.state()).Dec()
	e.uncount(rec.openedBy)
}

// advance puts a record into another phase.
func (e *Engine) advance(rec *record, to phase) {
	e.metrics.nodes.WithLabelValues(rec.phase.state()).Dec()
	e.metrics.nodes.WithLabelValues(to.state()).Inc()
	rec.phase = to
}

// attribute gives a record another dedication.
func (e *Engine) attribute(node string, rec *record, dedication isolation.Dedication, openedBy string) {
	e.noteChange(node)
	e.countHome(node, rec.dedication, -1)
	e.countHome(node, dedication, 1)
	e.uncount(rec.openedBy)
	e.opened[openedBy]++
	rec.dedication, rec.openedBy = dedication, openedBy
}

func (e *Engine) uncount(tenant string) {
	if e.opened[tenant]--; e.opened[tenant] == 0 {
		delete(e.opened, tenant)
	}
}

func (e *Engine) countHome(node string, dedication isolation.Dedication, by int) {
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

// dedicated returns what the book says of a node.
func (e *Engine) dedicated(node string) cluster.Dedicated {
	if rec := e.book[node]; rec != nil {
		return cluster.Dedicated{Dedication: rec.dedication, Dedicated: true}
	}
	return cluster.Dedicated{}
}

// deniesAll is the dedication of a node that denied somebody, whatever the book said.
var deniesAll = cluster.Dedicated{Dedicated: true}

// noteChange keeps what the book says of a node, which is about to change, until report.
func (e *Engine) noteChange(node string) {
	now := e.dedicated(node)
	before, noted := e.unreported[node]
	switch {
	case !noted:
		e.unreported[node] = now
	case before != now:
		// Pods may have been judged by what was never reported.
		e.unreported[node] = deniesAll
	}
}

// report reports what has changed of a node since it was last reported. It is called
// without the lock, by whoever has changed the book.
func (e *Engine) report(node string) {
	e.mu.Lock()
	before, changed := e.unreported[node]
	delete(e.unreported, node)
	after := e.dedicated(node)
	if changed && e.denied[node] {
		before = deniesAll
		delete(e.denied, node)
	}
	e.mu.Unlock()
	if changed && before != after {
		e.cluster.DedicationChanged(node, before, after)
	}
}
