package audit

import (
	"context"
	"time"
)

const (
	// sweepAttempts is how often a difference is confirmed before it counts: the informers'
	// stores are ahead of the events that they have sent.
	sweepAttempts   = 5
	sweepRetryAfter = time.Second
)

// sweep checks the whole cluster from scratch, and corrects the findings if a change was missed.
func (a *Auditor) sweep(ctx context.Context) {
	begin := a.clock.Now()
	a.lookForHidden(ctx)
	var suspects map[Key]bool
	for range sweepAttempts {
		suspects = a.differences(a.freshEngine(), suspects)
		if len(suspects) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-a.clock.After(sweepRetryAfter):
		}
	}
	if len(suspects) > 0 {
		a.rebuild(len(suspects))
	}
	end := a.clock.Now()
	a.metrics.observeSweep(end, end.Sub(begin))
}

// freshEngine returns an engine over a fresh store: what it finds depends on the current objects
// alone.
func (a *Auditor) freshEngine() *Engine {
	fresh := New(a.store.Fresh())
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh.SetHidden(a.engine.hidden)
	return fresh
}

// differences returns the findings in which the engines differ. If suspects is not nil, only those
// among them count.
func (a *Auditor) differences(fresh *Engine, suspects map[Key]bool) map[Key]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh.update()
	a.engine.update()
	differing := map[Key]bool{}
	compare := func(these, those *Engine) {
		for key, f := range these.findings {
			if other := those.findings[key]; (other == nil || !f.same(other)) && (suspects == nil || suspects[key]) {
				differing[key] = true
			}
		}
	}
	compare(fresh, a.engine)
	compare(a.engine, fresh)
	return differing
}

// rebuild starts over: every object is read and every pod is judged again.
func (a *Auditor) rebuild(differing int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.metrics.corrections.Inc()
	a.logger.Error(nil, "The audit had missed a change and starts over: this is a fault, report it", "findings", differing)
	a.store.Reread()
	a.engine.markAllChanged()
	a.updateLocked()
	for key := range a.tracked {
		if a.engine.findings[key] == nil {
			a.markEnded(key)
		}
	}
}
