package tenantisolation

import (
	"context"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/component-helpers/resource"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	// alwaysSampled is the number of nodes up to which the framework scores all that
	// fit (minFeasibleNodesToFind in k8s.io/kubernetes/pkg/scheduler).
	alwaysSampled = 100
	// focusNodes is how many nodes the other scorers are left to choose among. It
	// bounds what PreFilter costs.
	focusNodes = 32
)

// focus finds nodes that the pod should go to and that are known to take it.
//
// In a large cluster the framework stops looking after a sample of the nodes that fit,
// and the few that hold a pod's trust domain are seldom among them: the pod would open
// one more machine. So PreFilter asks the profile's own filters about those nodes, and
// names the ones that pass. If none does, it names none, and the framework looks at all
// nodes as ever; so no pod is refused because of it.
type focus struct {
	once sync.Once
	// usable: no PreFilter plugin runs after this one, so all of them have written what
	// their filters read.
	usable bool
}

// profile is the part of a framework that tells which plugins run when. fwk.Handle does
// not offer it; the scheduler's implementation does.
type profile interface {
	ListPlugins() *schedulerconfig.Plugins
}

func (f *focus) nodes(ctx context.Context, pl *Plugin, c *cycle, state fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) *fwk.PreFilterResult {
	if len(nodes) <= alwaysSampled || state.IsPodGroupSchedulingCycle() {
		return nil
	}
	f.once.Do(func() {
		p, ok := pl.handle.(profile)
		if !ok {
			return
		}
		enabled := p.ListPlugins().PreFilter.Enabled
		f.usable = len(enabled) > 0 && enabled[len(enabled)-1].Name == Name
		if !f.usable {
			pl.logger.Info("Another PreFilter plugin runs after this one, so above 100 nodes a pod may miss the nodes of its own trust domain: enable the plugin last")
		}
	})
	if !f.usable {
		return nil
	}
	search := &focusSearch{pl: pl, cycle: c, state: state, pod: pod, found: sets.New[string]()}
	search.request(pod)

	// PreFilter plugins that have nothing to do for the pod have left no state, and
	// their filters are not run; but the framework notes that only after this PreFilter.
	noted := state.GetSkipFilterPlugins()
	state.SetSkipFilterPlugins(skipped(state, pod))
	defer state.SetSkipFilterPlugins(noted)

	group, _ := c.subject.KernelGroup()
	pl.roster.eachHome(group, func(name string) bool { return search.try(ctx, name) })
	if search.found.Len() == 0 && c.subject.Open() {
		pl.roster.eachShared(func(name string) bool { return search.try(ctx, name) })
	}
	if search.found.Len() == 0 {
		return nil
	}
	return &fwk.PreFilterResult{NodeNames: search.found}
}

type focusSearch struct {
	pl          *Plugin
	cycle       *cycle
	state       fwk.CycleState
	pod         *v1.Pod
	cpu, memory int64
	found       sets.Set[string]
}

func (s *focusSearch) request(pod *v1.Pod) {
	requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
	s.cpu = requests.Cpu().MilliValue()
	s.memory = requests.Memory().Value()
}

// try looks at one node, and returns false when enough are found.
func (s *focusSearch) try(ctx context.Context, name string) bool {
	info, err := s.pl.handle.SnapshotSharedLister().NodeInfos().Get(name)
	if err != nil || info.Node() == nil || !s.hasRoom(info) {
		return true
	}
	if !isolation.Decide(&s.cycle.subject, s.pl.node(s.state, s.cycle.rules, info)).Allowed() {
		return true
	}
	status := s.pl.handle.RunFilterPluginsWithNominatedPods(ctx, s.state, s.pod, info)
	if status.Code() == fwk.Error {
		klog.FromContext(ctx).V(5).Info("A filter could not judge ahead of time", "pod", klog.KObj(s.pod), "node", name, "err", status.AsError())
	}
	if status.IsSuccess() {
		s.found.Insert(name)
	}
	return s.found.Len() < focusNodes
}

// hasRoom spares the filters the many full nodes of a large tenant.
func (s *focusSearch) hasRoom(info fwk.NodeInfo) bool {
	allocatable, requested := info.GetAllocatable(), info.GetRequested()
	return len(info.GetPods()) < allocatable.GetAllowedPodNumber() &&
		s.cpu <= allocatable.GetMilliCPU()-requested.GetMilliCPU() &&
		s.memory <= allocatable.GetMemory()-requested.GetMemory()
}

// leaveState are the in-tree plugins that leave "PreFilter<name>" in the cycle's state
// unless they have nothing to do for the pod.
var leaveState = []string{
	names.NodeAffinity,
	names.NodePorts,
	names.InterPodAffinity,
	names.PodTopologySpread,
	names.VolumeRestrictions,
	names.VolumeZone,
	names.NodeDeclaredFeatures,
}

// skipped returns the plugins that have nothing to do for the pod. Of a plugin that is
// not known here the filter is run, and fails for want of its state: then the node is
// not named, which is safe.
func skipped(state fwk.CycleState, pod *v1.Pod) sets.Set[string] {
	skip := sets.New[string]()
	for _, name := range leaveState {
		if _, err := state.Read(fwk.StateKey("PreFilter" + name)); err != nil {
			skip.Insert(name)
		}
	}
	if len(claimKeys(pod)) == 0 {
		skip.Insert(names.VolumeBinding)
	}
	return skip
}
