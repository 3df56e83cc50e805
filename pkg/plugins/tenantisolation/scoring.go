package tenantisolation

import (
	"context"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// PreScore skips Score for pods to which all nodes are equal.
func (pl *Plugin) PreScore(_ context.Context, state fwk.CycleState, _ *v1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	c, err := readCycle(state)
	if err != nil || c.subject.Platform() {
		return fwk.NewStatus(fwk.Skip)
	}
	return nil
}

// Score prefers machines that the pod's trust domain has opened already, and opens a new
// one last.
func (pl *Plugin) Score(_ context.Context, state fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
	c, err := readCycle(state)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	node := pl.node(state, c.rules, info)
	if c.rules.Observes() {
		return isolation.ObservedPreference(&c.subject, node), nil
	}
	return isolation.Preference(&c.subject, node), nil
}

// ScoreExtensions returns nil: the preference is on the framework's scale already, and
// stretching it would make one cycle's steps weigh more than another's.
func (pl *Plugin) ScoreExtensions() fwk.ScoreExtensions { return nil }
