package dedication

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Errors that Reserve and Ensure return, bare or wrapped. Tenants may read them.
var (
	// ErrNotReady: this process has not taken over, or has been deposed.
	ErrNotReady = errors.New("the scheduler is taking over: the pod is retried as soon as it has")
	// ErrDedicated: the node is dedicated to another trust domain, or is being released.
	ErrDedicated = errors.New("node(s) are dedicated to another trust domain")
	// ErrTooManyNodes: the pod's tenant has reached its limit of nodes.
	ErrTooManyNodes = errors.New("pod's tenant has as many nodes as it may have")
	// ErrTaken: another pod was bound to the node while it was being dedicated.
	ErrTaken = errors.New("node(s) were taken while they were being dedicated")
	// ErrFailed: the dedication could not be written or verified; the scheduler's log says why.
	ErrFailed = errors.New("node(s) could not be dedicated for the pod")
)

const (
	// tableCheckEvery is how often the table is read, in case it was deleted or edited.
	tableCheckEvery = 10 * time.Second
	// resyncEvery is how often every node is reconciled, in case an event was missed.
	resyncEvery = time.Minute
	// reconcilers is how many nodes are released or repaired in parallel.
	reconcilers = 8
	// repairsPerSecond and repairsAtOnce limit the API calls that no pod waits for, so that
	// they do not delay those that a pod waits for.
	repairsPerSecond, repairsAtOnce = 5, 20
)

// Engine dedicates nodes and releases them. All methods are safe for concurrent use.
type Engine struct {
	client  kubernetes.Interface
	cluster Cluster
	cfg     Config
	clock   clock.WithTicker
	logger  klog.Logger
	metrics *metrics

	table *tableWriter
	// queue holds the nodes to reconcile.
	queue   workqueue.TypedDelayingInterface[string]
	repairs flowcontrol.PassiveRateLimiter
	backoff workqueue.TypedRateLimiter[string]

	// Both have to be closed before anything is done: leading by Lead, settled by Configure.
	leading, settled      chan struct{}
	leadOnce, settledOnce sync.Once
	ready                 atomic.Bool
	// running is Run's context. An operation that one pod started ends with this context, not
	// with the pod's, because other pods wait for it too. It is set before ready.
	running context.Context
	// stop cancels running, with the reason.
	stop func(error)

	// inForce are the settings; they change with mu held.
	inForce atomic.Pointer[Settings]
	// blind: the API server does not answer by the newest table.
	blind atomic.Bool

	mu      sync.RWMutex
	records map[string]*record
	// homes indexes the nodes of records by dedication.
	homes map[isolation.Dedication]map[string]struct{}
	// nodesCharged counts the nodes that are charged to each tenant.
	nodesCharged map[string]int
	// lastReported holds, for each node with an unreported change, the dedication that was
	// reported last.
	lastReported map[string]cluster.Dedicated
	// refusedNodes are the nodes that Reserve has refused since they last changed.
	refusedNodes map[string]bool
	// limitedTenants are the tenants that were refused another node and wait for one.
	limitedTenants map[string]bool
}

// New returns an engine that knows no dedication yet. Run starts it.
func New(client kubernetes.Interface, judged Cluster, cfg Config, clock clock.WithTicker, logger klog.Logger) *Engine {
	registerMetrics()
	m := shared()
	e := &Engine{
		client:  client,
		cluster: judged,
		cfg:     cfg,
		clock:   clock,
		logger:  logger,
		metrics: m,
		table:   newTableWriter(client.CoreV1().ConfigMaps(cfg.Namespace), newID(26), clock, logger, m),
		queue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[string]{
			Name: "dedication", Clock: clock,
		}),
		repairs:      flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(repairsPerSecond, repairsAtOnce, clock),
		backoff:      workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, 5*time.Minute),
		leading:      make(chan struct{}),
		settled:      make(chan struct{}),
		records:      map[string]*record{},
		homes:        map[isolation.Dedication]map[string]struct{}{},
		nodesCharged: map[string]int{},

		lastReported:   map[string]cluster.Dedicated{},
		refusedNodes:   map[string]bool{},
		limitedTenants: map[string]bool{},
	}
	e.inForce.Store(&cfg.Settings)
	if !cfg.Unsettled {
		close(e.settled)
		e.settledOnce.Do(func() {})
	}
	e.table.setBeside(cfg.Settings)
	return e
}

// idLength is the length of a dedication's id in characters: 50 bits, enough that no node gets
// the same id twice, and short enough that 15,000 entries fit into the table.
const idLength = 10

// newID returns a random id of at most 26 characters of [a-z2-7].
func newID(length int) string {
	return strings.ToLower(rand.Text()[:length])
}

// Lead notifies the engine that this process leads and that its informers have synced. It is
// cheap and idempotent, so every scheduling cycle may call it.
func (e *Engine) Lead() {
	e.leadOnce.Do(func() { close(e.leading) })
}

// Leads reports whether Lead has been called.
func (e *Engine) Leads() bool {
	select {
	case <-e.leading:
		return true
	default:
		return false
	}
}

// Ready reports whether pods may be placed: the takeover is complete and the fence is not blind, or
// nodes are not dedicated. It takes no lock.
func (e *Engine) Ready() bool {
	return !e.settings().Enabled || e.ready.Load() && !e.blind.Load()
}

// NodeChanged notifies the engine that something has changed on a node: its pods, its taints,
// its bootID, or the Node itself. It is cheap enough to be called for every such event.
func (e *Engine) NodeChanged(node string) {
	// The takeover looks at every node anyway.
	if e.ready.Load() {
		e.queue.Add(node)
	}
}

// judgedBy reports whether a policy was in force all the time since it was read: what was judged meanwhile was judged by it.
// While another one is put into force none is, and then no pod is anything.
func (e *Engine) judgedBy(policy *isolation.Policy) bool {
	return policy.InForce() && policy == e.cluster.Policy()
}

// errJudgedAnew: another policy was put into force meanwhile, or none is in force.
var errJudgedAnew = errors.New("another policy has been put into force meanwhile, or none is in force")

// RulesChanged notifies the engine that the cluster is judged by another policy.
func (e *Engine) RulesChanged() {
	if e.ready.Load() {
		e.enqueueAll()
	}
}

// Dedicated returns what a node is dedicated to, and which tenants it is charged to. The zero
// Dedication of a dedicated node, which admits no pod, means that it is not known to what.
func (e *Engine) Dedicated(node string) cluster.Dedicated {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.dedicated(node)
}

// Token returns the value of TokenAnnotation for a Binding to the node, false if no pod may
// be bound there now. It is empty where nodes are not dedicated.
func (e *Engine) Token(node string) (string, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if !e.settings().Enabled {
		return "", true
	}
	rec := e.records[node]
	if rec == nil || rec.phase != held || !e.Ready() {
		return "", false
	}
	return e.table.term + "-" + rec.entry.id, true
}

// node returns the informer's node, and an error if there is none.
func (e *Engine) node(name string) (*v1.Node, error) {
	n, ok := e.cluster.Node(name)
	if !ok {
		return nil, errNodeGone
	}
	return n, nil
}
