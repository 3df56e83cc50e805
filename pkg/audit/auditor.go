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

// Config holds an administrator's choices about the audit. The caller has validated it; NewAuditor
// does not.
type Config struct {
	// Namespace and Deployment name the workload that Events regard: the scheduler's own, so
	// that only administrators read them.
	Namespace, Deployment string
	// Instance names this process in Events.
	Instance string
	// SweepEvery is how often the whole cluster is checked from scratch, in case a change was
	// missed.
	SweepEvery time.Duration
	// EvictionsPerMinute limits the evictions of the pod that came last. Zero, the zero value,
	// evicts no pod.
	EvictionsPerMinute int
}

const (
	// updateEvery is how often changes are turned into findings.
	updateEvery = 500 * time.Millisecond
	// eventsPerSecond and eventsAtOnce limit the Events, so that many findings do not delay the
	// binds of the same client.
	eventsPerSecond, eventsAtOnce = 5, 20
)

// Auditor follows a cluster and reports what breaks the rule: by metrics and by an Event for each
// finding. If configured, it also evicts the pod that came last.
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
	// tracked are the current findings, and those that have ended without an Event about
	// their end.
	tracked map[Key]*trackedFinding
	// evictionAsked is when the eviction of a pod was last requested.
	evictionAsked map[types.UID]time.Time
}

// NewAuditor returns an auditor of the store's cluster. Run starts it.
func NewAuditor(client kubernetes.Interface, store *cluster.Store, cfg Config, clock clock.WithTicker, logger klog.Logger) *Auditor {
	registerMetrics()
	a := &Auditor{
		client:        client,
		cfg:           cfg,
		clock:         clock,
		logger:        logger,
		metrics:       shared(),
		store:         store,
		engine:        New(store),
		events:        flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(eventsPerSecond, eventsAtOnce, clock),
		tracked:       map[Key]*trackedFinding{},
		evictionAsked: map[types.UID]time.Time{},
	}
	if n := cfg.EvictionsPerMinute; n > 0 {
		// No burst: a fault in the rule shows by its first eviction.
		a.evictions = flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(float32(n)/60, 1, clock)
	}
	return a
}

// Run audits until the context ends. The store has synced. Only the leader calls it.
func (a *Auditor) Run(ctx context.Context) {
	a.logger.Info("Auditing what runs", "sweepEvery", a.cfg.SweepEvery, "evictionsPerMinute", a.cfg.EvictionsPerMinute)

	var loops wait.Group
	loops.StartWithContext(ctx, a.every(updateEvery, func(context.Context) { a.update() }))
	loops.StartWithContext(ctx, a.every(updateEvery, a.sendEvents))
	loops.StartWithContext(ctx, a.every(a.cfg.SweepEvery, a.sweep))
	if a.evictions != nil {
		loops.StartWithContext(ctx, a.every(updateEvery, a.evictCulprits))
	}
	loops.Wait()
}

// every returns a loop that calls do at once and then at every interval.
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
