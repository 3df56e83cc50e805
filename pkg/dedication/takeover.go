package dedication

import (
	"context"
	"errors"
	"sync"

	v1 "k8s.io/api/core/v1"
)

// Run waits for Lead, takes over the table, and then releases and repairs dedications until ctx
// ends or another process takes over.
func (e *Engine) Run(ctx context.Context) {
	defer e.queue.ShutDown()
	for _, condition := range []<-chan struct{}{e.leading, e.settled} {
		select {
		case <-ctx.Done():
			return
		case <-condition:
		}
	}
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.running = life
	e.stop = func(err error) {
		// No pod is placed from here on.
		e.ready.Store(false)
		cancel(err)
	}
	if err := e.takeOver(life); err != nil {
		e.stop(err)
	} else {
		e.runWorkers(life)
	}
	if err := context.Cause(life); errors.Is(err, errDeposed) {
		e.logger.Error(err, "This process has been deposed")
		if e.cfg.OnDeposed != nil {
			e.cfg.OnDeposed(err)
		}
	}
}

// runWorkers writes the table and reconciles nodes until ctx ends.
func (e *Engine) runWorkers(ctx context.Context) {
	var workers sync.WaitGroup
	workers.Go(func() {
		if err := e.table.run(ctx, tableCheckEvery); err != nil {
			e.stop(err)
		}
	})
	for range reconcilers {
		workers.Go(func() {
			for e.reconcileNext(ctx) {
			}
		})
	}
	workers.Go(func() { e.resync(ctx) })

	e.ready.Store(true)
	e.logger.Info("Dedicated nodes are taken over", "nodes", e.cluster.NodeCount())
	if e.cfg.OnReady != nil {
		e.cfg.OnReady()
	}
	e.enqueueAll()

	<-ctx.Done()
	e.ready.Store(false)
	e.queue.ShutDown()
	workers.Wait()
}

// takeOver makes this process the only one whose binds succeed, and reads which nodes are
// dedicated. It returns an error only if it is deposed or ctx ends.
func (e *Engine) takeOver(ctx context.Context) error {
	var entries map[string]entry
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		var err error
		if entries, err = e.table.takeOver(ctx); err == nil {
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
	// After this, requests that were admitted under another term have ended.
	if err := e.sleep(ctx, e.settings().SettleTime); err != nil {
		return err
	}
	e.addInherited(entries)
	for name := range entries {
		e.reportChange(name)
	}
	return nil
}

// addInherited adds a record for each entry of the table. Each node is verified before its first
// bind.
func (e *Engine) addInherited(entries map[string]entry) {
	nodes := e.cluster.Nodes()
	byName := make(map[string]*v1.Node, len(nodes))
	for _, node := range nodes {
		byName[node.Name] = node
	}
	for name, found := range entries {
		rec := &record{phase: inherited, entry: found}
		if node := byName[name]; node != nil {
			rec.dedication, _ = e.cluster.DedicationOf(node)
			rec.openedBy = openedBy(node, rec.dedication)
			rec.labels = e.labelsOf(node)
		}
		occupancy := e.cluster.Occupancy(name)
		rec.charged = rec.tenants(&occupancy, e.cluster.LocalTenants(name))
		e.mu.Lock()
		e.addRecord(name, rec)
		e.mu.Unlock()
	}
}

// enqueueAll enqueues every Node and every node with a record.
func (e *Engine) enqueueAll() {
	for _, node := range e.cluster.Nodes() {
		e.queue.Add(node.Name)
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for name := range e.records {
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
			e.enqueueAll()
		}
	}
}

// reconcileNext reconciles the next node of the queue; false when the queue has shut down.
func (e *Engine) reconcileNext(ctx context.Context) bool {
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
