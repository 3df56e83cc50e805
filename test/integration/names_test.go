package integration

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A namespace is finalised by hand while a pod of it runs, and made again for another tenant:
// the pod is not the new tenant's.
func TestPodOlderThanItsNamespace(t *testing.T) {
	c := newFixture(t)
	token := c.scraper()
	c.auditing(token)
	node := c.node()
	ns := c.namespace(tenant("acme"))
	old := c.pod(ns, onlyOn(node), named("old"))
	c.expectOn(node, old)
	c.eventually("the pod to be older than a namespace of now", func(context.Context) (bool, error) {
		return time.Since(old.CreationTimestamp.Time) > 3*time.Second, nil
	})
	since := time.Now()
	c.finalise(ns)
	c.must(c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: labelMap([]label{tenant("globex")})}}))

	young := c.pod(ns, onlyOn(node), named("young"))
	c.refused(young, foreignThere)
	c.reported(token, "OlderThanNamespace", since, old)
	c.remove(old)
	c.expectOn(node, young)
	c.over(token, "OlderThanNamespace")
}

func (c *fixture) create(ns *corev1.Namespace) error {
	_, err := c.api.CoreV1().Namespaces().Create(c.Context(), ns, metav1.CreateOptions{})
	return err
}

// finalise deletes a namespace and takes its finalizers, as long as there are pods in it.
func (c *fixture) finalise(name string) {
	c.Helper()
	c.must(c.api.CoreV1().Namespaces().Delete(c.Context(), name, metav1.DeleteOptions{}))
	c.eventually("the end of namespace "+name, func(ctx context.Context) (bool, error) {
		ns, err := c.api.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		ns.Spec.Finalizers = nil
		_, err = c.api.CoreV1().Namespaces().Finalize(ctx, ns, metav1.UpdateOptions{})
		return false, err
	})
}

// A Node is deleted and made again while a pod is bound to its name: the pod counts, and the
// dedication is the same.
func TestNodeMadeAgain(t *testing.T) {
	c := newDedicating(t, map[string]any{"settleTime": "200ms", "releaseAfter": "200ms"})
	node := c.node()
	there := c.tenantPod(c.namespace(tenant("acme")))
	c.expectOn(node, there)
	entry := c.entryOf(node)
	before := c.getNode(node)
	c.must(c.api.CoreV1().Nodes().Delete(t.Context(), node, metav1.DeleteOptions{}))
	_, err := c.api.CoreV1().Nodes().Create(t.Context(), newNode(node), metav1.CreateOptions{})
	c.must(err)
	c.eventually("the marks of the new Node", func(context.Context) (bool, error) { return c.dedicationOn(node) == acmeAlone, nil })
	if got := c.getNode(node); got.UID == before.UID || c.entryOf(node) != entry {
		t.Errorf("node %s of entry %s, was %s of %s: want another node with the same entry", got.UID, c.entryOf(node), before.UID, entry)
	}
	guest := c.tenantPod(c.namespace(tenant("globex")))
	c.refused(guest, foreignThere)
	c.expectOn(node, c.tenantPod(there.Namespace, named("second")))
	c.remove(there)
	c.remove(c.mustGet(there.Namespace, "second"))
	c.expectOn(node, guest)
}
