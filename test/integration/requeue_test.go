package integration

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Each case makes a pod that is refused, and then changes one thing that helps it. The
// pod has to be placed soon, at the next attempt: a pod that no hint wakes waits five minutes for
// the framework's own flush.
func TestRequeueAfterAChangeThatHelps(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		setup  func(c *fixture) (refused *corev1.Pod, change func())
	}{
		"the foreign pod is deleted": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			refused, foreign := c.conflict()
			return refused, func() { c.remove(foreign) }
		}},
		"the foreign pod has finished": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			refused, foreign := c.conflict()
			return refused, func() { c.patchPod(foreign, `{"status":{"phase":"Succeeded"}}`, "status") }
		}},
		"the unmanaged pod is deleted": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			node := c.node()
			unmanaged := c.pod(c.namespace(), boundTo(node))
			return c.pod(c.namespace(tenant("acme"))), func() { c.remove(unmanaged) }
		}},
		"the pod's namespace gets a tenant": {noTenant, func(c *fixture) (*corev1.Pod, func()) {
			c.node()
			ns := c.namespace()
			return c.pod(ns), func() { c.relabel(ns, tenant("acme")) }
		}},
		"the pod's namespace gets the resident's tenant": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			refused, _ := c.conflict()
			return refused, func() { c.relabel(refused.Namespace, tenant("acme")) }
		}},
		"the resident's namespace gets the pod's tenant": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			refused, foreign := c.conflict()
			return refused, func() { c.relabel(foreign.Namespace, tenant("globex")) }
		}},
		"the resident's namespace gets a tenant, the pod's": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			node := c.node()
			ns := c.namespace()
			c.pod(ns, boundTo(node))
			return c.pod(c.namespace(tenant("acme"))), func() { c.relabel(ns, tenant("acme")) }
		}},
		"the demand for the machine is taken back": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			c.node(kataCapable)
			demanding := c.namespace(tenant("acme"), boundary("node"))
			c.placed(c.pod(demanding, runtimeClass(kata)))
			return c.pod(c.namespace(tenant("globex")), runtimeClass(kata)), func() { c.unlabel(demanding, boundary("").key) }
		}},
		"the demand for a virtual machine is taken back": {boundaryWeak, func(c *fixture) (*corev1.Pod, func()) {
			c.node()
			demanding := c.namespace(tenant("acme"), boundary("vm"))
			return c.pod(demanding), func() { c.relabel(demanding, boundary("container")) }
		}},
		"an invalid label of the namespace is corrected": {classUnknown, func(c *fixture) (*corev1.Pod, func()) {
			c.node()
			ns := c.namespace(tenant("acme"), dataClass("top-secret"))
			return c.pod(ns), func() { c.relabel(ns, dataClass("restricted")) }
		}},
		"an invalid label of the resident's namespace is corrected": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			node := c.node()
			ns := c.namespace(tenant("acme"), privilege("root"))
			c.pod(ns, boundTo(node))
			return c.pod(c.namespace(tenant("acme"))), func() { c.relabel(ns, privilege("baseline")) }
		}},
		"the pod's own label is corrected": {tenantMismatch, func(c *fixture) (*corev1.Pod, func()) {
			c.node()
			pod := c.pod(c.namespace(tenant("acme")), labelled(tenant("globex")))
			return pod, func() { c.patchPod(pod, labelPatch(tenant("acme"))) }
		}},
		"the pod's own label brings it into the resident's trust domain": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			c.node()
			ns := c.namespace(tenant("acme"))
			c.placed(c.pod(ns, labelled(dataClass("internal"))))
			pod := c.pod(ns)
			return pod, func() { c.patchPod(pod, labelPatch(dataClass("internal"))) }
		}},
		"the resident's own label brings it into the pod's trust domain": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			c.node()
			ns := c.namespace(tenant("acme"))
			resident := c.pod(ns)
			c.placed(resident)
			return c.pod(ns, labelled(dataClass("internal"))), func() { c.patchPod(resident, labelPatch(dataClass("internal"))) }
		}},
		"an annotation that opens the pod's virtual machine is taken away": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			c.node(kataCapable)
			c.placed(c.pod(c.namespace(tenant("acme")), runtimeClass(kata)))
			pod := c.pod(c.namespace(tenant("globex")), runtimeClass(kata), annotated(kataAnnotation, "true"))
			return pod, func() { c.patchPod(pod, fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, kataAnnotation)) }
		}},
		"the RuntimeClass is created again": {runtimeUnknown, func(c *fixture) (*corev1.Pod, func()) {
			c.node(kataCapable)
			name := c.name("class")
			pod := c.podOfClassThatIsGone(c.namespace(tenant("acme")), name)
			return pod, func() { c.runtimeClass(name, handlerOf[kata]) }
		}},
		"the RuntimeClass is created again with another handler": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			c.node(kataCapable)
			c.placed(c.pod(c.namespace(tenant("acme")), runtimeClass(kata)))
			name := c.name("class")
			c.runtimeClass(name, handlerOf[plainClass])
			pod := c.pod(c.namespace(tenant("globex")), runtimeClass(name))
			return pod, func() {
				c.removeRuntimeClass(name)
				c.runtimeClass(name, handlerOf[kata])
			}
		}},
		"a node is added": {foreignThere, func(c *fixture) (*corev1.Pod, func()) {
			refused, _ := c.conflict()
			return refused, func() { c.node() }
		}},
		"a node with the pod's handler is added": {handlerMissing, func(c *fixture) (*corev1.Pod, func()) {
			c.node(plainOnly)
			return c.pod(c.namespace(tenant("acme")), runtimeClass(kata)), func() { c.node(kataCapable) }
		}},
		"the node reports the pod's handler": {handlerMissing, func(c *fixture) (*corev1.Pod, func()) {
			node := c.node(plainOnly)
			return c.pod(c.namespace(tenant("acme")), runtimeClass(kata)), func() { c.reportHandlers(node, handlerOf[kata]) }
		}},
		"the node no longer reports any handlers": {handlerMissing, func(c *fixture) (*corev1.Pod, func()) {
			node := c.node(plainOnly)
			return c.pod(c.namespace(tenant("acme")), runtimeClass(kata)), func() { c.reportHandlers(node) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			pod, change := tc.setup(c)
			c.refused(pod, tc.reason)
			before := c.mark(pod)
			since := time.Now()
			change()
			c.woken(before, since)
		})
	}
}

