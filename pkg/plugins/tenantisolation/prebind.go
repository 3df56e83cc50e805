package tenantisolation

import (
	"context"
	"errors"
	"net/http"
	"slices"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// These end a binding, and the framework tries the pod again. Tenants read them.
const (
	errNoRoom       = unsent("node(s) have no room left for the pod: another one was bound while they were being dedicated")
	errNotDedicated = unsent("node(s) could not be dedicated for the pod")
	errNotTakenOver = unsent("dedicated nodes have not been taken over yet: the pod is retried as soon as they are")
)

// PreBindPreFlight skips PreBind where the pod's node is dedicated to it already: that a
// node has to be opened is rare, and saying so costs the framework an API call.
func (pl *Plugin) PreBindPreFlight(_ context.Context, state fwk.CycleState, pod *v1.Pod, nodeName string) (*fwk.PreBindPreFlightResult, *fwk.Status) {
	if pl.cycleOf(state, pod).subject.Platform() || pl.dedicator.ReadyToBind(pod.UID, nodeName) {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	// Not beside other plugins: a volume must not be bound to a node that is then refused.
	return &fwk.PreBindPreFlightResult{}, nil
}

// PreBind dedicates the pod's node, or waits until another pod's PreBind has done so. It returns when the pod may be
// bound.
func (pl *Plugin) PreBind(ctx context.Context, state fwk.CycleState, pod *v1.Pod, nodeName string) *fwk.Status {
	c := pl.cycleOf(state, pod)
	if c.subject.Platform() {
		return nil
	}
	err := pl.dedicator.Ensure(ctx, pod, nodeName, &c.subject)
	if err == nil && !pl.keepsRoom(pod, nodeName) {
		err = errNoRoom
	}
	if err == nil {
		return nil
	}
	klog.FromContext(ctx).Info("Node could not be dedicated", "pod", klog.KObj(pod), "node", klog.KRef("", nodeName), "err", err)
	switch {
	case errors.Is(err, errNoRoom):
	case errors.Is(err, dedication.ErrTaken), errors.Is(err, dedication.ErrDedicated):
		err = errNodeTaken
	case errors.Is(err, dedication.ErrNotReady):
		err = errNotTakenOver
	default:
		err = errNotDedicated
	}
	return fwk.AsStatus(err)
}

// keepsRoom reports whether the pod has room on its node. One that has none leaves its room at once to those that wait beside
// it: otherwise all of them would count each other, and none would stay.
func (pl *Plugin) keepsRoom(pod *v1.Pod, nodeName string) bool {
	pl.rooms.Lock()
	defer pl.rooms.Unlock()
	if pl.hasRoom(pod, nodeName) {
		return true
	}
	pl.store.Forget(pod, nodeName)
	return false
}

// hasRoom reports whether the pod still fits on its node beside everybody who is known to be
// there: pods that others bound while the node was being dedicated were not in the snapshot by
// which the pod was placed, and the store has them by now.
func (pl *Plugin) hasRoom(pod *v1.Pod, nodeName string) bool {
	node, exists := pl.store.Node(nodeName)
	if !exists {
		return true // the bind will say so
	}
	others := slices.DeleteFunc(pl.store.PodsOn(nodeName), func(other *v1.Pod) bool {
		return other.UID == pod.UID
	})
	return hasRoom(pod, node, others)
}

// cycleOf returns what the cycle knows, or works it out if PreFilter is switched off.
func (pl *Plugin) cycleOf(state fwk.CycleState, pod *v1.Pod) *cycle {
	if c, err := readCycle(state); err == nil {
		return c
	}
	return pl.newCycle(pod)
}

// refusal returns why the engine would not keep a node for a pod.
func refusal(err error) isolation.Reason {
	switch {
	case errors.Is(err, dedication.ErrTooManyNodes):
		return isolation.NodeLimit
	case errors.Is(err, dedication.ErrNotReady):
		return isolation.TakingOver
	}
	return isolation.ForeignDedication
}

// outcomeOf returns what is known of a bind that ended with the error. What an API server
// has refused never happens; of any other answer, and of none, nothing is known.
func outcomeOf(err error) dedication.Outcome {
	if early := unsent(""); err == nil || errors.As(err, &early) {
		return dedication.OutcomeKnown
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		code := int(status.Status().Code)
		if code >= http.StatusBadRequest && code < http.StatusInternalServerError && code != http.StatusRequestTimeout {
			return dedication.OutcomeKnown
		}
	}
	return dedication.OutcomeUnknown
}
