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
	// ErrDedicated: the node is dedicated to others, or is just being released.
	ErrDedicated = errors.New("node(s) are dedicated to another trust domain")
	// ErrTooManyNodes: the pod's tenant has as many nodes as it may.
	ErrTooManyNodes = errors.New("pod's tenant has as many nodes as it may have")
	// ErrTaken: somebody has come to the node while it was being dedicated.
	ErrTaken = errors.New("node(s) were taken while they were being dedicated")
	// ErrFailed: the dedication could not be written or looked at; the scheduler's log says why.
	ErrFailed = errors.New("node(s) could not be dedicated for the pod")
)

const (
	// lookEvery is how often the table is read, in case somebody deleted or edited it.
	lookEvery = 10 * time.Second
	// resyncEvery is how often every node is looked at, in case an event told of nothing.
	resyncEvery = time.Minute
	// releasers is how many nodes are released or repaired at one time.
	releasers = 8
	// repairsPerSecond bounds the API calls that nobody waits for, so that they never
	// crowd out those that a pod waits for.
	repairsPerSecond, repairsAtOnce = 5, 20
)

// Engine dedicates nodes and releases them. All methods may be called from several goroutines
// at once.
type Engine struct {
	client  kubernetes.Interface
	cluster Cluster
	cfg     Config
	clock   clock.WithTicker
	logger  klog.Logger
	metrics *metrics

	ledger *ledger
	// queue are the nodes at which to look.
	queue   workqueue.TypedDelayingInterface[string]
	repairs flowcontrol.PassiveRateLimiter
	backoff workqueue.TypedRateLimiter[string]

	leading chan struct{}
	led     sync.Once
	ready   atomic.Bool
	// life is Run's context, and what was begun for a pod ends with it and not with the
	// pod's: others wait for the same. It is set before ready.
	life context.Context
	// end ends it, with the reason.
	end func(error)

	mu   sync.RWMutex
	book map[string]*record
	// homes are the nodes of the book by their dedication.
	homes map[isolation.Dedication]map[string]struct{}
	// opened counts the records by the tenant that opened them.
	opened map[string]int
	// unreported is what the book said of nodes before changes that have not been reported.
	unreported map[string]cluster.Dedicated
	// denied are nodes that Reserve has refused since they last changed.
	denied map[string]bool
	// limited are the tenants that were refused another node.
	limited map[string]bool
}

// New makes an engine that knows no dedication yet; Run gives it life.
func New(client kubernetes.Interface, judged Cluster, cfg Config, clock clock.WithTicker, logger klog.Logger) *Engine {
	registerMetrics()
	m := shared()
	return &Engine{
		client:  client,
		cluster: judged,
		cfg:     cfg,
		clock:   clock,
		logger:  logger,
		metrics: m,
		ledger:  newLedger(client.CoreV1().ConfigMaps(cfg.Namespace), newID(26), clock, logger, m),
		queue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[string]{
			Name: "dedication", Clock: clock,
		}),
		repairs: flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(repairsPerSecond, repairsAtOnce, clock),
		backoff: workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, 5*time.Minute),
		leading: make(chan struct{}),
		book:    map[string]*record{},
		homes:   map[isolation.Dedication]map[string]struct{}{},
		opened:  map[string]int{},

		unreported: map[string]cluster.Dedicated{},
		denied:     map[string]bool{},
		limited:    map[string]bool{},
	}
}

// idLength is how many characters the id of a dedication has: 50 bits, so that no node gets one
// twice, and 15,000 entries fit into the table.
const idLength = 10

// newID returns a random id of at most 26 characters of [a-z2-7].
func newID(length int) string {
	return strings.ToLower(rand.Text()[:length])
}

// Lead tells that this process leads and its informers have synced. It is cheap and
// idempotent, so every scheduling cycle may call it.
func (e *Engine) Lead() {
	e.led.Do(func() { close(e.leading) })
}

// Ready reports whether the takeover is complete; until then no pod may be placed. It takes
// no lock.
func (e *Engine) Ready() bool { return e.ready.Load() }

// Touch tells that something has changed on a node: a pod has come or gone, its taints,
// its bootID, or the Node itself. It is cheap, and called for every such event.
func (e *Engine) Touch(node string) {
	// What happened before the takeover is found by it.
	if e.Ready() {
		e.queue.Add(node)
	}
}

// Dedication returns what a node is dedicated to, false if it is free. The zero Dedication, which
// admits nobody, is one of which nothing is known.
func (e *Engine) Dedication(node string) (isolation.Dedication, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	d := e.dedicated(node)
	return d.Dedication, d.Dedicated
}

// Token returns the value of TokenAnnotation for a Binding to the node, false if nothing
// may be bound there now.
func (e *Engine) Token(node string) (string, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	rec := e.book[node]
	if rec == nil || rec.phase != held || !e.Ready() {
		return "", false
	}
	return e.ledger.term + "-" + rec.entry.id, true
}

// node returns the informer's node, and an error if there is none.
func (e *Engine) node(name string) (*v1.Node, error) {
	n, ok := e.cluster.Node(name)
	if !ok {
		return nil, errNodeGone
	}
	return n, nil
}
