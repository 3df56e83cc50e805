package tenantisolation

import (
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	// reservedShare: a trust domain with fewer machines than the average leaves the best one
	// in ten to others. A machine that is twice as large saves one machine where many are
	// needed, and none where one is enough.
	reservedShare = 10
	// forecastNodes bounds how many nodes are read for their requests.
	forecastNodes = 1000
)

// forecast is what a trust domain is expected to request, by which the machine that it
// should open is chosen. One pod says little about the next ones, so it is the pod, what
// the trust domain requests already, and one machine's worth of what the whole cluster
// requests.
//
// It is about capacity alone: the machines are all empty, and the rule has admitted the pod.
type forecast struct {
	names []v1.ResourceName
	// expected is what the trust domain will request, typical what a machine has on average.
	expected, typical []float64
	// fewest is the number of machines of the best shape that the expected pods need.
	fewest float64
}

// newForecast returns nil if a machine that is open already takes the pod, or if there is no
// choice.
func (pl *Plugin) newForecast(state fwk.CycleState, c *cycle, nodes []fwk.NodeInfo) *forecast {
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
	f := &forecast{names: resourceNames(machines)}
	f.typical = f.zero()
	for _, info := range machines {
		f.add(f.typical, 1/float64(len(machines)), info, free)
	}
	f.expected = f.zero()
	for i, name := range f.names {
		f.expected[i] = c.request.of(name)
	}
	homes := pl.homes(&c.subject)
	for _, info := range homes {
		f.add(f.expected, 1, info, requested)
	}
	f.addOneMachine(pl.occupied(state, c))

	needed := make([]float64, 0, len(machines))
	for _, info := range machines {
		needed = append(needed, f.machines(info))
	}
	slices.Sort(needed)
	f.fewest = needed[0]
	if len(homes) == 0 || float64(len(homes)) < pl.store.AverageHomes() {
		f.fewest = needed[len(needed)/reservedShare]
	}
	return f
}

// homes returns the nodes that the pod's trust domain has open, or may share.
func (pl *Plugin) homes(s *isolation.Subject) []fwk.NodeInfo {
	names := make([]string, forecastNodes)
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

// occupied returns nodes that hold tenants' pods: at most forecastNodes nodes are read, spread
// over all. On the others there are platform pods alone, and many of these nodes would hide
// what tenants request.
func (pl *Plugin) occupied(state fwk.CycleState, c *cycle) []fwk.NodeInfo {
	all, err := pl.handle.SnapshotSharedLister().NodeInfos().List()
	if err != nil {
		return nil
	}
	var infos []fwk.NodeInfo
	step := 1 + len(all)/forecastNodes
	for n := 0; n < len(all); n += step {
		if info := all[n]; info.Node() != nil && !pl.node(state, c.rules, info).Occupancy.Empty() {
			infos = append(infos, info)
		}
	}
	return infos
}

// addOneMachine adds the requests on these nodes to what is expected, scaled so that they
// fill one machine.
func (f *forecast) addOneMachine(nodes []fwk.NodeInfo) {
	mix := f.zero()
	for _, info := range nodes {
		f.add(mix, 1, info, requested)
	}
	machines := 0.0
	for i := range mix {
		if f.typical[i] > 0 {
			machines = max(machines, mix[i]/f.typical[i])
		}
	}
	if machines == 0 {
		return
	}
	for i := range mix {
		f.expected[i] += mix[i] / machines
	}
}

// machines returns the number of machines of this shape that the expected pods need. A
// resource that the machine does not have counts as at most one more machine: a large trust
// domain may well fill it with pods that do not request that resource.
func (f *forecast) machines(info fwk.NodeInfo) float64 {
	needed, others := 0.0, 0.0
	for i, name := range f.names {
		if f.expected[i] == 0 || f.typical[i] <= 0 {
			continue
		}
		if has := free(info, name); has > 0 {
			needed = max(needed, f.expected[i]/has)
		} else {
			others += min(1, f.expected[i]/f.typical[i])
		}
	}
	return needed + others
}

// suits returns how well a machine suits, from 0 to 1.
func (f *forecast) suits(info fwk.NodeInfo) float64 {
	needed := f.machines(info)
	if f.fewest >= needed { // both are zero for a pod that requests nothing
		return 1
	}
	return f.fewest / needed
}

func (f *forecast) zero() []float64 { return make([]float64, len(f.names)) }

func (f *forecast) add(to []float64, times float64, info fwk.NodeInfo, what func(fwk.NodeInfo, v1.ResourceName) float64) {
	for i, name := range f.names {
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
