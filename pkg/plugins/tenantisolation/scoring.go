package tenantisolation

import (
	"context"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	fwk "k8s.io/kube-scheduler/framework"
)

// request is what a pod requests of a node: CPU in thousandths, memory in bytes. The
// overhead of a VM is part of it.
type request struct {
	cpu, memory int64
	others      map[v1.ResourceName]int64
}

func newRequest(pod *v1.Pod) request {
	r := request{}
	for name, amount := range resource.PodRequests(pod, resource.PodResourcesOptions{}) {
		switch name {
		case v1.ResourceCPU:
			r.cpu = amount.MilliValue()
		case v1.ResourceMemory:
			r.memory = amount.Value()
		default:
			if r.others == nil {
				r.others = map[v1.ResourceName]int64{}
			}
			r.others[name] = amount.Value()
		}
	}
	return r
}

func (r *request) of(name v1.ResourceName) float64 {
	switch name {
	case v1.ResourceCPU:
		return float64(r.cpu)
	case v1.ResourceMemory:
		return float64(r.memory)
	}
	return float64(r.others[name])
}

// fill returns how full the node would be with the pod, averaged over its resources.
func (r *request) fill(info fwk.NodeInfo) float64 {
	fill, kinds := 0.0, 0.0
	has := func(allocatable, requested, wanted int64) {
		if allocatable <= 0 {
			return
		}
		fill += float64(requested+wanted) / float64(allocatable)
		kinds++
	}
	allocatable, requested := info.GetAllocatable(), info.GetRequested()
	has(allocatable.GetMilliCPU(), requested.GetMilliCPU(), r.cpu)
	has(allocatable.GetMemory(), requested.GetMemory(), r.memory)
	for name, amount := range allocatable.GetScalarResources() {
		has(amount, requested.GetScalarResources()[name], r.others[name])
	}
	return fill / max(kinds, 1)
}

const forecastKey fwk.StateKey = Name + "/forecast"

// Clone returns the forecast itself: it is never changed.
func (f *forecast) Clone() fwk.StateData { return f }

// PreScore skips Score for pods to which all nodes are equal, and forecasts for the others
// what their trust domain will request.
func (pl *Plugin) PreScore(_ context.Context, state fwk.CycleState, _ *v1.Pod, nodes []fwk.NodeInfo) *fwk.Status {
	c, err := readCycle(state)
	if err != nil || c.subject.Platform() {
		return fwk.NewStatus(fwk.Skip)
	}
	if f := pl.newForecast(state, c, nodes); f != nil {
		state.Write(forecastKey, f)
	}
	return nil
}

// Score prefers machines that the pod's trust domain has opened already, the fullest of them.
// A machine that has to be opened comes last, one that suits the forecast first.
func (pl *Plugin) Score(_ context.Context, state fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
	c, err := readCycle(state)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	node := pl.node(state, c.rules, info)
	preferred := preference(&c.subject, node)
	if c.rules.Observes() {
		if preferred = observedPreference(&c.subject, node); preferred == 0 {
			return 0, nil // no room makes up for breaking the rule
		}
	}
	r := room{fill: c.request.fill(info)}
	if data, err := state.Read(forecastKey); err == nil {
		if f, ok := data.(*forecast); ok {
			r.suits = f.suits(info)
		}
	}
	return r.adjust(preferred), nil
}

// ScoreExtensions returns nil: the preference is on the framework's scale already, and
// stretching it would make one cycle's steps weigh more than another's.
func (pl *Plugin) ScoreExtensions() fwk.ScoreExtensions { return nil }
