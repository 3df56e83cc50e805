package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPodRecreatedUnderItsName(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	ns := c.namespace(tenant("acme"))
	c.expectOn(node, c.pod(ns))
	first := c.pod(ns, named("web-0"))
	c.expectOn(node, first)
	c.remove(first)
	c.refused(c.pod(ns, named("web-0"), labelled(dataClass("restricted"))), foreignThere)
}

func TestNodeRecreatedUnderItsName(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	c.expectOn(node, c.pod(c.namespace(tenant("acme"))))
	c.must(c.api.CoreV1().Nodes().Delete(c.Context(), node, metav1.DeleteOptions{}))
	c.eventually("the scheduler to forget the node", func(context.Context) (bool, error) {
		return c.journal.forgot([]string{node}), nil
	})
	c.nodeNamed(node)
	c.refused(c.pod(c.namespace(tenant("globex"))), foreignThere)
	c.expectOn(node, c.pod(c.namespace(tenant("acme"))))
}

// Pods can outlive their namespace if it is finalized by force.
func TestNamespaceDeletedBeforeItsPods(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	gone := c.namespace(tenant("acme"))
	c.expectOn(node, c.pod(gone))
	c.dropNamespace(gone)
	sameTenant := c.pod(c.namespace(tenant("acme")))
	c.refused(sameTenant, foreignThere)
	before := c.mark(sameTenant)

	// The namespace comes back late, and belongs to a tenant again.
	since := time.Now()
	c.namespaceNamed(gone, tenant("acme"))
	c.woken(before, since)
}

func TestNamespaceMissing(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	ns := c.namespace(tenant("acme"))
	pod := c.pod(ns, gated)
	c.patchPod(pod, `{"spec":{"schedulingGates":null}}`)
	c.expectOn(node, pod)

	late := c.namespace(tenant("acme"))
	pod = c.pod(late, onlyOn("nowhere"))
	c.refused(pod, "node(s) didn't match")
	c.dropNamespace(late)
	// The node is there now, and the namespace is not. No status can be written for the pod.
	before := c.mark(pod)
	c.nodeNamed("nowhere")
	c.eventually("another attempt", func(context.Context) (bool, error) {
		return c.journal.attempts(podKey(pod)) > before.attempts, nil
	})
	c.roundTrip()
	c.stillRefused(pod)

	before = c.mark(pod)
	since := time.Now()
	c.namespaceNamed(late, tenant("acme"))
	c.woken(before, since)
}

// dropNamespace deletes a namespace and leaves what is in it.
func (c *fixture) dropNamespace(name string) {
	c.Helper()
	namespaces := c.api.CoreV1().Namespaces()
	c.must(namespaces.Delete(c.Context(), name, metav1.DeleteOptions{}))
	ns, err := namespaces.Get(c.Context(), name, metav1.GetOptions{})
	c.must(err)
	ns.Spec.Finalizers = nil
	_, err = namespaces.Finalize(c.Context(), ns, metav1.UpdateOptions{})
	c.must(err)
	c.eventually("the end of namespace "+name, func(ctx context.Context) (bool, error) {
		_, err := namespaces.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// Between the filter's look at a pod and the bind, its owner may still edit the labels. The
// pod is bound as what it was judged to be, or not at all.
func TestLabelEditedBeforeTheBind(t *testing.T) {
	c := newFixture(t)
	for range 4 {
		c.node()
	}
	ns := c.namespace(tenant("acme"))
	classes := []string{"public", "internal", "confidential", "restricted"}
	// Each class has its node, so that every edit leads to another node.
	for _, class := range classes {
		c.placed(c.pod(ns, labelled(dataClass(class))))
	}
	o := c.observe()
	var editing sync.WaitGroup
	edits := make([]int, 40)
	for i := range edits {
		pod := c.pod(ns, labelled(dataClass(classes[i%len(classes)])), gated)
		editing.Go(func() { edits[i] = c.editUntilBound(pod, classes) })
	}
	editing.Wait()
	total := 0
	for _, n := range edits {
		total += n
	}
	t.Logf("%d edits of %d pods were in time", total, len(edits))
	if total < len(edits) {
		t.Error("hardly any edit came before the bind: this shows little")
	}
	c.settled()
	o.expectNoFaults()
	if n := o.bound(); n != len(edits) {
		t.Errorf("%d pods were placed, want %d", n, len(edits))
	}
}

// editUntilBound opens a pod's gate and then gives it one data class after the other, as
// long as it is on no node. It returns how often that succeeded.
func (c *fixture) editUntilBound(pod *corev1.Pod, classes []string) int {
	pods := c.api.CoreV1().Pods(pod.Namespace)
	pod.Spec.SchedulingGates = nil
	edits := 0
	for i := range 50 {
		updated, err := pods.Update(c.Context(), pod, metav1.UpdateOptions{})
		switch {
		case err == nil:
			pod = updated
			edits++
		case apierrors.IsConflict(err):
			// Another client has written its status, or bound it.
			if pod, err = pods.Get(c.Context(), pod.Name, metav1.GetOptions{}); err != nil {
				c.Error(err)
				return edits
			}
			pod.Spec.SchedulingGates = nil
		default:
			c.Error(fmt.Errorf("editing %s: %w", podKey(pod), err))
			return edits
		}
		if pod.Spec.NodeName != "" {
			return edits
		}
		pod.Labels[dataClass("").key] = classes[i%len(classes)]
	}
	return edits
}
