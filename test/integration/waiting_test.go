package integration

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// waiting makes a pod that has been given a node and waits there for its volume before it is
// bound, which can take minutes: only the scheduler knows of its place. The returned
// function ends the wait.
func (c *fixture) waiting(namespace, node string) (pod *corev1.Pod, volumeComes func()) {
	c.Helper()
	unbound := c.unboundPVC(namespace)
	volume := c.offer(unbound, node)
	pod = c.pod(namespace, pvc(unbound.Name))
	c.chosen(unbound, volume)
	return pod, func() { c.bindTo(unbound, volume.Name) }
}

func TestWaitingPodKeepsItsPlace(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	pod, volumeComes := c.waiting(c.namespace(tenant("acme")), node)
	foreign := c.pod(c.namespace(tenant("globex")))
	c.refused(foreign, foreignThere)
	volumeComes()
	c.expectOn(node, pod)
	c.stillRefused(foreign)
}

func TestWaitingPodDeleted(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	pod, _ := c.waiting(c.namespace(tenant("acme")), node)
	foreign := c.pod(c.namespace(tenant("globex")))
	c.refused(foreign, foreignThere)
	since := time.Now()
	c.remove(pod)
	c.expectOn(node, foreign)
	t.Logf("%d ms after the deletion", time.Since(since).Milliseconds())
}

// What held when the node was chosen may no longer hold when the volume is there.
func TestWaitingPodThatBecameForeign(t *testing.T) {
	for name, change := range map[string]func(c *fixture, pod, resident *corev1.Pod){
		"its namespace went to another tenant": func(c *fixture, pod, _ *corev1.Pod) {
			c.relabel(pod.Namespace, tenant("globex"))
		},
		"its own label has changed": func(c *fixture, pod, _ *corev1.Pod) {
			c.patchPod(pod, labelPatch(dataClass("restricted")))
		},
		"the resident's namespace went to another tenant": func(c *fixture, _, resident *corev1.Pod) {
			c.relabel(resident.Namespace, tenant("globex"))
		},
		"the resident's own label has changed": func(c *fixture, _, resident *corev1.Pod) {
			c.patchPod(resident, labelPatch(dataClass("restricted")))
		},
		"another client put a pod of another tenant there": func(c *fixture, _, resident *corev1.Pod) {
			c.pod(c.namespace(tenant("globex")), boundTo(c.get(resident).Spec.NodeName))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node()
			resident := c.pod(c.namespace(tenant("acme")))
			c.expectOn(node, resident)
			pod, volumeComes := c.waiting(c.namespace(tenant("acme")), node)
			change(c, pod, resident)
			c.known()
			volumeComes()
			c.refused(pod, foreignThere)
		})
	}
}

// known returns when the scheduler has received a namespace and a pod that are created now,
// and so of all that has happened to namespaces and pods before.
func (c *fixture) known() {
	c.Helper()
	probe := c.pod(c.namespace())
	c.refused(probe, noTenant)
	before := c.mark(probe)
	c.relabel(probe.Namespace, tenant("probe"))
	c.eventually("another attempt at "+podKey(probe), func(context.Context) (bool, error) {
		return c.journal.attempts(podKey(probe)) > before.attempts, nil
	})
	c.remove(probe)
}
