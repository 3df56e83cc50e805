package audit

import (
	"context"
	"time"
)

const (
	// looksAgain is how often a difference is looked at before it counts: the informers'
	// stores are ahead of what they have told.
	looksAgain      = 5
	looksAgainAfter = time.Second
)

// sweep looks at the whole cluster anew, and puts right what following it has missed.
func (a *Auditor) sweep(ctx context.Context) {
	begin := a.clock.Now()
	var suspects map[Key]bool
	for range looksAgain {
		suspects = a.differences(a.fresh(), suspects)
		if len(suspects) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-a.clock.After(looksAgainAfter):
		}
	}
	if len(suspects) > 0 {
		a.correct(len(suspects))
	}
	end := a.clock.Now()
	a.metrics.swept(end, end.Sub(begin))
}

// fresh returns an engine over a store that has judged nothing: what it finds depends on
// what there is, and on nothing that was.
func (a *Auditor) fresh() *Engine { return New(a.store.Fresh()) }

// differences returns the findings of one engine that the other does not have like that;
// of several looks only those that always differed.
func (a *Auditor) differences(fresh *Engine, suspects map[Key]bool) map[Key]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh.look()
	a.engine.look()
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

// correct begins anew: every object is read and every pod judged again.
func (a *Auditor) correct(differing int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.metrics.corrections.Inc()
	a.logger.Error(nil, "The audit had missed a change and begins anew: this is a fault, report it", "findings", differing)
	a.store.Reread()
	a.engine.lookAnew()
	a.lookLocked()
	for key := range a.standing {
		if a.engine.findings[key] == nil {
			a.ends(key)
		}
	}
}
