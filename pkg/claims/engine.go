package claims

import (
	"context"
	"errors"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Errors that Reserve and Ensure return, bare or wrapped. Tenants may read them.
var (
	// ErrNotReady: this process has not taken over, or has been deposed.
	ErrNotReady = errors.New("the scheduler is taking over: the pod is retried as soon as it has")
	// ErrClaimed: the node is claimed for others, or is just being released.
	ErrClaimed = errors.New("node(s) are claimed for another trust domain")
	// ErrTooManyNodes: the pod's tenant has as many nodes as it may.
	ErrTooManyNodes = errors.New("pod's tenant has as many nodes as it may claim")
	// ErrTaken: somebody has come to the node while it was claimed.
	ErrTaken = errors.New("node(s) were taken while they were claimed for the pod")
)

// Outcome says what is known about a bind that has ended.
type Outcome uint8

const (
	// OutcomeUnknown: the request may still take effect; its answer was lost.
	OutcomeUnknown Outcome = iota
	// OutcomeKnown: the pod was bound, or never will be by that request.
	OutcomeKnown
)

// Engine claims nodes and releases them. All methods may be called from several goroutines
// at once.
type Engine struct {
	client  kubernetes.Interface
	cluster Cluster
	cfg     Config
	clock   clock.WithTicker
	logger  klog.Logger
}

// New makes an engine that knows no claim yet; Run gives it life.
func New(client kubernetes.Interface, cluster Cluster, cfg Config, clock clock.WithTicker, logger klog.Logger) *Engine {
	return &Engine{client: client, cluster: cluster, cfg: cfg, clock: clock, logger: logger}
}

// Run waits for Lead, takes over, and then releases and repairs claims until ctx ends or
// another process takes over.
func (e *Engine) Run(ctx context.Context) {}

// Lead tells that this process leads. It is cheap and idempotent, so every scheduling cycle
// may call it.
func (e *Engine) Lead() {}

// Ready reports whether the takeover is complete; until then no pod may be placed. It takes
// no lock.
func (e *Engine) Ready() bool { return false }

// Touch tells that something has changed on a node: a pod has come or gone, its taints,
// its bootID, or the Node itself. It is cheap, and called for every such event.
func (e *Engine) Touch(node string) {}

// Claim returns what a node is claimed for, false if it is free. The zero Claim, which
// admits nobody, is one of which nothing is known.
func (e *Engine) Claim(node string) (isolation.Claim, bool) { return isolation.Claim{}, false }

// MayOpen reports whether the subject's tenant may claim one more node.
func (e *Engine) MayOpen(subject *isolation.Subject) bool { return false }

// Reserve keeps a node for a pod until Release: claimed for the pod if it is free, and
// not released meanwhile. It runs in the scheduling cycle, works in memory only and may be
// repeated.
func (e *Engine) Reserve(uid types.UID, node string, subject *isolation.Subject) error {
	return ErrNotReady
}

// Held reports whether the pod has reserved the node and nothing is left to do before its
// bind.
func (e *Engine) Held(uid types.UID, node string) bool { return false }

// Ensure makes the claim of a reserved node true in the cluster, or waits for whoever is at
// it, so that the pod may be bound. After an error the pod must not be bound.
func (e *Engine) Ensure(ctx context.Context, pod *v1.Pod, node string, subject *isolation.Subject) error {
	return ErrNotReady
}

// Token returns the value of TokenAnnotation for a Binding to the node, false if nothing
// may be bound there now.
func (e *Engine) Token(node string) (string, bool) { return "", false }

// Release ends what Reserve began: the pod will not be bound, or its bind has ended. Only
// the first call for a pod and node counts, so Bind can tell of an unknown outcome before
// Unreserve is called.
func (e *Engine) Release(uid types.UID, node string, outcome Outcome) {}
