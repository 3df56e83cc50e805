package dedication

import (
	"context"
	"errors"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Ensure makes the dedication of a reserved node true in the cluster, or waits for whoever is at
// it, so that the pod may be bound. After an error the pod must not be bound. For pods of
// which Reserve took no notice there is nothing to do.
func (e *Engine) Ensure(ctx context.Context, pod *v1.Pod, node string, subject *isolation.Subject) error {
	if _, ok := subject.Dedication(); !ok {
		return nil
	}
	for {
		w, err := e.join(pod, node, subject)
		if err != nil {
			return e.refuse(err)
		}
		if w == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.life.Done():
			return e.refuse(ErrNotReady)
		case <-w.done:
		}
		if w.err != nil {
			return e.refuse(w.err)
		}
		// Those whom the LIST found may be of another privilege than the pod.
		there := isolation.Node{Occupancy: w.listed.Without(string(pod.UID))}
		// A node without a dedication would deny a pod whose tenant may open no other.
		there.Dedication, there.Dedicated = e.Dedication(node)
		switch verdict := isolation.Decide(subject, &there); {
		case verdict.Reason() == isolation.ForeignDedication:
			return e.refuse(ErrDedicated)
		case !verdict.Allowed():
			return e.refuse(ErrTaken)
		}
	}
}

// join returns what the pod has to wait for, and begins it if nobody has; nil if there is
// nothing to wait for.
func (e *Engine) join(pod *v1.Pod, node string, subject *isolation.Subject) (*work, error) {
	if !e.Ready() {
		return nil, ErrNotReady
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	rec := e.book[node]
	if rec == nil {
		return nil, ErrDedicated
	}
	if _, leased := rec.leases[pod.UID]; !leased || rec.phase == closing || !rec.dedication.Admits(subject) {
		return nil, ErrDedicated
	}
	if rec.phase == held {
		return nil, nil
	}
	if rec.work == nil {
		e.begin(node, rec)
	}
	return rec.work, nil
}

// begin starts what makes a node ready for binds. It is called with the lock held, for a
// record without work.
func (e *Engine) begin(node string, rec *record) {
	rec.work = newWork()
	go e.prepare(e.life, node, rec, rec.work, rec.phase)
}

// prepare makes a node ready for binds, whatever it lacks, and tells those who wait.
func (e *Engine) prepare(ctx context.Context, node string, rec *record, w *work, from phase) {
	began := e.clock.Now()
	var err error
	switch from {
	case planned:
		err = e.open(ctx, node, rec, w)
	case doubtful:
		err = e.renew(ctx, node, rec, w)
	case inherited:
		err = e.verify(ctx, node, rec, w)
	case vacated:
		err = e.note(ctx, node, rec, "")
	case held, closing:
		// Nobody begins with these.
		err = ErrDedicated
	}
	if from == planned {
		e.metrics.opened(openingResult(err), e.clock.Since(began))
	}

	e.mu.Lock()
	rec.work = nil
	undo := from == planned && err != nil
	switch {
	case undo:
		// No pod was bound with this entry: it can go whoever is there.
		e.advance(rec, closing)
		rec.work = newWork()
	case err == nil:
		e.advance(rec, held)
	}
	w.err = public(err)
	dedication := rec.dedication
	e.mu.Unlock()
	close(w.done)

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
		e.close(ctx, node, rec)
	}
	e.queue.AddAfter(node, e.backoff.When(node))
}

// open dedicates a free node: entry, taints, settle time, LIST. Until it has ended no token
// is given out.
func (e *Engine) open(ctx context.Context, node string, rec *record, w *work) error {
	before, err := e.node(node)
	if err != nil {
		return err
	}
	if err := e.setEntry(ctx, node, rec, entry{id: newID(idLength)}); err != nil {
		return err
	}
	if err := e.applyMarks(ctx, before, marksOf(rec.dedication, rec.openedBy, e.cfg.TaintEffect)); err != nil {
		return err
	}
	return e.settleAndList(ctx, node, rec, w)
}

// renew gives a dedication another id, so that a bind with the old one that is still on its
// way, and that nobody knows the outcome of, has either taken effect or never will.
func (e *Engine) renew(ctx context.Context, node string, rec *record, w *work) error {
	if err := e.setEntry(ctx, node, rec, entry{id: newID(idLength)}); err != nil {
		return err
	}
	return e.settleAndList(ctx, node, rec, w)
}

func (e *Engine) settleAndList(ctx context.Context, node string, rec *record, w *work) error {
	if err := e.sleep(ctx, e.cfg.SettleTime); err != nil {
		return err
	}
	return e.check(ctx, node, rec, w)
}

// check asks who is on the node, whether the dedication is for all of them, and waits until the
// informer has seen them too.
func (e *Engine) check(ctx context.Context, node string, rec *record, w *work) error {
	found, err := e.list(ctx, node)
	if err != nil {
		return err
	}
	w.listed = found.occupancy
	if !rec.dedication.AdmitsAll(&found.occupancy) {
		return ErrTaken
	}
	return e.catchUp(ctx, node, found)
}

// setEntry writes a node's entry. Only the work of the record calls it.
func (e *Engine) setEntry(ctx context.Context, node string, rec *record, to entry) error {
	if err := e.ledger.commit(ctx, change{node: node, entry: &to}); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	rec.entry = to
	return nil
}

// public returns what a tenant may read of an error.
func public(err error) error {
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
