package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the framework adds to a refusal when it has looked for pods to evict, and decided.
const preemptionDecided = "preemption: "

// evicted waits until a pod is gone or going.
func (c *fixture) evicted(pod *corev1.Pod) {
	c.Helper()
	c.eventually("the eviction of "+podKey(pod), func(ctx context.Context) (bool, error) {
		got, err := c.api.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err == nil && (got.DeletionTimestamp != nil || got.UID != pod.UID), err
	})
}

func (c *fixture) untouched(pods ...*corev1.Pod) {
	c.Helper()
	for _, pod := range pods {
		got := c.get(pod)
		if got.UID != pod.UID || got.DeletionTimestamp != nil || got.Spec.NodeName == "" {
			c.Errorf("%s was evicted", podKey(pod))
		}
		for _, condition := range got.Status.Conditions {
			if condition.Type == corev1.DisruptionTarget {
				c.Errorf("%s is to be evicted: %s", podKey(pod), condition.Message)
			}
		}
	}
}

// keptOff waits until a pod has been refused because of the residents, and the framework has
// searched for pods to evict and found none.
func (c *fixture) keptOff(pod *corev1.Pod) {
	c.Helper()
	c.refused(pod, foreignThere)
	got := c.get(pod)
	if !strings.Contains(refusal(got), preemptionDecided) {
		c.Fatalf("the framework says nothing about evictions: %s", refusal(got))
	}
	if node := got.Status.NominatedNodeName; node != "" {
		c.Errorf("%s is nominated for %s, so a pod is being evicted there", podKey(pod), node)
	}
}

func TestPreemptionNeverResolvesAConflict(t *testing.T) {
	for _, class := range []string{highPriority, "system-cluster-critical", "system-node-critical"} {
		for name, resident := range map[string]struct {
			labels  []label
			options []podOption
		}{
			"of another tenant":                         {[]label{tenant("globex")}, nil},
			"of its own tenant in another trust domain": {[]label{tenant("acme"), dataClass("public")}, nil},
			"that is unmanaged":                         {nil, nil},
		} {
			t.Run(class+" and a resident "+name, func(t *testing.T) {
				c := newFixture(t)
				node := c.node()
				there := c.pod(c.namespace(resident.labels...), append(resident.options, priority(lowPriority), boundTo(node))...)
				pod := c.pod(c.namespace(tenant("acme")), priority(class))
				c.keptOff(pod)
				c.untouched(there)
			})
		}
	}
}

// Not even where the node is full as well, and evicting for room would be allowed.
func TestPreemptionOnAFullNodeWithAConflict(t *testing.T) {
	c := newFixture(t)
	node := c.node(cpus("4"))
	there := c.pod(c.namespace(tenant("globex")), priority(lowPriority), cpu("3"))
	c.expectOn(node, there)
	pod := c.pod(c.namespace(tenant("acme")), priority(highPriority), cpu("3"))
	c.keptOff(pod)
	c.untouched(there)
}

func TestPreemptionSameTenant(t *testing.T) {
	for name, tc := range map[string]struct {
		there []label
		class string
		evict bool
	}{
		"evicts a lower priority of its own tenant in another trust domain": {[]label{tenant("acme"), dataClass("public")}, lowPriority, true},
		"leaves the same priority of its own tenant":                        {[]label{tenant("acme"), dataClass("public")}, highPriority, false},
		"leaves another tenant":                                             {[]label{tenant("globex")}, lowPriority, false},
		"leaves an unmanaged pod":                                           {nil, lowPriority, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixtureWith(t, map[string]any{"preemption": "SameTenant"})
			node := c.node()
			there := c.pod(c.namespace(tc.there...), priority(tc.class), boundTo(node))
			pod := c.pod(c.namespace(tenant("acme")), priority(highPriority))
			if tc.evict {
				c.expectOn(node, pod)
				c.evicted(there)
				return
			}
			c.keptOff(pod)
			c.untouched(there)
		})
	}
	t.Run("leaves its own tenant where another one is in the way as well", func(t *testing.T) {
		c := newFixtureWith(t, map[string]any{"preemption": "SameTenant"})
		node := c.node(kataCapable)
		own := c.pod(c.namespace(tenant("acme"), dataClass("public")), priority(lowPriority), runtimeClass(kata))
		other := c.pod(c.namespace(tenant("globex")), priority(lowPriority), runtimeClass(kata))
		c.expectOn(node, own, other)
		pod := c.pod(c.namespace(tenant("acme")), priority(highPriority))
		c.keptOff(pod)
		c.untouched(own, other)
	})
	t.Run("chooses the node of its own tenant and leaves the other one alone", func(t *testing.T) {
		c := newFixtureWith(t, map[string]any{"preemption": "SameTenant"})
		others, owns := c.node(), c.node()
		other := c.pod(c.namespace(tenant("globex")), priority(lowPriority), boundTo(others))
		own := c.pod(c.namespace(tenant("acme"), dataClass("public")), priority(lowPriority), boundTo(owns))
		pod := c.pod(c.namespace(tenant("acme")), priority(highPriority))
		c.expectOn(owns, pod)
		c.evicted(own)
		c.untouched(other)
	})
}

