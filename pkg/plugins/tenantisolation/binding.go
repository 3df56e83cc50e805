package tenantisolation

import (
	"context"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// These end a binding before anything is sent, and the framework tries the pod again.
// Tenants read them.
var (
	// errJudgedOtherwise: the pod is no longer what Filter judged it to be.
	errJudgedOtherwise = unsent("pod's trust domain or boundary has changed since it was placed")
	// errNodeTaken: another pod has been bound to the node meanwhile.
	errNodeTaken = unsent(isolation.ForeignResident.Sentence())
	// errNotHeld: the node's dedication has ended meanwhile.
	errNotHeld = unsent("node(s) are no longer dedicated to the pod's trust domain")
)

// unsent is an error in words for a tenant. That it is of this type says that nothing was
// sent.
type unsent string

func (e unsent) Error() string { return string(e) }

// Bind binds a pod and stamps on it, in the same write, what it was judged to be: the
// labels and annotations of a Binding are merged onto the pod. The write is conditional
// on the version of the pod that was judged, so a label edited between Filter and Bind
// makes it fail, and not the isolation.
//
// A platform pod is left to the next bind plugin: nothing was judged.
func (pl *Plugin) Bind(ctx context.Context, state fwk.CycleState, pod *v1.Pod, nodeName string) *fwk.Status {
	c := pl.cycleOf(state, pod)
	if c.subject.Platform() {
		return fwk.NewStatus(fwk.Skip)
	}
	logger := klog.FromContext(ctx)
	logger.V(3).Info("Attempting to bind pod to node", "pod", klog.KObj(pod), "node", klog.KRef("", nodeName))
	// A status written meanwhile, by ourselves even, gives the pod another version too. So
	// a conflict is looked into once before the cycle is given up.
	err := pl.bindAs(ctx, c, pl.store.Newest(pod), nodeName)
	if apierrors.IsConflict(err) {
		if newest, getErr := pl.handle.ClientSet().CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{}); getErr != nil {
			err = getErr
		} else if newest.UID == pod.UID {
			// With another UID it is another pod, which was not judged.
			err = pl.bindAs(ctx, c, newest, nodeName)
		}
	}
	pl.dedicator.Release(pod.UID, nodeName, outcomeOf(err))
	return fwk.AsStatus(err)
}

// bindAs binds exactly this version of the pod, if it is still what Filter judged and may
// still join the node as far as is known here: PreBind can take minutes.
func (pl *Plugin) bindAs(ctx context.Context, c *cycle, pod *v1.Pod, nodeName string) error {
	// A volume may have been bound in PreBind, and another policy may be in force.
	rules := pl.store.Rules()
	subject := pl.store.SubjectNow(rules, pod)
	if !subject.Equivalent(c.subject) && !rules.Observes() {
		return errJudgedOtherwise
	}
	node := pl.store.CurrentNode(rules, nodeName)
	if rules.Refuses(isolation.Decide(&c.subject, &node)) {
		return errNodeTaken
	}
	annotations := map[string]string{}
	if _, managed := subject.TrustDomain(); managed {
		annotations[isolation.EvidenceAnnotation] = subject.String()
	}
	token, held := pl.dedicator.Token(nodeName)
	switch {
	case !held:
		return errNotHeld
	case token != "":
		annotations[dedication.TokenAnnotation] = token
	}
	if cacher := pl.handle.APICacher(); cacher != nil {
		// The calls for one pod are put in order and merged there; an earlier one of them
		// may change the version, so none can be asked for.
		finished, err := cacher.BindPod(binding(annotations, pod, nodeName, ""))
		if err != nil {
			return err
		}
		return cacher.WaitOnFinish(ctx, finished)
	}
	return pl.handle.ClientSet().CoreV1().Pods(pod.Namespace).
		Bind(ctx, binding(annotations, pod, nodeName, pod.ResourceVersion), metav1.CreateOptions{})
}

func binding(annotations map[string]string, pod *v1.Pod, nodeName, resourceVersion string) *v1.Binding {
	return &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       pod.Namespace,
			Name:            pod.Name,
			UID:             pod.UID,
			ResourceVersion: resourceVersion,
			Annotations:     annotations,
		},
		Target: v1.ObjectReference{Kind: "Node", Name: nodeName},
	}
}

// PostBind counts what the pod was placed by, and says what would have been refused.
func (pl *Plugin) PostBind(ctx context.Context, state fwk.CycleState, pod *v1.Pod, nodeName string) {
	data, err := state.Read(placementKey)
	if err != nil {
		return
	}
	p, ok := data.(*placement)
	if !ok {
		return
	}
	shared().placed(p.rules, p.reason)
	if !p.reason.Admits() {
		klog.FromContext(ctx).Info("Placed a pod that would have been refused", "pod", klog.KObj(pod), "node", klog.KRef("", nodeName), "reason", p.reason)
	}
}
