package tenantisolation

import (
	"context"
	"hash/fnv"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	// focusNodes is the number of nodes among which the other scorers choose. The
	// filters are run on each of them here, and again by the framework.
	focusNodes = 8
	// focusTries and focusLooks bound what it costs to find a first node: how often the
	// filters are run, and how many nodes are looked at for room.
	focusTries = 64
	focusLooks = 1000
	// focusMore bounds how many more nodes are looked at once there is one: once a trust
	// domain has filled its nodes, none of the others takes another pod.
	focusMore = 24
)

// focus finds nodes that the pod should go to and that are known to take it.
//
// In a large cluster the framework stops looking after a sample of the nodes that fit,
// and the few that hold a pod's trust domain are seldom among them: the pod would open
// one more machine. So PreFilter asks the profile's own filters about those nodes, and
// names the ones that pass. If none does, it names none, and the framework looks at all
// nodes as ever; so no pod is refused because of it.
func (pl *Plugin) focus(ctx context.Context, c *cycle, state fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) *fwk.PreFilterResult {
	if len(nodes) <= alwaysSampled || state.IsPodGroupSchedulingCycle() {
		return nil
	}
	if !pl.readProfile().focusable || boundToOneNode(pod) || heldByExtender(pl.handle.Extenders(), pod) {
		return nil
	}
	search := &focusSearch{pl: pl, cycle: c, state: state, pod: pod, found: make(sets.Set[string], focusNodes)}

	// PreFilter plugins that have nothing to do for the pod have left no state, and
	// their filters are not run; but the framework notes that only after this PreFilter.
	noted := state.GetSkipFilterPlugins()
	state.SetSkipFilterPlugins(skipped(state, pod))
	defer state.SetSkipFilterPlugins(noted)

	group, _ := c.subject.KernelGroup()
	first := search.among(ctx, func(skip int, names []string) int { return pl.store.Homes(group, skip, names) })
	if first != "" {
		pl.store.FoundHome(group, first)
	}
	if first == "" {
		first = search.among(ctx, batches(pl.dedicator.Homes(&c.subject, focusLooks)))
	}
	if first == "" && c.subject.Open() {
		if first = search.among(ctx, pl.store.SharedNodes); first != "" {
			pl.store.FoundShared(first)
		}
	}
	if first == "" && c.rules.Observes() {
		first = search.among(ctx, batches(rotated(nodes, pod)))
	}
	if first == "" {
		return nil
	}
	return &fwk.PreFilterResult{NodeNames: search.found}
}

// rotated returns the names of all nodes; each pod's list begins with another one. Where
// nothing is refused, no filter separates nodes that keep the rule from nodes that break it,
// and those that keep it may be few.
func rotated(nodes []fwk.NodeInfo, pod *v1.Pod) []string {
	names := make([]string, 0, len(nodes))
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(pod.UID))
	first := int(hash.Sum32()) % len(nodes)
	for i := range nodes {
		if node := nodes[(first+i)%len(nodes)].Node(); node != nil {
			names = append(names, node.Name)
		}
	}
	return names
}

// focusable reports whether the profile's filters can be asked from this PreFilter: if no
// PreFilter plugin runs after it, all have written what their filters read; and for each of
// them it has to be known how it shows that it has nothing to do.
func (pl *Plugin) focusable(plugins *schedulerconfig.Plugins) bool {
	enabled := plugins.PreFilter.Enabled
	for i, plugin := range enabled {
		last := i == len(enabled)-1
		if last != (plugin.Name == Name) || !last && !inTree.Has(plugin.Name) {
			pl.logger.Info("Above 100 nodes a pod may miss the nodes of its own trust domain: this plugin has to be the last of the PreFilter plugins, and the others Kubernetes' own", "plugin", plugin.Name)
			return false
		}
	}
	return len(enabled) > 0
}

// boundToOneNode reports whether the pod names the nodes it may go to, as those of
// DaemonSets do: there is nothing to prefer.
func boundToOneNode(pod *v1.Pod) bool {
	affinity := pod.Spec.Affinity
	if affinity == nil || affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	for _, term := range affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		if len(term.MatchFields) > 0 {
			return true
		}
	}
	return false
}

// heldByExtender reports whether an extender filters nodes for the pod. It is asked after
// all filters, and could refuse every node that was named.
func heldByExtender(extenders []fwk.Extender, pod *v1.Pod) bool {
	return slices.ContainsFunc(extenders, func(e fwk.Extender) bool { return e.IsFilter() && e.IsInterested(pod) })
}

type focusSearch struct {
	tries int
	pl    *Plugin
	cycle *cycle
	state fwk.CycleState
	pod   *v1.Pod
	found sets.Set[string]
}

// among looks for nodes that take the pod until enough are found or tried, and returns the
// first one. The nodes come in batches: next fills names with those after the first skip nodes.
func (s *focusSearch) among(ctx context.Context, next func(skip int, names []string) int) (first string) {
	var names [focusMore]string
	tries, looks := s.tries, 0
	for most := focusLooks; looks < most; {
		n := next(looks, names[:min(len(names), most-looks)])
		if n == 0 {
			return first
		}
		for _, name := range names[:n] {
			looks++
			if s.takes(ctx, name) {
				s.found.Insert(name)
				if first == "" {
					first, most = name, min(looks+focusMore, focusLooks)
				}
			}
			if s.found.Len() == focusNodes || s.tries-tries == focusTries {
				return first
			}
		}
	}
	return first
}

// batches returns names that are known already, in batches.
func batches(names []string) func(skip int, into []string) int {
	return func(skip int, into []string) int { return copy(into, names[min(skip, len(names)):]) }
}

func (s *focusSearch) takes(ctx context.Context, name string) bool {
	info, err := s.pl.handle.SnapshotSharedLister().NodeInfos().Get(name)
	if err != nil || info.Node() == nil || !s.hasRoom(info) {
		return false
	}
	if !isolation.Decide(&s.cycle.subject, s.pl.node(s.state, s.cycle.rules, info)).Allowed() {
		return false
	}
	s.tries++
	status := s.pl.handle.RunFilterPluginsWithNominatedPods(ctx, s.state, s.pod, info)
	if status.Code() == fwk.Error {
		klog.FromContext(ctx).V(5).Info("A filter could not judge ahead of time", "pod", klog.KObj(s.pod), "node", name, "err", status.AsError())
	}
	return status.IsSuccess()
}

// hasRoom spares the filters the many full nodes of a large tenant.
func (s *focusSearch) hasRoom(info fwk.NodeInfo) bool {
	allocatable, requested := info.GetAllocatable(), info.GetRequested()
	return len(info.GetPods()) < allocatable.GetAllowedPodNumber() &&
		s.cycle.request.cpu <= allocatable.GetMilliCPU()-requested.GetMilliCPU() &&
		s.cycle.request.memory <= allocatable.GetMemory()-requested.GetMemory()
}
