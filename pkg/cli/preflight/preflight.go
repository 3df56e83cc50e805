// Package preflight checks whether a cluster is ready for the scheduler and its policies.
// Each check has one line or more, with the fix. It only reads.
//
// # Where to find what
//
//	preflight.go  the checks in order, and their input
//	versions.go   API server, admission types, NodeRestriction
//	policies.go   the policies, and whether they are bound and deny
//	scheduler.go  the schedulers, and which of them leads
//	install.go    the rights of the scheduler
//	advice.go     what to do, as commands
//	nodes.go      RuntimeClasses, handlers, DaemonSets
//	tenants.go    namespaces and the pods in them
//	placement.go  templates and pods that reach into others' placement
//	dedicated.go  pods and templates beside the taints of dedicated nodes
//	tolerations.go  what PodTolerationRestriction lets the pods of a namespace tolerate
//	drivers.go    storage drivers that make pods on nodes which they name
//	nodepools.go  NodePools of Karpenter and the labels of nodes
//	descheduler.go  a descheduler that evicts pods which have nowhere to go
//	people.go     who may undo the isolation
package preflight

import (
	"context"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Status is the result of a check.
type Status string

// The statuses, the worst last. A check that cannot run is a warning.
const (
	Pass Status = "pass"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Result is one line.
type Result struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Says is what was found.
	Says string `json:"says"`
	// Fix is what to do, empty if nothing is wrong.
	Fix string `json:"fix,omitempty"`
	// Run are the commands for it, one after the other.
	Run []string `json:"run,omitempty"`
	// Unchecked: the check could not run, so it is unknown what it would have found.
	Unchecked bool `json:"unchecked,omitempty"`
}

// Checker has the input of the checks.
type Checker struct {
	Client kubernetes.Interface
	Policy *v1alpha1.IsolationPolicySpec
	// Installed: Policy is of an IsolationPolicy of the cluster, which can be changed.
	Installed bool
	Rules     *podfacts.Rules
	Engine    *audit.Engine
	Store     *cluster.Store
	// Lease is that of the scheduler, namespace/name, empty for the shipped one.
	Lease string
	// Now is the time.
	Now func() time.Time

	Nodes          []*v1.Node
	Namespaces     []*v1.Namespace
	Pods           []*v1.Pod
	RuntimeClasses []*nodev1.RuntimeClass
}

// Run runs every check, in a fixed order. A check that the user has no right to make is a
// warning, a kind that the API server does not serve is a failure; any other error of the API
// server ends the run.
func (c *Checker) Run(ctx context.Context) ([]Result, error) {
	var all []Result
	for _, check := range []struct {
		name string
		run  func(context.Context) ([]Result, error)
	}{
		{"api server", c.apiServer},
		{"admission types", c.admissionTypes},
		{"node restriction", c.nodeRestriction},
		{"policies", c.policies},
		{"scheduler", c.scheduler},
		{"scheduler rights", c.schedulerRights},
		{"runtime classes", c.runtimeClasses},
		{"runtime handlers", c.runtimeHandlers},
		{"daemon sets", c.daemonSets},
		{"namespaces", c.namespaces},
		{"pods", c.pods},
		{"placement", c.placement},
		{"dedicated nodes", c.dedicatedNodes},
		{"tolerations", c.tolerations},
		{"storage drivers", c.storageDrivers},
		{"node pools", c.nodePools},
		{"descheduler", c.descheduler},
		{"who administers", c.people},
	} {
		results, err := check.run(ctx)
		switch {
		case apierrors.IsForbidden(err):
			results = append(results, unchecked(advise("run preflight as a user who may read this. You are", "kubectl auth whoami"), "could not be checked: %v", err))
		case apierrors.IsNotFound(err):
			results = append(results, fail(upgradeServer(), "could not be checked: the API server does not serve what is asked for: %v", err))
		case err != nil:
			return nil, fmt.Errorf("%s: %w", check.name, err)
		}
		for i := range results {
			results[i].Check = check.name
		}
		all = append(all, results...)
	}
	return all, nil
}

func pass(format string, args ...any) []Result {
	return []Result{{Status: Pass, Says: fmt.Sprintf(format, args...)}}
}

func warn(fix advice, format string, args ...any) Result {
	return Result{Status: Warn, Says: fmt.Sprintf(format, args...), Fix: fix.says, Run: fix.run}
}

// unchecked is the result of a check that could not run.
func unchecked(fix advice, format string, args ...any) Result {
	result := warn(fix, format, args...)
	result.Unchecked = true
	return result
}

func fail(fix advice, format string, args ...any) Result {
	return Result{Status: Fail, Says: fmt.Sprintf(format, args...), Fix: fix.says, Run: fix.run}
}

// maxNamed is how many names a line lists.
const maxNamed = 3

func some(names []string) string {
	text := ""
	for i, name := range names {
		if i == maxNamed {
			return fmt.Sprintf("%s and %d more", text, len(names)-maxNamed)
		}
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}
