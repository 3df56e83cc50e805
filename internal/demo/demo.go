package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/internal/checker"
	"tenantisolation.dev/scheduler/internal/controlplane"
)

const systemNamespace = "tenant-isolation-system"

// patience is how long one step may take before the demo gives up on it.
const patience = 3 * time.Minute

// Options says what the demo shows. The zero value, with Out, is what `make demo` runs.
type Options struct {
	// Workload is a manifest file or a directory of them, run instead of the embedded one.
	Workload string
	// Tenants, if any, run Workload once each, in a namespace of the tenant's name.
	Tenants []string
	// Autoscaler, if any, adds and removes the nodes of a cluster that begins without one: Karpenter.
	Autoscaler string
	// Nodes is the size of the cluster; DefaultNodes if zero.
	Nodes int
	// Scheduler is the program; bin/scheduler of this repository if empty.
	Scheduler string
	// SchedulerConfig is its configuration; the shipped one if empty.
	SchedulerConfig string
	// WithoutPolicies installs the scheduler alone, manifests/base.
	WithoutPolicies bool
	// Keep leaves everything running after the report, until the context ends.
	Keep bool
	// Out gets progress and report.
	Out io.Writer
}

// demo is one run of it.
type demo struct {
	Options
	root   string
	begin  time.Time
	plane  *controlplane.ControlPlane
	client kubernetes.Interface

	out sync.Mutex
}

// Run runs the demo and returns its outcome, which says whether the rule was kept. An error means
// that the demo could not be completed, for example after an interrupt. When Run returns, nothing
// of the demo is running.
func Run(ctx context.Context, o Options) (*Outcome, error) {
	d := &demo{Options: o, begin: time.Now()}
	if d.Nodes == 0 {
		d.Nodes = DefaultNodes
	}
	if d.Workload == "" && d.Nodes < DefaultNodes {
		return nil, fmt.Errorf("the embedded workload needs %d nodes or more", DefaultNodes)
	}
	var err error
	if d.root, err = controlplane.ModuleRoot(); err != nil {
		return nil, err
	}
	if d.SchedulerConfig == "" {
		dir := filepath.Join("components", "policy")
		if d.WithoutPolicies {
			dir = "base"
		}
		d.SchedulerConfig = filepath.Join(d.root, "manifests", dir, "scheduler-config.yaml")
	}
	before, workload, err := embeddedWorkload()
	if err != nil {
		return nil, err
	}
	if d.Workload != "" {
		before = nil
		if workload, err = loadWorkload(d.Workload); err != nil {
			return nil, err
		}
	}

	d.say("starting a control plane")
	d.plane, err = controlplane.Start(ctx, controlplane.Options{
		ControllerManager: true, Kwok: true, Progress: func(line string) { d.say("%s", line) },
	})
	if err != nil {
		return nil, err
	}
	// Its watches end before the server that they are open on.
	running, done := context.WithCancel(ctx)
	var outcome *Outcome
	if d.Autoscaler == "" {
		outcome, err = d.run(running, before, workload)
	} else {
		outcome, err = d.runAutoscaled(running)
	}
	done()
	d.say("stopping")
	if stopErr := d.plane.Stop(); stopErr != nil && err == nil {
		err = fmt.Errorf("stopping the control plane: %w", stopErr)
	}
	if ctx.Err() != nil && (err != nil || !d.Keep) {
		return outcome, context.Cause(ctx)
	}
	return outcome, err
}

