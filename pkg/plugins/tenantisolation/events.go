package tenantisolation

import (
	"context"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedutil "k8s.io/kubernetes/pkg/scheduler/util"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// EventsToRegister names the changes of pods and nodes after which a pod that the plugin
// refused is worth another look. What the framework has no events for (namespaces,
// RuntimeClasses, volumes, runtime handlers, a resident that changes its trust domain)
// wakes pods in wake.go.
func (pl *Plugin) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		// A resident that goes may have been the last one in the way. One that comes
		// never helps (L4), so Add is not registered.
		{Event: fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, QueueingHintFn: pl.afterPodGone},
		// The pod itself: its labels, annotations and ephemeral containers.
		{Event: fwk.ClusterEvent{Resource: fwk.TargetPod, ActionType: fwk.Update}, QueueingHintFn: pl.afterOwnChange},
		// A new node is an empty one. Nothing else of a node that has an event is read.
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add}, QueueingHintFn: pl.afterNodeAdd},
	}, nil
}

// goneEvent is the node of a pod that has gone, with it and without it.
type goneEvent struct {
	pod *v1.Pod
	// epoch, changes and rules tell whether the answer still holds.
	epoch, changes uint64
	rules          *podfacts.Rules
	change         nodeChange
}

func (pl *Plugin) afterPodGone(logger klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	gone, _, err := schedutil.As[*v1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if gone == nil {
		return fwk.QueueSkip, nil
	}
	node := gone.Spec.NodeName
	if node == "" {
		// Filter counts a nominated pod like one that is there, and the framework tells
		// of the end of a nomination with this event.
		node = gone.Status.NominatedNodeName
	}
	if node == "" {
		return fwk.QueueSkip, nil
	}
	rules := pl.rules.Load()
	epoch, changes := pl.cluster.epoch.Load(), pl.roster.changes.Load()
	event := pl.lastGone.Load()
	if event == nil || event.pod != gone || event.epoch != epoch || event.changes != changes || event.rules != rules {
		resident := pl.resident(rules, gone)
		after := pl.currentNode(rules, node)
		if gone.Spec.NodeName != "" {
			// It is gone, whatever the plugin's books still say. A nominated pod may
			// also have arrived, and then nothing has changed.
			after.Occupancy = after.Occupancy.Without(resident.UID)
		}
		before := after
		before.Occupancy = after.Occupancy.With(resident)
		event = &goneEvent{pod: gone, epoch: epoch, changes: changes, rules: rules, change: nodeChange{before: before, after: after}}
		pl.lastGone.Store(event)
	}
	subject := pl.asking(rules, pod)
	if !event.change.helps(&subject) {
		return fwk.QueueSkip, nil
	}
	logger.V(5).Info("The last resident in the way has gone", "pod", klog.KObj(pod), "node", node)
	return fwk.Queue, nil
}

func (pl *Plugin) afterOwnChange(_ klog.Logger, _ *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	before, after, err := schedutil.As[*v1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if before == nil || after == nil {
		return fwk.Queue, nil
	}
	rules := pl.rules.Load()
	now := pl.judge(rules, after)
	if _, denied := now.Denied(); denied || now.Equivalent(pl.judge(rules, before)) {
		return fwk.QueueSkip, nil
	}
	return fwk.Queue, nil
}

// judge judges exactly this version of a pod.
func (pl *Plugin) judge(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	return pl.roster.judge(rules, pod, pl.roster.gatherer.Gather(pod)).subject
}

func (pl *Plugin) afterNodeAdd(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	_, added, err := schedutil.As[*v1.Node](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if added == nil {
		return fwk.QueueSkip, nil
	}
	rules := pl.rules.Load()
	node := pl.currentNode(rules, added.Name)
	if _, known := pl.cluster.handlers.get(added.Name); !known {
		node.Handlers = podfacts.ReportedHandlers(added)
	}
	subject := pl.asking(rules, pod)
	if isolation.Decide(&subject, &node).Allowed() {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}
