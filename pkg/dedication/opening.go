package dedication

import (
	"context"
	"errors"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Ensure makes a reserved node ready for the pod's bind, or waits for the operation that does:
// the dedication is written and its residents are verified. After an error the pod must not be
// bound. Platform pods need no dedication: Ensure returns nil for them.
func (e *Engine) Ensure(ctx context.Context, pod *v1.Pod, node string, subject *isolation.Subject) error {
	if _, ok := subject.Dedication(); !ok {
		return nil
	}
	for {
		if !e.settings().Enabled {
			return nil
		}
		op, err := e.pendingOperation(pod, node, subject)
		if err != nil {
			return e.countRefusal(err)
		}
		if op == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.running.Done():
			return e.countRefusal(ErrNotReady)
		case <-op.done:
		}
		if !e.settings().Enabled {
			continue
		}
		if op.err != nil {
			return e.countRefusal(op.err)
		}
		// The listed pods may have another privilege than the pod.
		there := isolation.Node{Occupancy: op.residents.Without(string(pod.UID))}
		// A node that is not charged to the pod's tenant would deny a pod whose tenant may have
		// no other.
		now := e.Dedicated(node)
		there.Dedication, there.Dedicated, there.Charged = now.Dedication, now.Dedicated, now.Charged
		switch verdict := isolation.Decide(subject, &there); {
		case verdict.Reason() == isolation.ForeignDedication:
			return e.countRefusal(ErrDedicated)
		case !verdict.Allowed():
			return e.countRefusal(ErrTaken)
		}
	}
}

// pendingOperation returns the operation that the pod has to wait for, and starts it if none is
// running; nil if the node is ready.
func (e *Engine) pendingOperation(pod *v1.Pod, node string, subject *isolation.Subject) (*operation, error) {
	if !e.Ready() {
		return nil, ErrNotReady
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := e.records[node]
	if rec == nil {
		return nil, ErrDedicated
	}
	if _, leased := rec.reservations[pod.UID]; !leased || rec.phase == closing || !rec.dedication.Admits(subject) {
		return nil, ErrDedicated
	}
	if rec.phase == held {
		return nil, nil
	}
	if rec.operation == nil {
		e.startPrepare(node, rec)
	}
	return rec.operation, nil
}

// startPrepare starts the operation that makes a node ready for binds. It is called with the
// lock held, for a record without operation.
func (e *Engine) startPrepare(node string, rec *record) {
	rec.operation = newOperation()
	go e.prepare(e.running, node, rec, rec.operation, rec.phase)
}

// prepare makes a node ready for binds, whatever its phase, and then releases the pods that wait.
func (e *Engine) prepare(ctx context.Context, node string, rec *record, op *operation, from phase) {
	began := e.clock.Now()
	var err error
	switch from {
	case planned:
		err = e.open(ctx, node, rec, op)
	case doubtful:
		err = e.renewID(ctx, node, rec, op)
	case inherited:
		err = e.verifyInherited(ctx, node, rec, op)
	case vacated:
		err = e.setBoot(ctx, node, rec, "")
	case held, closing:
		// No operation starts in these phases.
		err = ErrDedicated
	}
	if from == planned {
		e.metrics.observeOpening(openingResult(err), e.clock.Since(began))
	}

	e.mu.Lock()
	rec.operation = nil
	undo := from == planned && err != nil
	switch {
	case undo:
		// No pod was bound with this entry: it can go, whichever pods are on the node.
		e.setClosing(node, rec)
		rec.operation = newOperation()
	case err == nil:
		e.setPhase(rec, held)
	}
	op.err = publicError(err)
	dedication := rec.dedication
	e.mu.Unlock()
	close(op.done)
	e.reportChange(node)

	if err == nil {
		e.logger.V(2).Info("Node is dedicated", "node", node, "dedication", dedication)
		e.backoff.Forget(node)
		e.queue.Add(node)
		return
	}
	if ctx.Err() != nil {
		return
	}
	e.logger.Error(err, "Node could not be dedicated", "node", node)
	if undo {
		e.removeDedication(ctx, node, rec)
	}
	e.queue.AddAfter(node, e.backoff.When(node))
}

// open dedicates a free node: entry, taints, settle time, LIST. Token returns none until that
// has succeeded.
func (e *Engine) open(ctx context.Context, node string, rec *record, op *operation) error {
	before, err := e.node(node)
	if err != nil {
		return err
	}
	if err := e.setEntry(ctx, node, rec, entry{id: newID(idLength)}); err != nil {
		return err
	}
	marks := marksOf(rec.dedication, e.openerOf(rec), e.settings().TaintEffect, e.decideLabels(before, rec, nil))
	if err := e.applyMarks(ctx, before, marks); err != nil {
		return err
	}
	return e.settleAndList(ctx, node, rec, op)
}

// renewID gives a dedication another id. After that, a bind with the old id whose outcome is
// unknown has either taken effect or is refused.
func (e *Engine) renewID(ctx context.Context, node string, rec *record, op *operation) error {
	if err := e.setEntry(ctx, node, rec, entry{id: newID(idLength)}); err != nil {
		return err
	}
	return e.settleAndList(ctx, node, rec, op)
}

func (e *Engine) settleAndList(ctx context.Context, node string, rec *record, op *operation) error {
	if err := e.sleep(ctx, e.settings().SettleTime); err != nil {
		return err
	}
	return e.checkResidents(ctx, node, rec, op)
}

// checkResidents lists the pods of the node, checks that the dedication admits all of them, and
// waits until the informer has them too.
func (e *Engine) checkResidents(ctx context.Context, node string, rec *record, op *operation) error {
	found, err := e.listPods(ctx, node)
	if err != nil {
		return err
	}
	op.residents = found.occupancy
	// Pods that come later are judged by the informer, which has no hidden ones.
	if found.hidden || !rec.dedication.AdmitsAll(&found.occupancy) {
		return ErrTaken
	}
	return e.awaitInformer(ctx, node, found)
}

// setEntry writes a node's entry. Only the record's operation calls it.
func (e *Engine) setEntry(ctx context.Context, node string, rec *record, to entry) error {
	if err := e.table.commit(ctx, change{node: node, entry: &to}); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	rec.entry = to
	return nil
}

// publicError returns the error that a tenant may read instead of err.
func publicError(err error) error {
	for _, known := range []error{ErrNotReady, ErrDedicated, ErrTooManyNodes, ErrTaken} {
		if errors.Is(err, known) {
			return known
		}
	}
	if err != nil {
		return ErrFailed
	}
	return nil
}
