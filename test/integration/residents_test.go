package integration

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPlatformPodsRunAnywhere(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	c.expectOn(node, c.pod(c.namespace(tenant("acme"))))
	// The shipped arguments know two platform namespaces.
	for _, namespace := range []string{metav1.NamespaceSystem, systemNamespace} {
		c.expectOn(node, c.platformPod(namespace, restrictedSpec))
	}
	c.expectOn(node, c.platformPod(metav1.NamespaceSystem, privileged, hostNetwork))
	t.Run("and keep no pod off", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		c.expectOn(node, c.platformPod(metav1.NamespaceSystem, boundTo(node)))
		c.expectOn(node, c.pod(c.namespace(tenant("globex"))))
	})
}

// platformPod goes with the test though its namespace stays.
func (c *fixture) platformPod(namespace string, options ...podOption) *corev1.Pod {
	c.Helper()
	pod := c.pod(namespace, options...)
	c.platformPods = append(c.platformPods, pod)
	return pod
}

func TestPlatformNamespaceWithATenant(t *testing.T) {
	c := newFixtureWith(t, map[string]any{
		"platformNamespaces": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"example.com/team": "platform"}}},
	})
	node := c.node()
	both := c.namespace(tenant("acme"), otherLabel("platform"))
	c.expectOn(node, c.pod(both))
	c.refused(c.pod(c.namespace(tenant("globex"))), foreignThere)
	c.expectOn(node, c.pod(c.namespace(otherLabel("platform"))))
}

func TestUnmanagedResidentKeepsEveryTenantOff(t *testing.T) {
	for name, resident := range map[string][]podOption{
		"a container":       nil,
		"a virtual machine": {runtimeClass(kata)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node(kataCapable)
			there := c.pod(c.namespace(), append(resident, boundTo(node))...)
			container, machine := c.pod(c.namespace(tenant("acme"))), c.pod(c.namespace(tenant("globex")), runtimeClass(kata))
			c.refused(container, foreignThere)
			c.refused(machine, foreignThere)
			since := time.Now()
			c.remove(there)
			// One of them takes the node.
			c.eventually("a pod on the node", func(ctx context.Context) (bool, error) {
				return c.get(container).Spec.NodeName+c.get(machine).Spec.NodeName == node, nil
			})
			t.Logf("%d ms after the resident had gone", time.Since(since).Milliseconds())
		})
	}
}

func TestUnmanagedPodIsRefused(t *testing.T) {
	c := newFixture(t)
	c.node()
	unmanaged := c.pod(c.namespace())
	c.refused(unmanaged, noTenant)
	empty := c.pod(c.namespace(tenant("")))
	c.refused(empty, emptyTenant)
	// The scheduler places no pod beside them, nor them beside any pod.
	c.stillRefused(unmanaged, empty)
}

func TestTerminatingResidentCounts(t *testing.T) {
	for name, terminate := range map[string]func(c *fixture, pod *corev1.Pod){
		"in its grace period": func(c *fixture, pod *corev1.Pod) { c.terminate(pod) },
		"held by a finalizer": func(c *fixture, pod *corev1.Pod) {
			c.patchPod(pod, `{"metadata":{"finalizers":["example.com/wait"]}}`)
			c.remove(pod)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node()
			resident := c.pod(c.namespace(tenant("acme")), lingering)
			c.expectOn(node, resident)
			incoming := c.pod(c.namespace(tenant("globex")))
			c.refused(incoming, foreignThere)
			before := c.mark(incoming)
			terminate(c, resident)
			c.roundTrip()
			c.asleep(before)
			// A later pod is refused too.
			newcomer := c.pod(c.namespace(tenant("initech")))
			c.refused(newcomer, foreignThere)
			c.remove(newcomer)

			since := time.Now()
			if name == "held by a finalizer" {
				c.patchPod(resident, `{"metadata":{"finalizers":null}}`)
			} else {
				c.remove(resident)
			}
			c.woken(before, since)
		})
	}
}
