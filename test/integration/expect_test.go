package integration

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// What a tenant reads when its pod is refused, word for word: it is part of the contract.
const (
	foreignThere     = "node(s) hold pods of another trust domain"
	handlerMissing   = "node(s) don't offer the runtime handler of the pod's RuntimeClass"
	noTenant         = "pod has no trust domain: its namespace has no tenant label, ask an administrator to set it"
	emptyTenant      = "pod has no trust domain: its namespace's tenant label is empty"
	tenantMismatch   = "pod's tenant label differs from its namespace's: remove it from the pod"
	classUnknown     = "data-class label of the pod or its namespace is not one of the configured classes"
	privilegeUnknown = "privilege label of the pod or its namespace is not restricted, baseline or privileged"
	boundaryUnknown  = "boundary label of the pod's namespace is not container, sandbox, vm or node"
	runtimeUnknown   = "pod's RuntimeClass does not exist"
	boundaryWeak     = "pod's boundary is weaker than its namespace demands: name a VM-isolated RuntimeClass and share nothing with the host"
)

// eventually waits until a condition holds.
func (c *fixture) eventually(what string, condition wait.ConditionWithContextFunc) {
	c.Helper()
	err := wait.PollUntilContextTimeout(c.Context(), 10*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		if err := c.environment.plane.Failed(); err != nil {
			return false, err
		}
		return condition(ctx)
	})
	if err != nil {
		c.Fatalf("waiting for %s: %v", what, err)
	}
}

// placed waits until a pod is on a node, and returns the node.
func (c *fixture) placed(pod *corev1.Pod) string {
	c.Helper()
	node, reason := "", ""
	err := wait.PollUntilContextTimeout(c.Context(), 10*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		got := c.get(pod)
		node, reason = got.Spec.NodeName, refusal(got)
		return node != "", c.environment.plane.Failed()
	})
	if err != nil {
		c.Fatalf("%s is on no node (%v): %s", podKey(pod), err, reason)
	}
	return node
}

func (c *fixture) expectOn(node string, pods ...*corev1.Pod) {
	c.Helper()
	for _, pod := range pods {
		if got := c.placed(pod); got != node {
			c.Errorf("%s is on %s, want %s", podKey(pod), got, node)
		}
	}
}

// refused waits until the scheduler has refused a pod with this reason. The pod is back in the queue
// then: the scheduler requeues it before it writes the reason.
func (c *fixture) refused(pod *corev1.Pod, sentence string) {
	c.Helper()
	c.eventually("the refusal of "+podKey(pod)+" with "+sentence, func(context.Context) (bool, error) {
		got := c.get(pod)
		if got.Spec.NodeName != "" {
			c.Fatalf("%s is on %s, want it refused: %s", podKey(pod), got.Spec.NodeName, sentence)
		}
		return strings.Contains(refusal(got), sentence), nil
	})
}

// refusal returns why the pod was refused, as its owner reads it.
func refusal(pod *corev1.Pod) string {
	i := slices.IndexFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse
	})
	if i < 0 {
		return ""
	}
	return pod.Status.Conditions[i].Message
}

// stillRefused checks, once, that the pods are on no node.
func (c *fixture) stillRefused(pods ...*corev1.Pod) {
	c.Helper()
	for _, pod := range pods {
		if node := c.get(pod).Spec.NodeName; node != "" {
			c.Errorf("%s is on %s, want it on no node", podKey(pod), node)
		}
	}
}

// mark is how often the scheduler had tried and woken a pod at some moment.
type mark struct {
	pod             *corev1.Pod
	attempts, wakes int
}

// mark records how often a refused pod was tried and woken so far, to compare with after a change.
func (c *fixture) mark(pod *corev1.Pod) mark {
	c.Helper()
	key := podKey(pod)
	m := mark{pod: pod, attempts: c.journal.attempts(key), wakes: len(c.journal.wakes(key))}
	if m.attempts == 0 {
		c.Fatalf("%s was never tried: this test would show nothing", key)
	}
	return m
}

// woken waits until a change has brought a refused pod to a node, and checks that it took
// one attempt and that nothing else woke it since the mark.
func (c *fixture) woken(m mark, since time.Time) {
	c.Helper()
	node := c.placed(m.pod)
	c.Logf("%s was on %s %d ms after the change", podKey(m.pod), node, time.Since(since).Milliseconds())
	c.tried(m, 1)
}

// tried checks how often a pod was woken and tried since the mark.
func (c *fixture) tried(m mark, want int) {
	c.Helper()
	key := podKey(m.pod)
	if wakes := c.journal.wakes(key)[m.wakes:]; len(wakes) != want {
		c.Errorf("%s was woken %d times (%s), want %d", key, len(wakes), strings.Join(wakes, ", "), want)
	}
	if n := c.journal.attempts(key) - m.attempts; n != want {
		c.Errorf("%s was tried %d times, want %d", key, n, want)
	}
}

// asleep checks that nothing has woken a refused pod since the mark.
func (c *fixture) asleep(m mark) {
	c.Helper()
	c.tried(m, 0)
	c.stillRefused(m.pod)
}

// roundTrip returns when the scheduler has placed a platform pod that is created now: by
// then it has received the events of what happened before.
func (c *fixture) roundTrip() {
	c.Helper()
	pod := c.pod(metav1.NamespaceSystem, tolerant)
	c.placed(pod)
	c.remove(pod)
}

func (c *fixture) eventsOf(pod *corev1.Pod, reason string) []eventsv1.Event {
	c.Helper()
	events, err := c.api.EventsV1().Events(pod.Namespace).List(c.Context(), metav1.ListOptions{})
	c.must(err)
	return slices.DeleteFunc(events.Items, func(e eventsv1.Event) bool {
		return e.Regarding.UID != pod.UID || (reason != "" && e.Reason != reason)
	})
}
