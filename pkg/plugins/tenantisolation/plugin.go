package tenantisolation

import (
	"context"
	"fmt"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	// Registers TenantIsolationArgs with the scheduler's strict scheme.
	_ "tenantisolation.dev/scheduler/pkg/apis/config/scheme"
	"tenantisolation.dev/scheduler/pkg/apis/config/validation"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/leadership"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Name is the plugin's name in the scheduler's configuration.
const Name = "TenantIsolation"

// systemNamespace is where the table of dedicated nodes is.
const systemNamespace = "tenant-isolation-system"

var (
	_ fwk.PreFilterPlugin   = &Plugin{}
	_ fwk.FilterPlugin      = &Plugin{}
	_ fwk.PreScorePlugin    = &Plugin{}
	_ fwk.ScorePlugin       = &Plugin{}
	_ fwk.ReservePlugin     = &Plugin{}
	_ fwk.PreBindPlugin     = &Plugin{}
	_ fwk.BindPlugin        = &Plugin{}
	_ fwk.PostBindPlugin    = &Plugin{}
	_ fwk.SignPlugin        = &Plugin{}
	_ fwk.EnqueueExtensions = &Plugin{}
)

// Plugin translates pods and nodes for package isolation and its verdicts for the
// scheduling framework. It decides nothing.
type Plugin struct {
	handle fwk.Handle
	logger klog.Logger

	rules   atomic.Pointer[podfacts.Rules]
	cluster *cluster
	roster  *roster
	nodes   *nodeMemo
	watcher *watcher
	profile profile
	// dedicated is nil while claims.mode is Disabled.
	dedicated *dedicatedNodes
	// election is nil where nobody tells of one.
	election *leadership.Signal

	// lastGone remembers the answer to the latest event for the many pending pods
	// that are asked about it.
	lastGone atomic.Pointer[goneEvent]
}

// New makes the plugin from its arguments, which it validates.
func New(ctx context.Context, obj runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	return newElected(ctx, obj, handle, nil)
}

// Elected returns New for a process whose election is told of by the signal: such a plugin
// does what only the leader may do as soon as it leads, and not when it first has a pod to
// place.
func Elected(signal *leadership.Signal) func(context.Context, runtime.Object, fwk.Handle) (fwk.Plugin, error) {
	return func(ctx context.Context, obj runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		return newElected(ctx, obj, handle, signal)
	}
}

func newElected(ctx context.Context, obj runtime.Object, handle fwk.Handle, signal *leadership.Signal) (fwk.Plugin, error) {
	args, ok := obj.(*config.TenantIsolationArgs)
	if !ok {
		return nil, fmt.Errorf("want args of type TenantIsolationArgs, got %T", obj)
	}
	if errs := validation.ValidateTenantIsolationArgs(nil, args); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	registerMetrics()
	pl, err := newPlugin(klog.LoggerWithName(klog.FromContext(ctx), Name), args, handle)
	if err != nil {
		return nil, err
	}
	pl.election = signal
	var engine *dedication.Engine
	if args.Claims.Mode == config.ModeEnabled {
		engine = dedication.New(handle.ClientSet(), engineView{pl}, dedicationConfig(args.Claims, pl), clock.RealClock{}, klog.LoggerWithName(pl.logger, "dedication"))
		pl.dedicated = newDedicatedNodes(engine)
	}
	pl.startAudit(ctx, args.Audit)
	if err := pl.watch(ctx); err != nil {
		return nil, err
	}
	if engine != nil {
		go engine.Run(ctx)
		go pl.awaitLead(ctx)
	}
	return pl, nil
}

func dedicationConfig(args config.Claims, pl *Plugin) dedication.Config {
	return dedication.Config{
		Namespace:         systemNamespace,
		TaintEffect:       v1.TaintEffect(args.TaintEffect),
		SettleTime:        args.SettleTime.Duration,
		ReleaseAfter:      args.ReleaseAfter.Duration,
		NodeReuse:         dedication.NodeReuse(args.NodeReuse),
		MaxNodesPerTenant: *args.MaxNodesPerTenant,
		OnDeposed: func(err error) {
			// It would hold the lease and place nobody. Started anew it waits its turn.
			pl.logger.Error(err, "Another process has taken over, exiting")
			klog.FlushAndExit(klog.ExitFlushTimeout, 1)
		},
	}
}

// newPlugin makes a plugin that follows nothing yet.
func newPlugin(logger klog.Logger, args *config.TenantIsolationArgs, handle fwk.Handle) (*Plugin, error) {
	rules, err := podfacts.NewRules(args)
	if err != nil {
		return nil, err
	}
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		return nil, fmt.Errorf("pod security checks: %w", err)
	}
	cluster := &cluster{}
	pl := &Plugin{
		handle:  handle,
		logger:  logger,
		cluster: cluster,
		roster:  newRoster(gatherer, cluster),
		nodes:   newNodeMemo(),
		watcher: &watcher{gone: lru.New(rememberedGone)},
	}
	pl.rules.Store(rules)
	return pl, nil
}

// Name returns the plugin's name.
func (pl *Plugin) Name() string { return Name }
