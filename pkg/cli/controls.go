package cli

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"tenantisolation.dev/scheduler/pkg/cli/preflight"
	"tenantisolation.dev/scheduler/pkg/cli/report"
)

// checker returns the checks of a live cluster.
func (c *judgedCluster) checker() *preflight.Checker {
	return &preflight.Checker{
		Client: c.client, Policy: c.policy, Installed: c.Policy != nil, Rules: c.rules, Engine: c.engine, Store: c.store, Now: now,
		Nodes: c.Nodes, Namespaces: c.Namespaces, Pods: c.Pods, RuntimeClasses: c.RuntimeClasses,
	}
}

// unjudgedControls is unjudgedPolicy, and where that has no reason, the admission policies as they are now:
// the condition of the IsolationPolicy is what a leader wrote, which may be gone.
func (c *judgedCluster) unjudgedControls(ctx context.Context, o *options) []string {
	reasons := c.unjudgedPolicy(o)
	if len(reasons) > 0 || c.client == nil {
		return reasons
	}
	results, err := preflight.Controls(ctx, c.client)
	if apierrors.IsForbidden(err) {
		c.Warnings = append(c.Warnings, "no right to list admission policies: that they are enforced is what the leader of the scheduler last said")
		return nil
	}
	if err != nil {
		return []string{"the admission policies could not be compared with the shipped ones: " + err.Error()}
	}
	var differing []string
	for _, r := range results {
		if r.Status != preflight.Pass {
			differing = append(differing, r.Says)
		}
	}
	if len(differing) == 0 {
		return nil
	}
	return []string{"the admission policies are not as shipped: " + fewOf(differing)}
}

// controls returns the state of every control: what preflight checks, and the conditions of the policy.
func (c *judgedCluster) controls(ctx context.Context) []report.Control {
	controls := []report.Control{}
	if c.Policy != nil {
		for i := range c.Policy.Status.Conditions {
			condition := &c.Policy.Status.Conditions[i]
			controls = append(controls, report.Control{
				Name: "condition " + condition.Type, State: string(condition.Status), Says: condition.Reason + ": " + condition.Message,
			})
		}
	}
	if c.client == nil {
		return controls
	}
	results, err := c.checker().Run(ctx)
	if err != nil {
		return append(controls, report.Control{Name: "preflight", State: string(preflight.Fail), Says: fmt.Sprintf("the checks could not run: %v", err)})
	}
	for _, r := range results {
		controls = append(controls, report.Control{Name: r.Check, State: string(r.Status), Says: r.Says, Fix: r.Fix, Run: r.Run})
	}
	return controls
}
