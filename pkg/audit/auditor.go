package audit

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/pkg/cluster"
)

// Config is what an administrator can say about the audit. It comes from validated
// arguments; NewAuditor checks nothing of it.
type Config struct {
	// Namespace and Deployment name the workload that Events are about: our own, so that
	// only administrators read them.
	Namespace, Deployment string
	// Instance names this process in Events.
	Instance string
	// SweepEvery is how often the whole cluster is looked at anew, as a check of the
	// increment.
	SweepEvery time.Duration
	// EvictionsPerMinute bounds how often the pod that came last is evicted. Zero, the
	// zero value, evicts nobody.
	EvictionsPerMinute int
}

const (
	// lookEvery is how often changes are gathered into findings.
	lookEvery = 500 * time.Millisecond
	// eventsPerSecond and eventsAtOnce bound the Events, so that a cluster full of
	// findings does not crowd out the binds of the same client.
	eventsPerSecond, eventsAtOnce = 5, 20
)

// Auditor follows a cluster and reports what breaks the rule: by metrics, by an Event for
// each finding and, if asked to, by evicting the pod that came last.
type Auditor struct {
	client  kubernetes.Interface
	cfg     Config
	clock   clock.WithTicker
	logger  klog.Logger
	metrics *metrics

	store     *cluster.Store
	events    flowcontrol.PassiveRateLimiter
	evictions flowcontrol.PassiveRateLimiter

	mu     sync.Mutex
	engine *Engine
	// standing are the findings that are there, and those that have ended without anybody
	// having been told.
	standing map[Key]*standing
	// asked is when the eviction of a pod was last asked for.
	asked map[types.UID]time.Time
}

// NewAuditor makes an auditor of a store that follows nothing yet; Run gives it life.
func NewAuditor(client kubernetes.Interface, store *cluster.Store, cfg Config, clock clock.WithTicker, logger klog.Logger) *Auditor {
	registerMetrics()
	a := &Auditor{
		client:   client,
		cfg:      cfg,
		clock:    clock,
		logger:   logger,
		metrics:  shared(),
		store:    store,
		engine:   New(store),
		events:   flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(eventsPerSecond, eventsAtOnce, clock),
		standing: map[Key]*standing{},
		asked:    map[types.UID]time.Time{},
	}
	if n := cfg.EvictionsPerMinute; n > 0 {
		// One at once: a fault in the rule shows by its first victim.
		a.evictions = flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(float32(n)/60, 1, clock)
	}
	return a
}

// Run audits until the context ends. The store has synced. Only the leader calls it: it
// reports, and may evict.
func (a *Auditor) Run(ctx context.Context) {
	a.logger.Info("Auditing what runs", "sweepEvery", a.cfg.SweepEvery, "evictionsPerMinute", a.cfg.EvictionsPerMinute)

	var loops wait.Group
	loops.StartWithContext(ctx, a.every(lookEvery, func(context.Context) { a.look() }))
	loops.StartWithContext(ctx, a.every(lookEvery, a.tell))
	loops.StartWithContext(ctx, a.every(a.cfg.SweepEvery, a.sweep))
	if a.evictions != nil {
		loops.StartWithContext(ctx, a.every(lookEvery, a.remedy))
	}
	loops.Wait()
}

// every returns a loop that does something at once and then again and again.
func (a *Auditor) every(interval time.Duration, do func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		ticker := a.clock.NewTicker(interval)
		defer ticker.Stop()
		for {
			do(ctx)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C():
			}
		}
	}
}
