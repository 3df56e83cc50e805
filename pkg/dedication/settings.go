package dedication

import (
	"context"
	"time"

	"tenantisolation.dev/scheduler/pkg/cluster"
)

func (e *Engine) settings() *Settings { return e.inForce.Load() }

// Configure puts other settings in force. With Enabled false every node becomes free, whoever is on it,
// and no pod waits for that: the rule is kept by the scheduler alone then.
func (e *Engine) Configure(to Settings) {
	e.mu.Lock()
	from := e.settings()
	var nodes []string
	if from.Enabled != to.Enabled {
		for node := range e.records {
			e.markChanged(node)
			nodes = append(nodes, node)
		}
	}
	e.inForce.Store(&to)
	e.mu.Unlock()
	e.settledOnce.Do(func() { close(e.settled) })

	e.table.setBeside(to)
	for _, node := range nodes {
		e.reportChange(node)
	}
	if e.ready.Load() {
		e.enqueueAll()
	}
}

// SetBlind says whether the API server answers by an old table. While it does, no pod is placed where nodes
// are dedicated.
func (e *Engine) SetBlind(blind bool) {
	if e.blind.Swap(blind) && !blind && e.ready.Load() && e.cfg.OnReady != nil {
		e.cfg.OnReady()
	}
}

// Count returns how many nodes are dedicated, or being released.
func (e *Engine) Count() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return len(e.records)
}

// drain frees a node because nodes are not dedicated any more. It returns after how long to try again,
// zero if the end of an operation will.
func (e *Engine) drain(ctx context.Context, name string) time.Duration {
	e.mu.Lock()
	rec := e.records[name]
	if rec == nil {
		e.mu.Unlock()
		if node, exists := e.cluster.Node(name); exists && !e.noMarks(node).areOn(node) {
			occupancy := e.cluster.Occupancy(name)
			e.addAndStart(ctx, name, &record{phase: closing}, &occupancy)
		}
		return 0
	}
	if rec.operation != nil {
		e.mu.Unlock()
		return repairRetry
	}
	if rec.phase != closing {
		e.setClosing(name, rec)
	}
	rec.operation = newOperation()
	e.mu.Unlock()
	e.removeDedication(ctx, name, rec)
	return 0
}

// dedicated returns what a node is dedicated to, according to the records.
func (e *Engine) dedicated(node string) cluster.Dedicated {
	rec := e.records[node]
	switch {
	case rec == nil || !e.settings().Enabled:
		return cluster.Dedicated{}
	case rec.phase == closing:
		// Another node may take the pod, and Reserve would refuse it here.
		return admitsNoPod
	}
	return cluster.Dedicated{Dedication: rec.dedication, Dedicated: true, Charged: rec.charged}
}
