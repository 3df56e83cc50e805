package tenantisolation

import (
	"context"
	"errors"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// These end a binding, and the framework tries the pod again. Tenants read them.
var (
	// errJudgedOtherwise: the pod is no longer what Filter judged it to be.
	errJudgedOtherwise = errors.New("pod's trust domain or boundary has changed since it was placed")
	// errNodeTaken: somebody has come to the node meanwhile.
	errNodeTaken = errors.New(isolation.ForeignResident.Sentence())
)

// Bind binds a pod and stamps on it, in the same write, what it was judged to be: the
// labels and annotations of a Binding are merged onto the pod. The write is conditional
// on the version of the pod that was judged, so a label edited between Filter and Bind
// makes it fail, and not the isolation.
//
// A platform pod is left to the next bind plugin: nothing was judged.
func (pl *Plugin) Bind(ctx context.Context, state fwk.CycleState, pod *v1.Pod, nodeName string) *fwk.Status {
	c, err := readCycle(state)
	if err != nil {
		c = pl.newCycle(pod)
	}
	if c.subject.Platform() {
		return fwk.NewStatus(fwk.Skip)
	}
	logger := klog.FromContext(ctx)
	logger.V(3).Info("Attempting to bind pod to node", "pod", klog.KObj(pod), "node", klog.KRef("", nodeName))
	// A status written meanwhile, by ourselves even, gives the pod another version too. So
	// a conflict is looked into once before the cycle is given up.
	err = pl.bindAs(ctx, c, pl.watcher.newest(pod), nodeName)
	if apierrors.IsConflict(err) {
		if newest, getErr := pl.handle.ClientSet().CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{}); getErr != nil {
			err = getErr
		} else if newest.UID == pod.UID {
			// Of another UID it is another pod, of which nobody has judged anything.
			err = pl.bindAs(ctx, c, newest, nodeName)
		}
	}
	return fwk.AsStatus(err)
}

// bindAs binds exactly this version of the pod, if it is still what Filter judged and may
// still join the node as far as is known here: PreBind can take minutes.
func (pl *Plugin) bindAs(ctx context.Context, c *cycle, pod *v1.Pod, nodeName string) error {
	f := pl.roster.gatherer.Gather(pod)
	// The stores know of a volume that was bound in PreBind; the plugin's books may not yet.
	if !pl.cluster.resolve(c.rules, pod, &f, pl.claimNow).Equivalent(c.subject) {
		return errJudgedOtherwise
	}
	node := pl.currentNode(c.rules, nodeName)
	if !isolation.Decide(&c.subject, &node).Allowed() {
		return errNodeTaken
	}
	if cacher := pl.handle.APICacher(); cacher != nil {
		// The calls for one pod are put in order and merged there; an earlier one of them
		// may change the version, so none can be asked for.
		finished, err := cacher.BindPod(binding(c, pod, nodeName, ""))
		if err != nil {
			return err
		}
		return cacher.WaitOnFinish(ctx, finished)
	}
	return pl.handle.ClientSet().CoreV1().Pods(pod.Namespace).
		Bind(ctx, binding(c, pod, nodeName, pod.ResourceVersion), metav1.CreateOptions{})
}

func binding(c *cycle, pod *v1.Pod, nodeName, resourceVersion string) *v1.Binding {
	return &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       pod.Namespace,
			Name:            pod.Name,
			UID:             pod.UID,
			ResourceVersion: resourceVersion,
			Annotations:     map[string]string{isolation.EvidenceAnnotation: c.subject.String()},
		},
		Target: v1.ObjectReference{Kind: "Node", Name: nodeName},
	}
}