func TestPreemptionAny(t *testing.T) {
	for name, tc := range map[string]struct {
		there []label
		class string
		evict bool
	}{
		"evicts a lower priority of another tenant": {[]label{tenant("globex")}, lowPriority, true},
		"evicts an unmanaged pod":                   {nil, lowPriority, true},
		"leaves the same priority":                  {[]label{tenant("globex")}, highPriority, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixtureWith(t, map[string]any{"preemption": "Any"})
			node := c.node()
			there := c.pod(c.namespace(tc.there...), priority(tc.class), boundTo(node))
			pod := c.pod(c.namespace(tenant("acme")), priority(highPriority))
			if tc.evict {
				c.expectOn(node, pod)
				c.evicted(there)
				return
			}
			c.keptOff(pod)
			c.untouched(there)
		})
	}
}

// Preemption for CPU and memory is the framework's, and the preemption argument does not affect
// it, as docs/ says.
func TestPreemptionForResources(t *testing.T) {
	t.Run("evicts lower pods of its own trust domain", func(t *testing.T) {
		c := newFixture(t)
		node := c.node(cpus("4"))
		ns := c.namespace(tenant("acme"))
		low := c.pod(ns, priority(lowPriority), cpu("3"))
		c.expectOn(node, low)
		high := c.pod(ns, priority(highPriority), cpu("3"))
		c.expectOn(node, high)
		c.evicted(low)
	})
	t.Run("evicts lower virtual machines of other tenants on a shared node", func(t *testing.T) {
		c := newFixture(t)
		node := c.node(kataCapable, cpus("4"))
		low := c.pod(c.namespace(tenant("globex")), priority(lowPriority), cpu("3"), runtimeClass(kata))
		c.expectOn(node, low)
		high := c.pod(c.namespace(tenant("acme")), priority(highPriority), cpu("3"), runtimeClass(kata))
		c.expectOn(node, high)
		c.evicted(low)
	})
	t.Run("does not show the evicted tenant who came", func(t *testing.T) {
		c := newFixture(t)
		node := c.node(kataCapable, cpus("4"))
		low := c.pod(c.namespace(tenant("globex")), priority(lowPriority), cpu("3"), runtimeClass(kata), lingering)
		c.expectOn(node, low)
		high := c.pod(c.namespace(tenant("acme")), named("crown-jewels"), priority(highPriority), cpu("3"), runtimeClass(kata))
		c.evicted(low)
		c.eventually("the event about it", func(context.Context) (bool, error) {
			return len(c.eventsOf(low, "Preempted")) > 0, nil
		})
		text := fmt.Sprint(c.eventsOf(low, "Preempted")[0].Note, c.get(low).Status.Conditions)
		for _, secret := range []string{high.Name, high.Namespace, "acme"} {
			if strings.Contains(text, secret) {
				t.Errorf("it reads %q, which names %s", text, secret)
			}
		}
		c.remove(low)
		c.expectOn(node, high)
	})
}

// A pod that has preempted others is nominated for the node until it is bound, and no pod that may
// not share the node with it is placed there before.
func TestNominatedPodKeepsOtherTrustDomainsOff(t *testing.T) {
	c := newFixture(t)
	node := c.node(kataCapable, cpus("4"))
	globex := c.namespace(tenant("globex"))
	victim := c.pod(globex, priority(lowPriority), cpu("3"), runtimeClass(kata), lingering)
	c.expectOn(node, victim)
	nominated := c.pod(c.namespace(tenant("acme")), priority(highPriority), cpu("3"), runtimeClass(kata))
	c.nominatedFor(nominated, node)

	// In the victim's own trust domain and small: only the nomination keeps it off.
	third := c.pod(globex, cpu("100m"))
	c.refused(third, foreignThere)
	before := c.mark(third)

	// It is placed as soon as the nomination has ended.
	since := time.Now()
	c.remove(nominated)
	c.woken(before, since)
}

func TestNominatedPodIsPlacedFirst(t *testing.T) {
	c := newFixture(t)
	node := c.node(cpus("4"))
	acme := c.namespace(tenant("acme"))
	victim := c.pod(acme, priority(lowPriority), cpu("3"), lingering)
	c.expectOn(node, victim)
	nominated := c.pod(acme, priority(highPriority), cpu("3"))
	c.nominatedFor(nominated, node)
	third := c.pod(c.namespace(tenant("globex")))
	c.refused(third, foreignThere)
	c.remove(victim)
	c.expectOn(node, nominated)
	c.keptOff(third)
}

func (c *fixture) nominatedFor(pod *corev1.Pod, node string) {
	c.Helper()
	c.eventually("the nomination of "+podKey(pod), func(context.Context) (bool, error) {
		return c.get(pod).Status.NominatedNodeName == node, nil
	})
}
