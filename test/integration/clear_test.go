package integration

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// clear takes away what the test made, except namespaces, which need a controller to go,
// and waits until the schedulers know: a bind to a node that is gone would succeed.
func (c *fixture) clear() {
	c.Helper()
	ctx := context.WithoutCancel(c.Context())
	if c.Failed() {
		c.Logf("the end of the scheduler's log:\n%s", c.journal.tail(40))
	}
	now := *metav1.NewDeleteOptions(0)
	all := metav1.ListOptions{}
	core := c.api.CoreV1()
	for _, namespace := range c.namespaces {
		pods, err := core.Pods(namespace).List(ctx, all)
		c.must(err)
		for i := range pods.Items {
			if pod := &pods.Items[i]; len(pod.Finalizers) > 0 {
				_, err := core.Pods(namespace).Patch(ctx, pod.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
				c.must(err)
			}
		}
		c.must(core.Pods(namespace).DeleteCollection(ctx, now, all))
		c.clearPVCs(ctx, namespace)
	}
	for _, pod := range c.platformPods {
		c.must(core.Pods(pod.Namespace).Delete(ctx, pod.Name, now))
	}
	for _, node := range c.nodes {
		if err := core.Nodes().Delete(ctx, node, now); !apierrors.IsNotFound(err) {
			c.must(err)
		}
	}
	c.must(c.api.StorageV1().StorageClasses().DeleteCollection(ctx, now, all))
	c.must(c.api.StorageV1().CSINodes().DeleteCollection(ctx, now, all))
	c.must(c.api.ResourceV1().ResourceSlices().DeleteCollection(ctx, now, all))
	classes, err := c.api.NodeV1().RuntimeClasses().List(ctx, all)
	c.must(err)
	for _, class := range classes.Items {
		if _, shared := handlerOf[class.Name]; !shared {
			c.must(c.api.NodeV1().RuntimeClasses().Delete(ctx, class.Name, metav1.DeleteOptions{}))
		}
	}
	err = wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return c.journal.forgot(c.nodes) && c.shared.forgot(c.nodes), nil
	})
	if err != nil {
		c.Error("a scheduler still knows nodes of this test")
	}
}

func (c *fixture) clearPVCs(ctx context.Context, namespace string) {
	c.Helper()
	pvcs, err := c.api.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{})
	c.must(err)
	for i := range pvcs.Items {
		c.removePVC(ctx, &pvcs.Items[i])
	}
}

// removePVC plays the controllers that hold a PVC and its volume back while they are
// in use.
func (c *fixture) removePVC(ctx context.Context, pvc *corev1.PersistentVolumeClaim) {
	c.Helper()
	core := c.api.CoreV1()
	free := []byte(`{"metadata":{"finalizers":null}}`)
	_, err := core.PersistentVolumeClaims(pvc.Namespace).Patch(ctx, pvc.Name, types.MergePatchType, free, metav1.PatchOptions{})
	c.must(err)
	c.must(core.PersistentVolumeClaims(pvc.Namespace).Delete(ctx, pvc.Name, metav1.DeleteOptions{}))
	if pvc.Spec.VolumeName == "" {
		return
	}
	_, err = core.PersistentVolumes().Patch(ctx, pvc.Spec.VolumeName, types.MergePatchType, free, metav1.PatchOptions{})
	c.must(err)
	c.must(core.PersistentVolumes().Delete(ctx, pvc.Spec.VolumeName, metav1.DeleteOptions{}))
}
