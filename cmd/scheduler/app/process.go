// Package app puts one scheduler process together: the judged cluster, the dedication of
// nodes, the audit and the plugin, for each profile that has the plugin. What a process has
// only once (its election, its end, one who audits, one who dedicates nodes) is a Process.
package app

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	// Registers TenantIsolationArgs with the scheduler's strict scheme.
	_ "tenantisolation.dev/scheduler/pkg/apis/config/scheme"
	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/leadership"
	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

const (
	// systemNamespace is where the table of dedicated nodes and the audit's Events are.
	systemNamespace = "tenant-isolation-system"
	// deploymentName is what the audit's Events are about.
	deploymentName = "tenant-isolation-scheduler"
	// sweepEvery is how often the audit looks at the whole cluster anew.
	sweepEvery = 5 * time.Minute
	// electionPoll is how often a process looks whether it leads.
	electionPoll = time.Second
	// noElectionAfter is how long after its caches have synced a process that shows no
	// sign of an election is taken to have none.
	noElectionAfter = 10 * time.Second
)

// Process is what the plugins of one process have in common. The zero Process is one
// without an election.
type Process struct {
	// Election reports whether this process leads, nil if there is no election. With
	// one, a process does what only the leader may do as soon as it leads, and not when it
	// first has a pod to place.
	Election *leadership.Signal
	// Exit ends the process because another one has taken over. By default it flushes the
	// logs and exits with status 1: started anew, the process waits for its turn.
	Exit func(error)

	// servers keeps the process at the version of the API servers, nil if nothing does.
	servers *follower

	mu sync.Mutex
	// plugins counts the profiles with the plugin, dedicating those that dedicate nodes.
	plugins, dedicating int
}

// NewPlugin makes the plugin in a process of its own without an election: for schedulers of
// one profile that are run by simulations and benchmarks.
func NewPlugin(ctx context.Context, obj runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	return new(Process).NewPlugin(ctx, obj, handle)
}

// NewPlugin makes the plugin of one profile, and all that it needs, from its arguments,
// which it validates. It is a runtime.PluginFactory of the scheduling framework.
func (p *Process) NewPlugin(ctx context.Context, obj runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
	spec, name, err := policy.OfArguments(obj)
	if err != nil {
		return nil, err
	}
	audits, err := p.join(spec == nil || spec.Dedication.Mode == v1alpha1.ModeEnabled)
	if err != nil {
		return nil, err
	}
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		return nil, fmt.Errorf("pod security checks: %w", err)
	}
	p.servers.start(ctx)
	parts := &parts{
		logger: klog.LoggerWithName(klog.FromContext(ctx), tenantisolation.Name),
		handle: handle,
		store:  cluster.New(podfacts.NoRules(), gatherer),
	}
	if spec == nil {
		return p.follow(ctx, parts, name)
	}
	return p.fixed(ctx, parts, spec, audits)
}

// parts are what a profile's plugin is made of.
type parts struct {
	logger  klog.Logger
	handle  fwk.Handle
	store   *cluster.Store
	plugin  *tenantisolation.Plugin
	engine  *dedication.Engine
	auditor *audit.Auditor
}

// fixed makes the plugin for a policy that never changes and has no object.
func (p *Process) fixed(ctx context.Context, parts *parts, spec *v1alpha1.IsolationPolicySpec, audits bool) (fwk.Plugin, error) {
	rules, err := podfacts.NewRules(spec)
	if err != nil {
		return nil, err
	}
	parts.store.SetRules(rules)
	if spec.Dedication.Mode == v1alpha1.ModeEnabled {
		p.addEngine(parts, dedicationSettings(spec, nil), false)
	}
	parts.addPlugin()
	if audits && spec.Audit.Mode == v1alpha1.ModeEnabled {
		parts.addAuditor(auditSettings(spec))
	}
	return parts.plugin, p.start(ctx, parts)
}

func (p *Process) addEngine(parts *parts, settings dedication.Settings, unsettled bool) {
	parts.engine = dedication.New(parts.handle.ClientSet(), parts.store, dedication.Config{
		Namespace: systemNamespace,
		Settings:  settings,
		Unsettled: unsettled,
		OnReady:   func() { parts.plugin.WakeAll("dedications taken over") },
		OnDeposed: p.exit(parts.logger),
	}, clock.RealClock{}, klog.LoggerWithName(parts.logger, "dedication"))
	parts.store.DedicatedBy(parts.engine)
}

func (parts *parts) addPlugin() {
	var dedicator tenantisolation.Dedicator = tenantisolation.NoDedication{}
	if parts.engine != nil {
		dedicator = parts.engine
	}
	parts.plugin = tenantisolation.New(parts.logger, parts.handle, parts.store, dedicator)
}

func (parts *parts) addAuditor(settings audit.Settings) {
	parts.auditor = audit.NewAuditor(parts.handle.ClientSet(), parts.store, audit.Config{
		Namespace:  systemNamespace,
		Deployment: deploymentName,
		Instance:   instance(),
		SweepEvery: sweepEvery,
		Settings:   settings,
	}, clock.RealClock{}, klog.LoggerWithName(parts.logger, "audit"))
}

