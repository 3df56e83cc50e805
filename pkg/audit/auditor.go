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
	// Settings are those of the start. See Auditor.Configure.
	Settings
}

// Settings hold what an administrator may change while an Auditor runs.
type Settings struct {
	// Paused: nothing is looked at, and nothing is reported.
	Paused bool
	// EvictionsPerMinute limits the evictions of the pod that changed or came last. Zero, the zero
	// value, evicts no pod.
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

	store  *cluster.Store
	events flowcontrol.PassiveRateLimiter

	mu       sync.Mutex
	settings Settings
	// evictions is nil if no pod is evicted.
	evictions flowcontrol.PassiveRateLimiter
	// looked: the findings are known.
	looked bool
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
	a.Configure(cfg.Settings)
	return a
}

// Configure puts other settings in force.
func (a *Auditor) Configure(to Settings) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if to.EvictionsPerMinute != a.settings.EvictionsPerMinute {
		a.evictions = nil
		if n := to.EvictionsPerMinute; n > 0 {
			// No burst: a fault in the rule shows by its first eviction.
			a.evictions = flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(float32(n)/60, 1, a.clock)
		}
	}
	if to.Paused && !a.settings.Paused {
		a.looked = false
		a.metrics.forget()
	}
	a.settings = to
}

// Findings returns how many findings there are, false if it is not known.
func (a *Auditor) Findings() (int, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.engine.findings), a.looked
}

// Report returns all that was found, false if it is not known.
func (a *Auditor) Report() (Report, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.looked {
		return Report{}, false
	}
	return a.engine.Report(), true
}

func (a *Auditor) paused() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.settings.Paused
}

// Run audits until the context ends. The store has synced. Only the leader calls it.
func (a *Auditor) Run(ctx context.Context) {
	a.logger.Info("Auditing what runs", "sweepEvery", a.cfg.SweepEvery)

	var loops wait.Group
	loops.StartWithContext(ctx, a.every(updateEvery, func(context.Context) { a.update() }))
	loops.StartWithContext(ctx, a.every(updateEvery, a.sendEvents))
	loops.StartWithContext(ctx, a.every(a.cfg.SweepEvery, a.sweep))
	loops.StartWithContext(ctx, a.every(updateEvery, a.evictCulprits))
	loops.Wait()
}

// every returns a loop that calls do at once and then at every interval. While the audit is paused, which it is until
// the policy has been read, it looks again soon.
func (a *Auditor) every(interval time.Duration, do func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		ticker := a.clock.NewTicker(interval)
		defer ticker.Stop()
		for {
			next := ticker.C()
			if a.paused() {
				next = a.clock.After(updateEvery)
			} else {
				do(ctx)
			}
			select {
			case <-ctx.Done():
				return
			case <-next:
			}
		}
	}
}