func (d *demo) run(ctx context.Context, before, workload objects) (*Outcome, error) {
	client, err := d.plane.Client()
	if err != nil {
		return nil, err
	}
	d.client = client
	if err := d.install(ctx, before); err != nil {
		return nil, err
	}
	scheduler, err := d.startScheduler(ctx)
	if err != nil {
		return nil, err
	}
	if !d.WithoutPolicies {
		if err := d.awaitPolicies(ctx); err != nil {
			return nil, err
		}
	}
	if err := d.applyWorkload(ctx, workload); err != nil {
		return nil, err
	}
	observer, err := newObserver(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := observer.waitUntilSettled(ctx, d); err != nil {
		return nil, err
	}
	cluster, err := checker.Read(ctx, d.client)
	if err != nil {
		return nil, err
	}
	outcome := judge(cluster, d.Workload == "")
	lacking, err := d.explainIncomplete(ctx, observer.incompleteWorkloads())
	if err != nil {
		return nil, err
	}
	outcome.Wrong = append(outcome.Wrong, lacking...)
	outcome.Refused = observer.refused()
	if d.Workload == "" && !d.WithoutPolicies {
		made, wrong, err := d.attack(ctx, observer.list())
		if err != nil {
			return nil, fmt.Errorf("attacking: %w", err)
		}
		outcome.attacks = made
		outcome.Wrong = append(outcome.Wrong, wrong...)
	}
	d.print(outcome.Report())
	if d.Keep {
		d.keep(ctx, scheduler)
	}
	return outcome, nil
}

// install makes the cluster that the scheduler comes to: nodes, our manifests, and what
// already runs.
func (d *demo) install(ctx context.Context, before objects) error {
	d.say("making %d nodes", d.Nodes)
	if err := d.createFleet(ctx); err != nil {
		return err
	}
	if err := d.applyManifests(ctx, "examples/kata-runtimeclasses"); err != nil {
		return err
	}
	if len(before) > 0 {
		d.say("letting pods run that were there before the scheduler")
		if err := d.runBefore(ctx, before); err != nil {
			return err
		}
	}
	return d.installProduct(ctx)
}

// installProduct installs what is shipped.
func (d *demo) installProduct(ctx context.Context) error {
	dir := "overlays/default"
	if d.WithoutPolicies {
		dir = "base"
	}
	d.say("installing manifests/%s", dir)
	if !d.WithoutPolicies {
		if err := d.applyManifests(ctx, "crds"); err != nil {
			return err
		}
		if _, err := d.plane.Kubectl(ctx, "wait", "--for=condition=Established", "customresourcedefinition/isolationpolicies.tenantisolation.dev"); err != nil {
			return err
		}
	}
	if err := d.applyManifests(ctx, dir); err != nil {
		return err
	}
	// There is no kubelet that could run its image. The program that it would run is
	// started beside the control plane, with the same account and the same file.
	_, err := d.plane.Kubectl(ctx, "scale", "deployment", schedulerName, "--namespace", systemNamespace, "--replicas=0")
	return err
}

func (d *demo) applyManifests(ctx context.Context, dir string) error {
	_, err := d.plane.Kubectl(ctx, "apply", "-k", filepath.Join(d.root, "manifests", dir))
	return err
}

func (d *demo) runBefore(ctx context.Context, before objects) error {
	applier, err := newApplier(d)
	if err != nil {
		return err
	}
	if err := applier.apply(ctx, d, before); err != nil {
		return err
	}
	observer, err := newObserver(ctx, d)
	if err != nil {
		return err
	}
	return d.until(ctx, func(context.Context) (bool, error) {
		return len(observer.incompleteWorkloads()) == 0 && allAnswered(observer.list()), nil
	})
}

func (d *demo) startScheduler(ctx context.Context) (*controlplane.Scheduler, error) {
	account, err := d.plane.ServiceAccount(ctx, systemNamespace, schedulerName)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	scheduler, err := d.plane.StartScheduler(ctx, controlplane.SchedulerOptions{
		Program: d.Scheduler, Config: d.SchedulerConfig, User: account,
	})
	if err != nil {
		return nil, err
	}
	d.say("the scheduler started in %.1f s, as service account %s/%s", time.Since(begin).Seconds(), systemNamespace, schedulerName)
	return scheduler, nil
}

func (d *demo) applyWorkload(ctx context.Context, workload objects) error {
	applier, err := newApplier(d)
	if err != nil {
		return err
	}
	what := "the multi-tenant workload of internal/demo/workload"
	if d.Workload != "" {
		what = d.Workload
		var notes []string
		workload, notes = applier.served(workload)
		for _, note := range notes {
			d.say("%s", note)
		}
		workload, notes = giveTenants(workload, d.Tenants, applier.namespaced)
		for _, note := range notes {
			d.say("%s", note)
		}
	}
	d.say("applying %s: %d objects", what, len(workload))
	namespaces, rest := splitNamespaces(workload)
	if err := applier.apply(ctx, d, namespaces); err != nil {
		return err
	}
	return applier.apply(ctx, d, rest)
}

// awaitPolicies returns when the scheduler says that the admission policies are enforced.
func (d *demo) awaitPolicies(ctx context.Context) error {
	begin := time.Now()
	_, err := d.plane.Kubectl(ctx, "wait", "--for=condition=Enforced", "isolationpolicy/default", "--timeout="+patience.String())
	if err != nil {
		return fmt.Errorf("waiting for the admission policies: %w", err)
	}
	d.say("the policy is in force and enforced after %.1f s", time.Since(begin).Seconds())
	return nil
}

func (d *demo) keep(ctx context.Context, scheduler *controlplane.Scheduler) {
	d.print(strings.Join([]string{
		"",
		"Everything keeps running until Ctrl-C. To look around, in another terminal:",
		"",
		"  export KUBECONFIG=" + d.plane.AdminKubeconfig(),
		"  " + d.plane.KubectlPath() + " get pods --all-namespaces --output wide",
		"",
		"The scheduler's log: " + scheduler.Log(),
		"",
	}, "\n"))
	select {
	case <-ctx.Done():
	case <-scheduler.Exited():
		d.say("%v", d.plane.Failed())
	}
}

// until polls, and gives up when a program of the control plane has died: what is waited
// for would never come.
func (d *demo) until(ctx context.Context, done wait.ConditionWithContextFunc) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		if err := d.plane.Failed(); err != nil {
			return false, err
		}
		return done(ctx)
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return errors.New("gave up after " + patience.String())
	}
	return err
}

// say prints a line of progress.
func (d *demo) say(format string, args ...any) {
	d.print(fmt.Sprintf("[%3.0fs] "+format, append([]any{time.Since(d.begin).Seconds()}, args...)...))
}

func (d *demo) print(text string) {
	d.out.Lock()
	defer d.out.Unlock()
	fmt.Fprintln(d.Out, text)
}