// start has the store follow the cluster, and starts what runs beside the plugin.
func (p *Process) start(ctx context.Context, parts *parts) error {
	// Pods that came before the caches had synced were refused for want of facts.
	synced := func() { parts.plugin.WakeAll("caches synced") }
	if err := parts.store.Follow(ctx, parts.handle.SharedInformerFactory(), synced); err != nil {
		return err
	}
	if parts.engine != nil {
		go parts.engine.Run(ctx)
		go p.lead(ctx, parts.store, parts.engine)
	}
	if parts.auditor != nil {
		go p.audit(ctx, parts)
	}
	return nil
}

// join takes part in the process as one more plugin. It reports whether this one audits: of
// several the first.
func (p *Process) join(dedicates bool) (audits bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// There is one table of dedicated nodes, and only one plugin knows of what a process
	// leases to its pods in memory.
	if p.plugins > 0 && (dedicates || p.dedicating > 0) {
		return false, fmt.Errorf("a plugin %s that follows an IsolationPolicy, or dedicates nodes, is for one profile only: take it out of the others, "+
			"or give all of them the policy inline, with dedication.mode: %s", tenantisolation.Name, v1alpha1.ModeDisabled)
	}
	p.plugins++
	if dedicates {
		p.dedicating++
	}
	return p.plugins == 1, nil
}

func (p *Process) exit(logger klog.Logger) func(error) {
	return func(err error) {
		// It would hold the lease and place no pod.
		logger.Error(err, "Another process has taken over, exiting")
		if p.Exit != nil {
			p.Exit(err)
			return
		}
		klog.FlushAndExit(klog.ExitFlushTimeout, 1)
	}
}

func dedicationSettings(spec *v1alpha1.IsolationPolicySpec, beside map[string]string) dedication.Settings {
	d := &spec.Dedication
	settings := dedication.Settings{
		Enabled:      d.Mode == v1alpha1.ModeEnabled,
		TaintEffect:  v1.TaintEffect(d.TaintEffect),
		SettleTime:   d.SettleTime.Duration,
		ReleaseAfter: d.ReleaseAfter.Duration,
		NodeReuse:    dedication.NodeReuse(d.NodeReuse),

		ContainersOnVMNodes: dedication.ContainersOnVMNodes(d.ContainersOnVMNodes),
		Beside:              beside,
	}
	// The leader accepts no spec with a selector that cannot be read. The error leaves it nil: no node is labelled.
	settings.LabelledNodes, _ = metav1.LabelSelectorAsSelector(spec.NodeLabel.Selector)
	if d.MaxNodesPerTenant != nil {
		settings.MaxNodesPerTenant = *d.MaxNodesPerTenant
	}
	return settings
}

func auditSettings(spec *v1alpha1.IsolationPolicySpec) audit.Settings {
	settings := audit.Settings{Paused: spec.Audit.Mode != v1alpha1.ModeEnabled}
	if spec.Audit.Remediation == v1alpha1.RemediationEvict {
		settings.EvictionsPerMinute = int(spec.Audit.EvictionsPerMinute)
	}
	return settings
}

// instance names this process in Events.
func instance() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return deploymentName
	}
	return host
}

// lead notifies the engine that this process leads, even if no pod is pending: the
// dedications that another process left behind have to be released all the same.
//
// The framework does not notify its plugins of that. The first scheduling cycle shows it,
// and so does the election. That there is no election cannot be known for sure, and a
// process that took over by mistake would end the one that leads: so without one, only the
// first cycle counts.
func (p *Process) lead(ctx context.Context, store *cluster.Store, engine *dedication.Engine) {
	// It ends with ctx only, and then nothing is to be done.
	_ = wait.PollUntilContextCancel(ctx, electionPoll, false, func(context.Context) (bool, error) {
		if !store.Synced() || !p.Election.Leads() {
			return engine.Leads(), nil
		}
		engine.Lead()
		return true, nil
	})
}

// audit audits what runs as soon as this process leads.
func (p *Process) audit(ctx context.Context, parts *parts) {
	if !p.awaitElection(ctx, parts) {
		return
	}
	parts.auditor.Run(ctx)
}

// awaitElection waits until this process leads, or has no election to win; false if it
// ends before.
func (p *Process) awaitElection(ctx context.Context, parts *parts) bool {
	var now clock.RealClock
	var alone time.Time
	return wait.PollUntilContextCancel(ctx, electionPoll, true, func(ctx context.Context) (bool, error) {
		switch {
		case !parts.store.Synced():
			return false, nil
		case p.Election.Elects():
			return p.Election.Leads(), nil
		case alone.IsZero():
			// The scheduler makes its elector when all informers have what there is, and not only those of the store.
			parts.handle.SharedInformerFactory().WaitForCacheSyncWithContext(ctx)
			alone = now.Now()
		}
		return now.Since(alone) >= noElectionAfter, nil
	}) == nil
}
