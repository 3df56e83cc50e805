package integration

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Each case makes a pod that is refused, then a change that seems to help and does not, and then
// one of the same kind that does. The first must not wake the pod. The second shows that the
// test would have seen it wake, and that the scheduler had received the first.
func TestRequeueIgnoresOtherChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		setup  func(c *fixture) (refused *corev1.Pod, useless, helpful func())
	}{
		"a label of the pod's namespace that no rule reads": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, _ := c.conflict()
			return refused,
				func() { c.relabel(refused.Namespace, otherLabel("red")) },
				func() { c.relabel(refused.Namespace, tenant("acme")) }
		}},
		"a label of the resident's namespace that no rule reads": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			return refused,
				func() { c.relabel(foreign.Namespace, otherLabel("red")) },
				func() { c.relabel(foreign.Namespace, tenant("globex")) }
		}},
		"a third tenant takes over the resident's namespace": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			return refused,
				func() { c.relabel(foreign.Namespace, tenant("initech")) },
				func() { c.relabel(foreign.Namespace, tenant("globex")) }
		}},
		"another namespace becomes a tenant's": {noTenant, func(c *fixture) (*corev1.Pod, func(), func()) {
			c.node()
			ns, other := c.namespace(), c.namespace()
			return c.pod(ns),
				func() { c.relabel(other, tenant("acme")) },
				func() { c.relabel(ns, tenant("acme")) }
		}},
		"a foreign pod goes while another one is still there": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			second := c.pod(foreign.Namespace)
			c.placed(second)
			return refused, func() { c.remove(foreign) }, func() { c.remove(second) }
		}},
		"a foreign pod goes while another one is still terminating": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			second := c.pod(foreign.Namespace, lingering)
			c.placed(second)
			c.terminate(second)
			return refused, func() { c.remove(foreign) }, func() { c.remove(second) }
		}},
		"a pod of the same trust domain goes from a node that is closed for another reason": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			closed := c.node(tainted("example.com/closed"))
			own := c.pod(refused.Namespace, boundTo(closed))
			return refused, func() { c.remove(own) }, func() { c.remove(foreign) }
		}},
		"a foreign pod goes, and the pod has no tenant": {noTenant, func(c *fixture) (*corev1.Pod, func(), func()) {
			node := c.node()
			foreign := c.pod(c.namespace(tenant("acme")))
			c.expectOn(node, foreign)
			pod := c.pod(c.namespace())
			return pod, func() { c.remove(foreign) }, func() { c.relabel(pod.Namespace, tenant("globex")) }
		}},
		"a foreign pod comes": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			var second *corev1.Pod
			return refused,
				func() { second = c.pod(foreign.Namespace); c.placed(second); c.remove(second) },
				func() { c.remove(foreign) }
		}},
		"the foreign pod runs, and reports so": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			return refused,
				func() { c.patchPod(foreign, `{"status":{"phase":"Running"}}`, "status") },
				func() { c.patchPod(foreign, `{"status":{"phase":"Failed"}}`, "status") }
		}},
		"the foreign pod gets a label that no rule reads": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			return refused, func() { c.patchPod(foreign, labelPatch(otherLabel("red"))) }, func() { c.remove(foreign) }
		}},
		"the foreign pod gets a privileged ephemeral container": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			return refused, func() { c.debug(foreign) }, func() { c.remove(foreign) }
		}},
		"the pod gets a label and an annotation that no rule reads": {tenantMismatch, func(c *fixture) (*corev1.Pod, func(), func()) {
			c.node()
			pod := c.pod(c.namespace(tenant("acme")), labelled(tenant("globex")))
			return pod,
				func() { c.patchPod(pod, `{"metadata":{"labels":{"a":"b"},"annotations":{"a":"b"}}}`) },
				func() { c.patchPod(pod, labelPatch(tenant("acme"))) }
		}},
		"the foreign pod's data class changes for another foreign one": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			return refused,
				func() { c.patchPod(foreign, labelPatch(dataClass("internal"))) },
				func() { c.remove(foreign) }
		}},
		"the node changes in what the rule does not read": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			node := c.get(foreign).Spec.NodeName
			return refused, func() {
				c.patchNode(node, `{"metadata":{"labels":{"a":"b"},"annotations":{"a":"b"}}}`)
				c.patchNode(node, `{"status":{"allocatable":{"cpu":"16"}}}`, "status")
				c.patchNode(node, `{"spec":{"taints":[{"key":"example.com/soft","effect":"PreferNoSchedule"}]}}`)
				c.patchNode(node, `{"spec":{"taints":null}}`)
			}, func() { c.remove(foreign) }
		}},
		"another node goes": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			closed := c.node(tainted("example.com/closed"))
			refused, _ := c.conflict()
			return refused,
				func() { c.must(c.api.CoreV1().Nodes().Delete(c.Context(), closed, metav1.DeleteOptions{})) },
				func() { c.node() }
		}},
		"a node is added that lacks the pod's handler": {handlerMissing, func(c *fixture) (*corev1.Pod, func(), func()) {
			c.node(plainOnly)
			return c.pod(c.namespace(tenant("acme")), runtimeClass(kata)),
				func() { c.node(plainOnly) },
				func() { c.node(kataCapable) }
		}},
		"the node reports a handler that is not the pod's": {handlerMissing, func(c *fixture) (*corev1.Pod, func(), func()) {
			node := c.node(plainOnly)
			return c.pod(c.namespace(tenant("acme")), runtimeClass(kata)),
				func() { c.reportHandlers(node, handlerOf[otherKata]) },
				func() { c.reportHandlers(node, handlerOf[kata]) }
		}},
		"the node reports the pod's handler and holds a foreign pod": {handlerMissing, func(c *fixture) (*corev1.Pod, func(), func()) {
			node := c.node(handlers("runc"))
			foreign := c.pod(c.namespace(tenant("acme")))
			c.expectOn(node, foreign)
			return c.pod(c.namespace(tenant("globex")), runtimeClass(kata)),
				func() { c.reportHandlers(node, handlerOf[kata], "runc") },
				func() { c.remove(foreign) }
		}},
		"an unused RuntimeClass comes and goes": {runtimeUnknown, func(c *fixture) (*corev1.Pod, func(), func()) {
			c.node(kataCapable)
			name, other := c.name("class"), c.name("class")
			return c.podOfClassThatIsGone(c.namespace(tenant("acme")), name),
				func() { c.runtimeClass(other, handlerOf[kata]); c.removeRuntimeClass(other) },
				func() { c.runtimeClass(name, handlerOf[kata]) }
		}},
		// What it was bound as, it stays (L10).
		"the resident's RuntimeClass is created again with a handler that isolates": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			c.node(kataCapable)
			name := c.name("class")
			c.runtimeClass(name, handlerOf[plainClass])
			resident := c.pod(c.namespace(tenant("acme")), runtimeClass(name))
			c.placed(resident)
			return c.pod(c.namespace(tenant("globex")), runtimeClass(kata)),
				func() { c.removeRuntimeClass(name); c.runtimeClass(name, handlerOf[kata]) },
				func() { c.remove(resident) }
		}},
		"an unused PersistentVolumeClaim is bound": {foreignThere, func(c *fixture) (*corev1.Pod, func(), func()) {
			refused, foreign := c.conflict()
			return refused, func() { c.boundPVC(refused.Namespace, csiVolume) }, func() { c.remove(foreign) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			pod, useless, helpful := tc.setup(c)
			c.refused(pod, tc.reason)
			before := c.mark(pod)
			useless()
			c.roundTrip()
			c.asleep(before)
			since := time.Now()
			helpful()
			c.woken(before, since)
		})
	}
}

// debug adds a privileged ephemeral container, as kubectl debug --profile=sysadmin does.
func (c *fixture) debug(pod *corev1.Pod) {
	c.Helper()
	patch := fmt.Sprintf(`{"spec":{"ephemeralContainers":[{"name":"debug-%d","image":"none","securityContext":{"privileged":true}}]}}`, time.Now().UnixNano())
	c.patchPod(pod, patch, "ephemeralcontainers")
}
