package dedication

import (
	"context"
	"errors"
	"time"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// whenCrowded is when to try a repair again that was one too many.
const whenCrowded = time.Second

// openedBy returns the tenant for which a dedicated node counts, empty if for nobody.
func openedBy(node *v1.Node, dedication isolation.Dedication) string {
	if tenant := node.Annotations[OpenedByAnnotation]; tenant != "" {
		return tenant
	}
	tenant, _ := dedication.Tenant()
	return tenant
}

// reconcile looks at one node: whether the cluster is as the book has it, and whether the
// node is to be released. It returns when to look again, zero if an event will tell.
func (e *Engine) reconcile(ctx context.Context, name string) time.Duration {
	e.mu.Lock()
	rec := e.book[name]
	if rec == nil {
		e.mu.Unlock()
		return e.adopt(ctx, name)
	}
	if rec.work != nil || rec.phase == planned {
		// Its end comes back here.
		e.mu.Unlock()
		return 0
	}
	if rec.phase == closing {
		rec.work = newWork()
		e.mu.Unlock()
		e.close(ctx, name, rec)
		return 0
	}
	marks := marksOf(rec.dedication, rec.openedBy, e.cfg.TaintEffect)
	known := rec.dedication.Known()
	e.mu.Unlock()
	if wait := e.mend(ctx, name, rec, marks, known); wait > 0 {
		return wait
	}
	return e.idle(ctx, name, rec)
}

// adopt dedicates a free node on which managed pods are, if one dedication suits them all, and
// removes taints that nobody's entry stands for.
func (e *Engine) adopt(ctx context.Context, name string) time.Duration {
	node, exists := e.cluster.Node(name)
	if !exists {
		return 0
	}
	_, marked := e.cluster.DedicationOf(node)
	occupancy := e.cluster.Occupancy(name)
	dedication, fits := occupancy.Dedication()
	// Where the rule is broken the audit says so, and taints only keep others away.
	if !fits && (occupancy.Protected() || !marked) {
		return 0
	}
	if !e.repairs.TryAccept() {
		return whenCrowded
	}
	if fits {
		e.take(ctx, name, &record{phase: planned, dedication: dedication, openedBy: soleTenant(&occupancy)})
		return 0
	}
	// The informer may still show what was just removed.
	node, err := e.current(ctx, name)
	if errors.Is(err, errNodeGone) || ctx.Err() != nil {
		return 0
	}
	if err != nil {
		e.logger.Error(err, "A node with taints of a dedication could not be looked at, trying again", "node", name)
		return e.backoff.When(name)
	}
	switch dedication, marked := e.cluster.DedicationOf(node); {
	case !marked:
	case e.cfg.NodeReuse == ReuseAfterReboot && dedication.Known():
		// A table that was lost must not free a kernel that hosted a tenant.
		e.take(ctx, name, &record{phase: planned, dedication: dedication, openedBy: openedBy(node, dedication)})
	default:
		e.take(ctx, name, &record{phase: closing})
	}
	return 0
}

// take adds a record of which the cluster's state was the reason, if the book has none
// by now, and does what its phase asks for.
func (e *Engine) take(ctx context.Context, name string, rec *record) {
	e.mu.Lock()
	if e.book[name] != nil {
		e.mu.Unlock()
		return
	}
	e.addRecord(name, rec)
	if rec.phase == planned {
		e.begin(name, rec)
		e.mu.Unlock()
		e.report(name)
		return
	}
	rec.work = newWork()
	e.mu.Unlock()
	e.report(name)
	e.close(ctx, name, rec)
}

// soleTenant returns the tenant of everybody who is on a node, empty if there are several.
func soleTenant(o *isolation.Occupancy) string {
	tenant := ""
	for _, group := range o.Groups() {
		if tenant != "" && tenant != group.Domain.Tenant {
			return ""
		}
		tenant = group.Domain.Tenant
	}
	return tenant
}

// mend restores the marks of a dedicated Node. It returns when to try again, zero if
// there is nothing to mend, or it is mended.
func (e *Engine) mend(ctx context.Context, name string, rec *record, marks nodeMarks, known bool) time.Duration {
	node, exists := e.cluster.Node(name)
	if !exists || (known && marks.onNode(node)) {
		return 0
	}
	if !e.repairs.TryAccept() {
		return whenCrowded
	}
	e.mu.Lock()
	if e.book[name] != rec || rec.work != nil || rec.phase == planned || rec.phase == closing {
		e.mu.Unlock()
		return 0
	}
	w := newWork()
	rec.work = w
	from := rec.phase
	e.mu.Unlock()

	changed, err := e.restoreMarks(ctx, name, rec, from)

	e.mu.Lock()
	rec.work = nil
	e.mu.Unlock()
	close(w.done)
	if changed {
		e.report(name)
	}
	if err == nil || errors.Is(err, errNodeGone) || ctx.Err() != nil {
		e.backoff.Forget(name)
		return 0
	}
	e.logger.Error(err, "The taints of a dedicated node could not be mended, trying again", "node", name)
	return e.backoff.When(name)
}

// restoreMarks asks the API server how a Node looks and mends it. Of what was inherited it finds
// out what it is dedicated to, and reports whether that is news.
func (e *Engine) restoreMarks(ctx context.Context, name string, rec *record, from phase) (changed bool, err error) {
	node, err := e.current(ctx, name)
	if err != nil {
		return false, err
	}
	if from == inherited {
		if changed, err = e.identify(ctx, node, rec); err != nil || !rec.dedication.Known() {
			return changed, err
		}
	}
	marks := marksOf(rec.dedication, rec.openedBy, e.cfg.TaintEffect)
	if marks.onNode(node) {
		return changed, nil
	}
	e.logger.Info("Mending the taints of a dedicated node", "node", name, "dedication", rec.dedication)
	return changed, e.applyMarks(ctx, node, marks)
}

// identify finds out what an inherited node is dedicated to: what its taints say, else whom
// the pods there are of. It reports whether that is news.
func (e *Engine) identify(ctx context.Context, node *v1.Node, rec *record) (bool, error) {
	dedication, marked := e.cluster.DedicationOf(node)
	tenant := openedBy(node, dedication)
	if !marked || !dedication.Known() {
		found, err := e.list(ctx, node.Name)
		if err != nil {
			return false, err
		}
		if dedication, marked = found.occupancy.Dedication(); marked {
			tenant = soleTenant(&found.occupancy)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if rec.dedication == dedication && rec.openedBy == tenant {
		return false, nil
	}
	e.attribute(node.Name, rec, dedication, tenant)
	return true, nil
}

// verify looks at a node that this process inherited: what it is dedicated to, and whether
// all who are there may be.
func (e *Engine) verify(ctx context.Context, name string, rec *record, w *work) error {
	if rec.entry.boot != "" {
		// It is used again, so it has not been left.
		if err := e.note(ctx, name, rec, ""); err != nil {
			return err
		}
	}
	changed, err := e.restoreMarks(ctx, name, rec, inherited)
	if changed {
		e.report(name)
	}
	if err != nil {
		return err
	}
	if !rec.dedication.Known() {
		return ErrDedicated
	}
	return e.check(ctx, name, rec, w)
}
