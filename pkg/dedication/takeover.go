package dedication

import (
	"context"
	"errors"
	"sync"

	v1 "k8s.io/api/core/v1"
)

// Run waits for Lead, takes over, and then releases and repairs dedications until ctx ends or
// another process takes over.
func (e *Engine) Run(ctx context.Context) {
	defer e.queue.ShutDown()
	select {
	case <-ctx.Done():
		return
	case <-e.leading:
	}
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.life = life
	e.end = func(err error) {
		// Nothing is placed from this moment on.
		e.ready.Store(false)
		cancel(err)
	}
	if err := e.takeOver(life); err != nil {
		e.end(err)
	} else {
		e.work(life)
	}
	if err := context.Cause(life); errors.Is(err, errDeposed) {
		e.logger.Error(err, "This process has been deposed")
		if e.cfg.OnDeposed != nil {
			e.cfg.OnDeposed(err)
		}
	}
}

// work does what there is to do until ctx ends.
func (e *Engine) work(ctx context.Context) {
	var workers sync.WaitGroup
	workers.Go(func() {
		if err := e.ledger.run(ctx, lookEvery); err != nil {
			e.end(err)
		}
	})
	for range releasers {
		workers.Go(func() {
			for e.next(ctx) {
			}
		})
	}
	workers.Go(func() { e.resync(ctx) })

	e.ready.Store(true)
	e.logger.Info("Dedicated nodes are taken over", "nodes", e.cluster.NodeCount())
	if e.cfg.OnReady != nil {
		e.cfg.OnReady()
	}
	e.touchAll()

	<-ctx.Done()
	e.ready.Store(false)
	e.queue.ShutDown()
	workers.Wait()
}

// takeOver makes this process the only one whose binds succeed, and learns what is dedicated.
// It returns an error only if it never can.
func (e *Engine) takeOver(ctx context.Context) error {
	var entries map[string]entry
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		var err error
		if entries, err = e.ledger.takeOver(ctx); err == nil {
			break
		}
		if errors.Is(err, errDeposed) {
			return err
		}
		e.logger.Error(err, "Taking over the table of dedicated nodes failed, trying again", "after", wait)
		if err := e.sleep(ctx, wait); err != nil {
			return err
		}
	}
	// What was admitted under another term is done after this.
	if err := e.sleep(ctx, e.cfg.SettleTime); err != nil {
		return err
	}
	e.inherit(entries)
	for name := range entries {
		e.report(name)
	}
	return nil
}

// inherit fills the book. Nobody has looked at these nodes yet; that is done for each when
// it is used first.
func (e *Engine) inherit(entries map[string]entry) {
	nodes := e.cluster.Nodes()
	byName := make(map[string]*v1.Node, len(nodes))
	for _, node := range nodes {
		byName[node.Name] = node
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, found := range entries {
		rec := &record{phase: inherited, entry: found}
		if node := byName[name]; node != nil {
			rec.dedication, _ = e.cluster.DedicationOf(node)
			rec.openedBy = openedBy(node, rec.dedication)
		}
		e.addRecord(name, rec)
	}
}

// touchAll has every node looked at, and every dedication.
func (e *Engine) touchAll() {
	for _, node := range e.cluster.Nodes() {
		e.queue.Add(node.Name)
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for name := range e.book {
		e.queue.Add(name)
	}
}

func (e *Engine) resync(ctx context.Context) {
	ticker := e.clock.NewTicker(resyncEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			e.touchAll()
		}
	}
}

// next looks at one node; false when there will be no more.
func (e *Engine) next(ctx context.Context) bool {
	name, shutdown := e.queue.Get()
	if shutdown {
		return false
	}
	defer e.queue.Done(name)
	if ctx.Err() != nil {
		return true
	}
	if wait := e.reconcile(ctx, name); wait > 0 {
		e.queue.AddAfter(name, wait)
	}
	return true
}
