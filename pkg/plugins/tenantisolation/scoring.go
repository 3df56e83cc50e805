package tenantisolation

import (
	"context"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	fwk "k8s.io/kube-scheduler/framework"
)

const demandKey fwk.StateKey = Name + "/demand"

// demand is what a pod asks of a node.
type demand struct {
	cpu, memory int64
	others      map[v1.ResourceName]int64
	// opening is nil if the pod opens no machine, or has no choice.
	opening *opening
}

// Clone returns the demand itself: it is never changed.
func (d *demand) Clone() fwk.StateData { return d }

func newDemand(pod *v1.Pod) *demand {
	d := &demand{}
	for name, amount := range resource.PodRequests(pod, resource.PodResourcesOptions{}) {
		switch name {
		case v1.ResourceCPU:
			d.cpu = amount.MilliValue()
		case v1.ResourceMemory:
			d.memory = amount.Value()
		default:
			if d.others == nil {
				d.others = map[v1.ResourceName]int64{}
			}
			d.others[name] = amount.Value()
		}
	}
	return d
}

func (d *demand) of(name v1.ResourceName) float64 {
	switch name {
	case v1.ResourceCPU:
		return float64(d.cpu)
	case v1.ResourceMemory:
		return float64(d.memory)
	}
	return float64(d.others[name])
}

// room returns what the pod would make of the node.
func (d *demand) room(info fwk.NodeInfo) room {
	var r room
	if d.opening != nil {
		r.suits = d.opening.suits(info)
	}
	fill, kinds := 0.0, 0.0
	has := func(allocatable, requested, wanted int64) {
		if allocatable <= 0 {
			return
		}
		fill += float64(requested+wanted) / float64(allocatable)
		kinds++
	}
	allocatable, requested := info.GetAllocatable(), info.GetRequested()
	has(allocatable.GetMilliCPU(), requested.GetMilliCPU(), d.cpu)
	has(allocatable.GetMemory(), requested.GetMemory(), d.memory)
	for name, amount := range allocatable.GetScalarResources() {
		has(amount, requested.GetScalarResources()[name], d.others[name])
	}
	if kinds > 0 {
		r.fill = fill / kinds
	}
	return r
}

// PreScore skips Score for pods to which all nodes are equal, and notes for the others what
// they ask for and which machine they should open.
func (pl *Plugin) PreScore(_ context.Context, state fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) *fwk.Status {
	c, err := readCycle(state)
	if err != nil || c.subject.Platform() {
		return fwk.NewStatus(fwk.Skip)
	}
	d := newDemand(pod)
	d.opening = pl.newOpening(state, c, d, nodes)
	state.Write(demandKey, d)
	return nil
}

// Score prefers machines that the pod's trust domain has opened already, the fullest of them,
// and opens a new one last, one that suits what the trust domain is expected to ask for.
func (pl *Plugin) Score(_ context.Context, state fwk.CycleState, pod *v1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
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
	return readDemand(state, pod).room(info).adjust(preferred), nil
}

func readDemand(state fwk.CycleState, pod *v1.Pod) *demand {
	data, err := state.Read(demandKey)
	if d, ok := data.(*demand); ok && err == nil {
		return d
	}
	return newDemand(pod) // PreScore is switched off in the profile
}

// ScoreExtensions returns nil: the preference is on the framework's scale already, and
// stretching it would make one cycle's steps weigh more than another's.
func (pl *Plugin) ScoreExtensions() fwk.ScoreExtensions { return nil }
