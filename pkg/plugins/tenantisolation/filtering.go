package tenantisolation

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

const cycleKey fwk.StateKey = Name

// cycle is what one scheduling cycle knows of the incoming pod.
type cycle struct {
	rules   *podfacts.Rules
	subject isolation.Subject
	// request is read by what follows PreFilter.
	request request
}

const placementKey fwk.StateKey = Name + "/placement"

// placement is what Reserve judged of the node.
type placement struct {
	rules  *podfacts.Rules
	reason isolation.Reason
}

// Clone returns the placement itself: it is never changed.
func (p *placement) Clone() fwk.StateData { return p }

// Clone returns the cycle itself: it is never changed after PreFilter.
func (c *cycle) Clone() fwk.StateData { return c }

// PreFilter computes the incoming pod's trust domain and refuses a pod that no node may
// take. Above the number of nodes that the framework always looks at, it points to
// the nodes where the pod's trust domain is at home.
func (pl *Plugin) PreFilter(ctx context.Context, state fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	if pod.Spec.NodeName != "" {
		// An assigned pod that waits for a resize is where it is.
		return nil, fwk.NewStatus(fwk.Skip)
	}
	if err := pl.readProfile().fault; err != nil {
		return nil, fwk.AsStatus(err)
	}
	if !pl.store.Synced() {
		return nil, denial(isolation.FactsIncomplete)
	}
	c := pl.newCycle(pod)
	if !c.rules.InForce() {
		return nil, denial(isolation.NoPolicy)
	}
	ready := pl.ready()
	c.subject = pl.dedicator.Confine(pod, c.subject, true)
	c.request = newRequest(pod)
	shared().resolved(&c.subject)
	state.Write(cycleKey, c)
	if c.subject.Platform() {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	if !ready {
		return nil, denial(isolation.TakingOver)
	}
	if reason, denied := c.subject.Denied(); denied {
		if c.rules.Observes() {
			return nil, nil
		}
		klog.FromContext(ctx).V(4).Info("Pod may not be placed on any node", "pod", klog.KObj(pod), "reason", reason)
		return nil, denial(reason)
	}
	return pl.focus(ctx, c, state, pod, nodes), nil
}

// PreFilterExtensions returns nil: Filter reads the residents from the NodeInfo that it
// is given, where the framework has already added nominated pods and taken away the
// victims of a preemption that it tries.
func (pl *Plugin) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// Filter asks the rule whether the pod may join the node.
func (pl *Plugin) Filter(_ context.Context, state fwk.CycleState, pod *v1.Pod, info fwk.NodeInfo) *fwk.Status {
	c, err := readCycle(state)
	if err != nil {
		// PreFilter is switched off in the profile.
		if !pl.store.Synced() {
			return denial(isolation.FactsIncomplete)
		}
		c = pl.newCycle(pod)
		if !c.rules.InForce() {
			return denial(isolation.NoPolicy)
		}
		if !c.subject.Platform() && !pl.ready() {
			return denial(isolation.TakingOver)
		}
	}
	verdict := isolation.Decide(&c.subject, pl.node(state, c.rules, info))
	if !c.rules.Refuses(verdict) {
		return nil
	}
	return status(c.rules, verdict)
}

// Reserve asks the rule once more, because a namespace, a RuntimeClass or a resident may
// have changed since Filter, and remembers that the pod is on the node.
func (pl *Plugin) Reserve(ctx context.Context, state fwk.CycleState, pod *v1.Pod, nodeName string) *fwk.Status {
	// The framework has put the pod on the node already, in a copy. One that the store does not know yet would be judged as
	// a resident, whose evidence nobody has stamped.
	waiting := *pod
	waiting.Spec.NodeName = ""
	pod = &waiting
	c := pl.newCycle(pod)
	info, err := pl.handle.SnapshotSharedLister().NodeInfos().Get(nodeName)
	if err != nil {
		return fwk.AsStatus(fmt.Errorf("getting node %q from the snapshot: %w", nodeName, err))
	}
	verdict := isolation.Decide(&c.subject, pl.node(state, c.rules, info))
	if c.rules.Refuses(verdict) {
		logger := klog.FromContext(ctx)
		logger.V(4).Info("The node no longer admits the pod", "pod", klog.KObj(pod), "node", nodeName, "reason", verdict.Reason())
		// No event will follow the change that has just happened, and another node may
		// well take the pod.
		pl.handle.Activate(logger, map[string]*v1.Pod{pod.Namespace + "/" + pod.Name: pod})
		return status(c.rules, verdict)
	}
	if err := pl.dedicator.Reserve(pod, nodeName, &c.subject); err != nil {
		klog.FromContext(ctx).V(4).Info("The node cannot be dedicated to the pod", "pod", klog.KObj(pod), "node", nodeName, "err", err)
		return denial(refusal(err))
	}
	pl.store.Assume(c.rules, pod, nodeName)
	state.Write(placementKey, &placement{rules: c.rules, reason: verdict.Reason()})
	return nil
}

// Unreserve takes the pod off the node again.
func (pl *Plugin) Unreserve(_ context.Context, _ fwk.CycleState, pod *v1.Pod, nodeName string) {
	pl.store.Forget(pod, nodeName)
	pl.dedicator.Release(pod.UID, nodeName, dedication.OutcomeKnown)
}

// ready reports whether nodes can be dedicated. Only the leader has scheduling cycles, so
// being asked from one shows that this process leads.
func (pl *Plugin) ready() bool {
	pl.dedicator.Lead()
	return pl.dedicator.Ready()
}

func (pl *Plugin) newCycle(pod *v1.Pod) *cycle {
	rules := pl.store.Rules()
	return &cycle{rules: rules, subject: pl.store.Subject(rules, pod)}
}

func readCycle(state fwk.CycleState) (*cycle, error) {
	data, err := state.Read(cycleKey)
	if err != nil {
		return nil, err
	}
	c, ok := data.(*cycle)
	if !ok {
		return nil, fmt.Errorf("want %T under %q, got %T", c, cycleKey, data)
	}
	return c, nil
}

// status translates a denial. Only UnschedulableAndUnresolvable keeps preemption away
// from a node, so it is the code of every denial that may not evict. Each call makes a
// new status, because the framework writes the plugin's name into it.
func status(rules *podfacts.Rules, verdict isolation.Verdict) *fwk.Status {
	if rules.MayEvict(verdict) {
		return fwk.NewStatus(fwk.Unschedulable, verdict.Reason().Sentence())
	}
	return denial(verdict.Reason())
}

func denial(reason isolation.Reason) *fwk.Status {
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, reason.Sentence())
}