func TestRequeueAfterANamespaceBecomesPlatform(t *testing.T) {
	c := newFixtureWith(t, map[string]any{
		"platformNamespaces": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"example.com/team": "platform"}}},
	})
	node := c.node()
	ns := c.namespace()
	c.pod(ns, boundTo(node))
	pod := c.pod(c.namespace(tenant("acme")))
	c.refused(pod, foreignThere)
	unmanaged := c.pod(ns)
	c.refused(unmanaged, noTenant)
	before, beforeUnmanaged := c.mark(pod), c.mark(unmanaged)
	since := time.Now()
	c.relabel(ns, otherLabel("platform"))
	c.woken(before, since)
	c.woken(beforeUnmanaged, since)
}

// An annotation by which the author of a pod configures its virtual machine.
const kataAnnotation = "io.katacontainers.config.hypervisor.enable_iommu"

func labelPatch(l label) string {
	return fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, l.key, l.value)
}

// conflict makes a node with a pod of tenant acme, and a pod of tenant globex that cannot
// join it.
func (c *fixture) conflict() (refused, foreign *corev1.Pod) {
	c.Helper()
	node := c.node()
	foreign = c.pod(c.namespace(tenant("acme")))
	c.expectOn(node, foreign)
	refused = c.pod(c.namespace(tenant("globex")))
	return refused, foreign
}

// podOfClassThatIsGone makes a pod whose RuntimeClass was there when it was created, as the
// API server demands, and no longer is when it is scheduled.
func (c *fixture) podOfClassThatIsGone(namespace, class string) *corev1.Pod {
	c.Helper()
	c.runtimeClass(class, handlerOf[kata])
	pod := c.pod(namespace, runtimeClass(class), gated)
	c.removeRuntimeClass(class)
	c.roundTrip()
	c.patchPod(pod, `{"spec":{"schedulingGates":null}}`)
	return pod
}

// reportHandlers reports runtime handlers, as a kubelet does.
func (c *fixture) reportHandlers(node string, names ...string) {
	c.Helper()
	got, err := c.api.CoreV1().Nodes().Get(c.Context(), node, metav1.GetOptions{})
	c.must(err)
	got.Status.RuntimeHandlers = runtimeHandlers(names...)
	_, err = c.api.CoreV1().Nodes().UpdateStatus(c.Context(), got, metav1.UpdateOptions{})
	c.must(err)
}

func (c *fixture) patchNode(node, patch string, subresources ...string) {
	c.Helper()
	_, err := c.api.CoreV1().Nodes().Patch(c.Context(), node, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	c.must(err)
}
