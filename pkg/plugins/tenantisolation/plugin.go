package tenantisolation

import (
	"context"
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	// Registers TenantIsolationArgs with the scheduler's strict scheme.
	_ "tenantisolation.dev/scheduler/pkg/apis/config/scheme"
	"tenantisolation.dev/scheduler/pkg/apis/config/validation"
	"tenantisolation.dev/scheduler/pkg/subjects"
)

// Name is the plugin's name in the scheduler's configuration.
const Name = "TenantIsolation"

var (
	_ fwk.PreFilterPlugin   = &Plugin{}
	_ fwk.FilterPlugin      = &Plugin{}
	_ fwk.PreScorePlugin    = &Plugin{}
	_ fwk.ScorePlugin       = &Plugin{}
	_ fwk.ReservePlugin     = &Plugin{}
	_ fwk.BindPlugin        = &Plugin{}
	_ fwk.SignPlugin        = &Plugin{}
	_ fwk.EnqueueExtensions = &Plugin{}
)

// Plugin translates pods and nodes for package isolation and its verdicts for the
// scheduling framework. It decides nothing.
type Plugin struct {
	handle fwk.Handle
	logger klog.Logger

	rules   atomic.Pointer[subjects.Rules]
	cluster *cluster
	roster  *roster
	nodes   *nodeMemo
	watcher *watcher
	profile profile

	// lastGone remembers the answer to the latest event for the many pending pods
	// that are asked about it.
	lastGone atomic.Pointer[goneEvent]
}

// New makes the plugin from its arguments, which it validates.
func New(ctx context.Context, obj runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	args, ok := obj.(*config.TenantIsolationArgs)
	if !ok {
		return nil, fmt.Errorf("want args of type TenantIsolationArgs, got %T", obj)
	}
	if errs := validation.ValidateTenantIsolationArgs(nil, args); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	pl, err := newPlugin(klog.LoggerWithName(klog.FromContext(ctx), Name), args, handle)
	if err != nil {
		return nil, err
	}
	if err := pl.watch(ctx); err != nil {
		return nil, err
	}
	return pl, nil
}

// newPlugin makes a plugin that follows nothing yet.
func newPlugin(logger klog.Logger, args *config.TenantIsolationArgs, handle fwk.Handle) (*Plugin, error) {
	rules, err := subjects.NewRules(args)
	if err != nil {
		return nil, err
	}
	gatherer, err := subjects.NewGatherer()
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
		watcher: &watcher{},
	}
	pl.rules.Store(rules)
	return pl, nil
}

// Name returns the plugin's name.
func (pl *Plugin) Name() string { return Name }
