package tenantisolation

import (
	"context"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedutil "k8s.io/kubernetes/pkg/scheduler/util"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// EventsToRegister names the changes of pods and nodes after which a pod that the plugin
// refused is worth another look. What the framework has no events for (namespaces,
// RuntimeClasses, volumes, runtime handlers, a resident that changes its trust domain)
// wakes pods in waking.go.
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

// goneMemo remembers the answer to the latest event for the many pending pods that are
// asked about it.
type goneMemo struct{ last atomic.Pointer[goneEvent] }

// goneEvent is the node of a pod that has gone, with it and without it.
type goneEvent struct {
	pod *v1.Pod
	// around, pods and rules show whether the answer still holds.
	around, pods uint64
	rules        *podfacts.Rules
	change       cluster.Change
}

func (pl *Plugin) gone(rules *podfacts.Rules, pod *v1.Pod) *cluster.Change {
	around, pods := pl.store.Changes()
	event := pl.lastGone.last.Load()
	if event == nil || event.pod != pod || event.around != around || event.pods != pods || event.rules != rules {
		event = &goneEvent{pod: pod, around: around, pods: pods, rules: rules, change: pl.store.Gone(rules, pod)}
		pl.lastGone.last.Store(event)
	}
	return &event.change
}

// afterPodGone is asked for a nominated pod too: Filter counts it like one that is there,
// and the framework reports the end of a nomination by this event.
func (pl *Plugin) afterPodGone(logger klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	gone, _, err := schedutil.As[*v1.Pod](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if gone == nil {
		return fwk.QueueSkip, nil
	}
	rules := pl.store.Rules()
	change := pl.gone(rules, gone)
	subject := pl.waiting(rules, pod)
	if !change.Helps(&subject) {
		return fwk.QueueSkip, nil
	}
	logger.V(5).Info("The last resident in the way has gone", "pod", klog.KObj(pod), "node", change.Node)
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
	rules := pl.store.Rules()
	now := pl.store.SubjectOf(rules, after)
	if _, denied := now.Denied(); denied || now.Equivalent(pl.store.SubjectOf(rules, before)) {
		return fwk.QueueSkip, nil
	}
	return fwk.Queue, nil
}

func (pl *Plugin) afterNodeAdd(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	_, added, err := schedutil.As[*v1.Node](oldObj, newObj)
	if err != nil {
		return fwk.Queue, err
	}
	if added == nil {
		return fwk.QueueSkip, nil
	}
	rules := pl.store.Rules()
	node := pl.store.Added(rules, added)
	subject := pl.waiting(rules, pod)
	if isolation.Decide(&subject, &node).Allowed() {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}
