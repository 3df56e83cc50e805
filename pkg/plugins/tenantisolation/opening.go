package tenantisolation

import (
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	// smallLeave is the share of the machines, the best one in ten, that a trust domain leaves
	// to others as long as it has fewer than they have on average: a machine that is twice as
	// large spares one machine where many are needed, and none where one is enough.
	smallLeave = 10
	// openingLooks bounds how many nodes are looked at for what is asked for.
	openingLooks = 1000
)

// opening tells which machine a trust domain should open. A pod says little of what
// comes after it, so it is judged by what the trust domain asks for already, and by one
// machine's worth of what the whole cluster asks for.
//
// It is about capacity alone: the machines are all empty, and the rule has admitted the pod.
type opening struct {
	names []v1.ResourceName
	// expected is what is to be placed, typical what a machine has on average.
	expected, typical []float64
	// enough is how many machines of the best kind that would take.
	enough float64
}

// newOpening returns nil if a machine that is open already takes the pod.
func (pl *Plugin) newOpening(state fwk.CycleState, c *cycle, nodes []fwk.NodeInfo) *opening {
	var machines []fwk.NodeInfo
	best := int64(0)
	for _, info := range nodes {
		node := pl.node(state, c.rules, info)
		preferred := preference(&c.subject, node)
		switch {
		case !node.Occupancy.Empty():
			if isolation.Decide(&c.subject, node).Allowed() {
				return nil
			}
			continue
		case preferred > best:
			best, machines = preferred, machines[:0]
		case preferred < best:
			continue
		}
		machines = append(machines, info)
	}
	if len(machines) < 2 {
		return nil
	}
	o := &opening{names: resourceNames(machines)}
	o.typical = o.zero()
	for _, info := range machines {
		o.add(o.typical, 1/float64(len(machines)), info, free)
	}
	o.expected = o.zero()
	for i, name := range o.names {
		o.expected[i] = c.request.of(name)
	}
	homes := pl.homes(&c.subject)
	for _, info := range homes {
		o.add(o.expected, 1, info, requested)
	}
	o.addOneMachine(pl.occupied(state, c))

	loads := make([]float64, 0, len(machines))
	for _, info := range machines {
		loads = append(loads, o.load(info))
	}
	slices.Sort(loads)
	o.enough = loads[0]
	if len(homes) == 0 || float64(len(homes)) < pl.store.AverageHomes() {
		o.enough = loads[len(loads)/smallLeave]
	}
	return o
}

// homes returns the nodes that the pod's trust domain has open, or may share.
func (pl *Plugin) homes(s *isolation.Subject) []fwk.NodeInfo {
	names := make([]string, openingLooks)
	group, _ := s.KernelGroup()
	n := pl.store.Homes(group, 0, names)
	if s.Open() {
		n = pl.store.SharedNodes(0, names)
	}
	return pl.infos(names[:n])
}

func (pl *Plugin) infos(names []string) []fwk.NodeInfo {
	infos := make([]fwk.NodeInfo, 0, len(names))
	for _, name := range names {
		if info, err := pl.handle.SnapshotSharedLister().NodeInfos().Get(name); err == nil {
			infos = append(infos, info)
		}
	}
	return infos
}

// occupied returns nodes of tenants: at most openingLooks nodes are looked at, spread over
// all. On nodes without tenants there are the platform's pods alone, and many of these
// nodes would hide what tenants ask for.
func (pl *Plugin) occupied(state fwk.CycleState, c *cycle) []fwk.NodeInfo {
	all, err := pl.handle.SnapshotSharedLister().NodeInfos().List()
	if err != nil {
		return nil
	}
	var infos []fwk.NodeInfo
	step := 1 + len(all)/openingLooks
	for n := 0; n < len(all); n += step {
		if info := all[n]; info.Node() != nil && !pl.node(state, c.rules, info).Occupancy.Empty() {
			infos = append(infos, info)
		}
	}
	return infos
}

// addOneMachine adds what is asked for on these nodes to what is expected, scaled so that
// it fills one machine.
func (o *opening) addOneMachine(nodes []fwk.NodeInfo) {
	mix := o.zero()
	for _, info := range nodes {
		o.add(mix, 1, info, requested)
	}
	machines := 0.0
	for i := range mix {
		if o.typical[i] > 0 {
			machines = max(machines, mix[i]/o.typical[i])
		}
	}
	if machines == 0 {
		return
	}
	for i := range mix {
		o.expected[i] += mix[i] / machines
	}
}

// load is how many machines like this one what is expected would take, and one more for
// what the machine does not have at all: a large trust domain may well fill it with the pods
// that do not ask for that.
func (o *opening) load(info fwk.NodeInfo) float64 {
	load, besides := 0.0, 0.0
	for i, name := range o.names {
		if o.expected[i] == 0 || o.typical[i] <= 0 {
			continue
		}
		if has := free(info, name); has > 0 {
			load = max(load, o.expected[i]/has)
		} else {
			besides += min(1, o.expected[i]/o.typical[i])
		}
	}
	return load + besides
}

// suits returns how well a machine suits, from 0 to 1.
func (o *opening) suits(info fwk.NodeInfo) float64 {
	load := o.load(info)
	if o.enough >= load { // both are zero for a pod that asks for nothing
		return 1
	}
	return o.enough / load
}

func (o *opening) zero() []float64 { return make([]float64, len(o.names)) }

func (o *opening) add(to []float64, times float64, info fwk.NodeInfo, what func(fwk.NodeInfo, v1.ResourceName) float64) {
	for i, name := range o.names {
		to[i] += times * what(info, name)
	}
}

// resourceNames returns CPU, memory, and what else the nodes offer, in a fixed order.
func resourceNames(nodes []fwk.NodeInfo) []v1.ResourceName {
	others := map[v1.ResourceName]bool{}
	for _, info := range nodes {
		for name := range info.GetAllocatable().GetScalarResources() {
			others[name] = true
		}
	}
	return append([]v1.ResourceName{v1.ResourceCPU, v1.ResourceMemory}, slices.Sorted(maps.Keys(others))...)
}

func free(info fwk.NodeInfo, name v1.ResourceName) float64 {
	return amount(info.GetAllocatable(), name) - amount(info.GetRequested(), name)
}

func requested(info fwk.NodeInfo, name v1.ResourceName) float64 {
	return amount(info.GetRequested(), name)
}

func amount(r fwk.Resource, name v1.ResourceName) float64 {
	switch name {
	case v1.ResourceCPU:
		return float64(r.GetMilliCPU())
	case v1.ResourceMemory:
		return float64(r.GetMemory())
	}
	return float64(r.GetScalarResources()[name])
}
