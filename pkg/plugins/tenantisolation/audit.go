package tenantisolation

import (
	"context"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/audit"
)

const (
	// deploymentName is what the audit's Events are about.
	deploymentName = "tenant-isolation-scheduler"
	// sweepEvery is how often the audit looks at the whole cluster anew.
	sweepEvery = 5 * time.Minute
	// noElectionAfter is how long after its caches have synced a process that shows no
	// sign of an election is taken to have none.
	noElectionAfter = 10 * time.Second
)

// startAudit has this process audit what runs as soon as it leads. It is called before
// watch: of several profiles with the plugin the first one audits.
func (pl *Plugin) startAudit(ctx context.Context, args config.Audit) {
	if _, second := pl.handle.SharedInformerFactory().Core().V1().Pods().Informer().GetIndexer().GetIndexers()[byNode]; second || args.Mode != config.ModeEnabled {
		return
	}
	cfg := audit.Config{
		Namespace:  systemNamespace,
		Deployment: deploymentName,
		Instance:   instance(),
		SweepEvery: sweepEvery,
	}
	if args.Remediation == config.RemediationEvict {
		cfg.EvictionsPerMinute = int(*args.EvictionsPerMinute)
	}
	logger := klog.LoggerWithName(pl.logger, "audit")
	auditor := audit.NewAuditor(pl.handle.ClientSet(), pl.handle.SharedInformerFactory(), pl.rules.Load(), pl.roster.gatherer, cfg, clock.RealClock{}, logger)
	go func() {
		if !pl.awaitElection(ctx) {
			return
		}
		if err := auditor.Run(ctx); err != nil && ctx.Err() == nil {
			logger.Error(err, "The audit has ended")
		}
	}()
}

// instance names this process in Events.
func instance() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return deploymentName
	}
	return host
}

// awaitElection waits until this process leads, or has no election to win; false if it
// ends before.
func (pl *Plugin) awaitElection(ctx context.Context) bool {
	alone := clock.RealClock{}.Now()
	return wait.PollUntilContextCancel(ctx, time.Second, true, func(context.Context) (bool, error) {
		now := clock.RealClock{}.Now()
		if !pl.synced() {
			alone = now
			return false, nil
		}
		if pl.election.Elects() {
			return pl.election.Leads(), nil
		}
		return now.Sub(alone) >= noElectionAfter, nil
	}) == nil
}
