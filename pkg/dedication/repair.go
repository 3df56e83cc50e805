package dedication

import (
	"context"
	"errors"
	"time"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// repairRetry is the wait before a repair that exceeded the rate limit is tried again.
const repairRetry = time.Second

// openedBy returns the tenant that has opened a dedicated node, empty if it is not known.
func openedBy(node *v1.Node, dedication isolation.Dedication) string {
	if tenant := node.Annotations[OpenedByAnnotation]; tenant != "" {
		return tenant
	}
	tenant, _ := dedication.Tenant()
	return tenant
}

// reconcile brings a Node in step with its record, and releases it if it is idle. It returns
// after how long to try again, zero if an event will trigger that.
func (e *Engine) reconcile(ctx context.Context, name string) time.Duration {
	if !e.settings().Enabled {
		return e.drain(ctx, name)
	}
	e.recharge(name)
	e.mu.Lock()
	rec := e.records[name]
	if rec == nil {
		e.mu.Unlock()
		return e.reconcileFree(ctx, name)
	}
	if rec.operation != nil || rec.phase == planned {
		// The end of the operation reconciles the node again.
		e.mu.Unlock()
		return 0
	}
	if rec.phase == closing {
		rec.operation = newOperation()
		e.mu.Unlock()
		e.removeDedication(ctx, name, rec)
		return 0
	}
	marks := marksOf(rec.dedication, rec.openedBy, e.settings().TaintEffect, nil)
	known := rec.dedication.Known()
	e.mu.Unlock()
	if wait := e.repairMarks(ctx, name, rec, marks, known); wait > 0 {
		return wait
	}
	return e.releaseIfIdle(ctx, name, rec)
}

// reconcileFree dedicates a node without record on which managed pods run, if one dedication
// admits them all, and removes taints of a dedication that has no entry.
func (e *Engine) reconcileFree(ctx context.Context, name string) time.Duration {
	node, exists := e.cluster.Node(name)
	if !exists {
		return 0
	}
	_, marked := e.cluster.DedicationOf(node)
	occupancy := e.cluster.Occupancy(name)
	dedication, fits := occupancy.Dedication()
	// Where the rule is broken the audit reports it, and the taints keep others away.
	if !fits && (occupancy.Protected() || !marked) {
		return e.labelFree(ctx, node)
	}
	if !e.repairs.TryAccept() {
		return repairRetry
	}
	if fits {
		e.addAndStart(ctx, name, &record{phase: planned, dedication: dedication, openedBy: soleTenant(&occupancy)}, &occupancy)
		return 0
	}
	// The informer may still show what was just removed.
	node, err := e.current(ctx, name)
	if errors.Is(err, errNodeGone) || ctx.Err() != nil {
		return 0
	}
	if err != nil {
		e.logger.Error(err, "A node with taints of a dedication could not be read, trying again", "node", name)
		return e.backoff.When(name)
	}
	switch dedication, marked := e.cluster.DedicationOf(node); {
	case !marked:
	case e.settings().NodeReuse == ReuseAfterReboot && dedication.Known():
		// A table that was lost must not free a kernel that hosted a tenant.
		e.addAndStart(ctx, name, &record{phase: planned, dedication: dedication, openedBy: openedBy(node, dedication), labels: e.labelsOf(node)}, &occupancy)
	default:
		e.addAndStart(ctx, name, &record{phase: closing}, &occupancy)
	}
	return 0
}

// addAndStart adds a record for what was found in the cluster, unless the node has one by now,
// and starts the operation of its phase.
func (e *Engine) addAndStart(ctx context.Context, name string, rec *record, on *isolation.Occupancy) {
	rec.charged = rec.tenants(on, e.cluster.LocalTenants(name))
	e.mu.Lock()
	if e.records[name] != nil {
		e.mu.Unlock()
		return
	}
	e.addRecord(name, rec)
	if rec.phase == planned {
		e.startPrepare(name, rec)
		e.mu.Unlock()
		e.reportChange(name)
		return
	}
	rec.operation = newOperation()
	e.mu.Unlock()
	e.reportChange(name)
	e.removeDedication(ctx, name, rec)
}

// soleTenant returns the only tenant with pods on a node, empty if there are several.
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

// repairMarks restores the marks of a dedicated Node. It returns after how long to try again, zero
// if the marks are right.
func (e *Engine) repairMarks(ctx context.Context, name string, rec *record, marks nodeMarks, known bool) time.Duration {
	node, exists := e.cluster.Node(name)
	if !exists {
		return 0
	}
	if known {
		if marks.labels = e.decideLabels(node, rec, nil); marks.areOn(node) {
			return 0
		}
	}
	if !e.repairs.TryAccept() {
		return repairRetry
	}
	e.mu.Lock()
	if e.records[name] != rec || rec.operation != nil || rec.phase == planned || rec.phase == closing {
		e.mu.Unlock()
		return 0
	}
	op := newOperation()
	rec.operation = op
	from := rec.phase
	e.mu.Unlock()

	changed, err := e.restoreMarks(ctx, name, rec, from)

	e.mu.Lock()
	rec.operation = nil
	if !changed {
		// Pods may have been refused for the labels.
		e.markChanged(name)
	}
	e.mu.Unlock()
	close(op.done)
	e.reportChange(name)
	if err == nil || errors.Is(err, errNodeGone) || ctx.Err() != nil {
		e.backoff.Forget(name)
		return 0
	}
	e.logger.Error(err, "The taints of a dedicated node could not be repaired, trying again", "node", name)
	return e.backoff.When(name)
}

// restoreMarks reads a Node from the API server and restores its marks. For an inherited node it
// first finds the dedication, and reports whether that changed.
func (e *Engine) restoreMarks(ctx context.Context, name string, rec *record, from phase) (changed bool, err error) {
	node, err := e.current(ctx, name)
	if err != nil {
		return false, err
	}
	if from == inherited {
		if changed, err = e.findDedication(ctx, node, rec); err != nil || !rec.dedication.Known() {
			return changed, err
		}
	}
	labels, err := e.listedLabels(ctx, node, rec)
	if err != nil {
		return changed, err
	}
	marks := marksOf(rec.dedication, e.openerOf(rec), e.settings().TaintEffect, labels)
	if marks.areOn(node) {
		return changed, nil
	}
	e.logger.Info("Restoring the taints and labels of a dedicated node", "node", name, "dedication", rec.dedication)
	return changed, e.applyMarks(ctx, node, marks)
}

// openerOf returns the tenant that has opened a record's node: charging it to another one may change that meanwhile.
func (e *Engine) openerOf(rec *record) string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return rec.openedBy
}

// findDedication finds what an inherited node is dedicated to: by its taints, else by the pods on
// it. It reports whether that changed the record.
func (e *Engine) findDedication(ctx context.Context, node *v1.Node, rec *record) (bool, error) {
	dedication, marked := e.cluster.DedicationOf(node)
	tenant := openedBy(node, dedication)
	if !marked || !dedication.Known() {
		found, err := e.listPods(ctx, node.Name)
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
	e.setDedication(node.Name, rec, dedication, tenant)
	return true, nil
}

// verifyInherited makes an inherited node ready for binds: it finds the dedication, restores the
// marks, and checks that the dedication admits all pods on the node.
func (e *Engine) verifyInherited(ctx context.Context, name string, rec *record, op *operation) error {
	if rec.entry.boot != "" {
		// It is used again, so it is no longer vacated.
		if err := e.setBoot(ctx, name, rec, ""); err != nil {
			return err
		}
	}
	changed, err := e.restoreMarks(ctx, name, rec, inherited)
	if changed {
		e.reportChange(name)
	}
	if err != nil {
		return err
	}
	if !rec.dedication.Known() {
		return ErrDedicated
	}
	return e.checkResidents(ctx, name, rec, op)
}
