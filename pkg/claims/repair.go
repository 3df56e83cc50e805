package claims

import (
	"context"
	"errors"
	"time"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// whenCrowded is when to try a repair again that was one too many.
const whenCrowded = time.Second

// openedBy returns the tenant for which a claimed node counts, empty if for nobody.
func openedBy(node *v1.Node, claim isolation.Claim) string {
	if tenant := node.Annotations[OpenedByAnnotation]; tenant != "" {
		return tenant
	}
	tenant, _ := claim.Tenant()
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
	shape := dressOf(rec.claim, rec.openedBy, e.cfg.TaintEffect)
	known := rec.claim.Known()
	e.mu.Unlock()
	if wait := e.mend(ctx, name, rec, shape, known); wait > 0 {
		return wait
	}
	return e.idle(ctx, name, rec)
}

// adopt claims an unclaimed node on which managed pods are, if one claim fits them all, and
// removes taints that nobody's entry stands for.
func (e *Engine) adopt(ctx context.Context, name string) time.Duration {
	node, exists := e.cluster.Node(name)
	if !exists {
		return 0
	}
	_, worn := e.cluster.ClaimOf(node)
	occupancy := e.cluster.Occupancy(name)
	claim, fits := occupancy.Claim()
	// Where the rule is broken the audit says so, and taints only keep others away.
	if !fits && (occupancy.Protected() || !worn) {
		return 0
	}
	if !e.repairs.TryAccept() {
		return whenCrowded
	}
	if fits {
		e.take(ctx, name, &record{phase: planned, claim: claim, openedBy: soleTenant(&occupancy)})
		return 0
	}
	// The informer may still show what was just removed.
	node, err := e.current(ctx, name)
	if errors.Is(err, errNodeGone) || ctx.Err() != nil {
		return 0
	}
	if err != nil {
		e.logger.Error(err, "A node with taints of a claim could not be looked at, trying again", "node", name)
		return e.backoff.When(name)
	}
	switch claim, worn := e.cluster.ClaimOf(node); {
	case !worn:
	case e.cfg.NodeReuse == ReuseAfterReboot && claim.Known():
		// A table that was lost must not free a kernel that hosted a tenant.
		e.take(ctx, name, &record{phase: planned, claim: claim, openedBy: openedBy(node, claim)})
	default:
		e.take(ctx, name, &record{phase: closing})
	}
	return 0
}

// take enters a record of which the cluster's state was the reason, if the book has none
// by now, and does what its phase asks for.
func (e *Engine) take(ctx context.Context, name string, rec *record) {
	e.mu.Lock()
	if e.book[name] != nil {
		e.mu.Unlock()
		return
	}
	e.enter(name, rec)
	if rec.phase == planned {
		e.begin(name, rec)
		e.mu.Unlock()
		e.cluster.ClaimChanged(name)
		return
	}
	rec.work = newWork()
	e.mu.Unlock()
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

// mend makes a claimed Node look like its claim. It returns when to try again, zero if
// there is nothing to mend, or it is mended.
func (e *Engine) mend(ctx context.Context, name string, rec *record, shape dress, known bool) time.Duration {
	node, exists := e.cluster.Node(name)
	if !exists || (known && shape.worn(node)) {
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

	changed, err := e.redress(ctx, name, rec, from)

	e.mu.Lock()
	rec.work = nil
	e.mu.Unlock()
	close(w.done)
	if changed {
		e.cluster.ClaimChanged(name)
	}
	if err == nil || errors.Is(err, errNodeGone) || ctx.Err() != nil {
		e.backoff.Forget(name)
		return 0
	}
	e.logger.Error(err, "The taints of a claimed node could not be mended, trying again", "node", name)
	return e.backoff.When(name)
}

// redress asks the API server how a Node looks and mends it. Of what was inherited it finds
// out what it is claimed for, and reports whether that is news.
func (e *Engine) redress(ctx context.Context, name string, rec *record, from phase) (changed bool, err error) {
	node, err := e.current(ctx, name)
	if err != nil {
		return false, err
	}
	if from == inherited {
		if changed, err = e.identify(ctx, node, rec); err != nil || !rec.claim.Known() {
			return changed, err
		}
	}
	d := dressOf(rec.claim, rec.openedBy, e.cfg.TaintEffect)
	if d.worn(node) {
		return changed, nil
	}
	e.logger.Info("Mending the taints of a claimed node", "node", name, "claim", rec.claim)
	return changed, e.wear(ctx, node, d)
}

// identify finds out what an inherited node is claimed for: what its taints say, else whom
// the pods there are of. It reports whether that is news.
func (e *Engine) identify(ctx context.Context, node *v1.Node, rec *record) (bool, error) {
	claim, worn := e.cluster.ClaimOf(node)
	tenant := openedBy(node, claim)
	if !worn || !claim.Known() {
		found, err := e.list(ctx, node.Name)
		if err != nil {
			return false, err
		}
		if claim, worn = found.occupancy.Claim(); worn {
			tenant = soleTenant(&found.occupancy)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if rec.claim == claim && rec.openedBy == tenant {
		return false, nil
	}
	e.attribute(rec, claim, tenant)
	return true, nil
}

// verify looks at a node that this process inherited: what it is claimed for, and whether
// all who are there may be.
func (e *Engine) verify(ctx context.Context, name string, rec *record, w *work) error {
	if rec.entry.boot != "" {
		// It is used again, so it has not been left.
		if err := e.note(ctx, name, rec, ""); err != nil {
			return err
		}
	}
	changed, err := e.redress(ctx, name, rec, inherited)
	if changed {
		e.cluster.ClaimChanged(name)
	}
	if err != nil {
		return err
	}
	if !rec.claim.Known() {
		return ErrClaimed
	}
	return e.check(ctx, name, rec, w)
}
