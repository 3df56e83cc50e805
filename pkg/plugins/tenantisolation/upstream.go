package tenantisolation

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/features"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"

	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Only this file depends on the inside of kube-scheduler, beyond what the scheduling
// framework offers to plugins. upstream_test.go fails if an upstream release changes it.

// alwaysSampled is the number of nodes up to which the framework scores all that fit
// (minFeasibleNodesToFind in k8s.io/kubernetes/pkg/scheduler).
const alwaysSampled = 100

// profiled is the part of a framework that knows which plugins run when. fwk.Handle does
// not offer it; the scheduler's implementation does.
type profiled interface {
	ListPlugins() *schedulerconfig.Plugins
}

// leaveState are the in-tree plugins that leave something in the cycle's state unless they
// have nothing to do for the pod, and the key under which they leave it.
var leaveState = []struct {
	name string
	key  fwk.StateKey
}{
	{names.NodeAffinity, "PreFilter" + names.NodeAffinity},
	{names.NodePorts, "PreFilter" + names.NodePorts},
	{names.InterPodAffinity, "PreFilter" + names.InterPodAffinity},
	{names.PodTopologySpread, "PreFilter" + names.PodTopologySpread},
	{names.VolumeRestrictions, "PreFilter" + names.VolumeRestrictions},
	{names.VolumeZone, "PreFilter" + names.VolumeZone},
	{names.NodeDeclaredFeatures, "PreFilter" + names.NodeDeclaredFeatures},
}

// inTree are all PreFilter plugins of Kubernetes. The filters of those that are not in
// leaveState do without state, or find it empty; VolumeBinding's alone does not.
var inTree = sets.New(
	names.NodeAffinity,
	names.NodePorts,
	names.InterPodAffinity,
	names.PodTopologySpread,
	names.VolumeRestrictions,
	names.VolumeZone,
	names.NodeDeclaredFeatures,
	names.VolumeBinding,
	names.NodeResourcesFit,
	names.NodeVolumeLimits,
	names.DynamicResources,
	names.TaintToleration,
	names.NodeUnschedulable,
	names.DeferredPodScheduling,
	names.NodeName,
)

// skipped returns the plugins that have nothing to do for the pod.
func skipped(state fwk.CycleState, pod *v1.Pod) sets.Set[string] {
	// With VolumeBinding: a map of eight is made in one go.
	skip := make(sets.Set[string], len(leaveState)+1)
	for _, plugin := range leaveState {
		if _, err := state.Read(plugin.key); err != nil {
			skip.Insert(plugin.name)
		}
	}
	if len(podfacts.PVCKeys(pod)) == 0 {
		skip.Insert(names.VolumeBinding)
	}
	return skip
}

// hasRoom reports whether a node with these other pods has the resources that the pod requests.
// What a node never has is not looked at: another filter has found it elsewhere.
func hasRoom(pod *v1.Pod, node *v1.Node, others []*v1.Pod) bool {
	info := framework.NewNodeInfo(others...)
	info.SetNode(node)
	missing := noderesources.Fits(pod, info, nil, noderesources.ResourceRequestsOptions{
		EnablePodLevelResources: utilfeature.DefaultFeatureGate.Enabled(features.PodLevelResources),
	})
	for i := range missing {
		if !missing[i].Unresolvable {
			return false
		}
	}
	return true
}
