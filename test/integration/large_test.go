package integration

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Above 100 nodes the framework searches for a sample of nodes that fit, and starts where its last
// search ended.
const largeCluster = 150

func (c *fixture) manyNodes(options func(i int) []nodeOption) []string {
	c.Helper()
	var names []string
	for i := range largeCluster {
		names = append(names, c.node(options(i)...))
	}
	return names
}

// atOnce checks that the first attempt at a pod placed it.
func (c *fixture) atOnce(pod *corev1.Pod) {
	c.Helper()
	if n := c.journal.attempts(podKey(pod)); n != 1 {
		c.Errorf("%s took %d attempts, want 1", podKey(pod), n)
	}
	for _, event := range c.eventsOf(pod, "FailedScheduling") {
		c.Errorf("%s: %s", podKey(pod), event.Note)
	}
}

func TestLargeClusterKeepsTenantsTogether(t *testing.T) {
	c := newFixture(t)
	c.manyNodes(func(int) []nodeOption { return []nodeOption{kataCapable} })
	// Many tenants, because each attempt begins at another node.
	for i := range 25 {
		ns := c.namespace(tenant(fmt.Sprintf("tenant-%d", i)))
		home := c.placed(c.pod(ns))
		for range 2 {
			next := c.pod(ns)
			c.expectOn(home, next)
			c.atOnce(next)
		}
	}
}

func TestLargeClusterOfVMs(t *testing.T) {
	c := newFixture(t)
	c.manyNodes(func(int) []nodeOption { return []nodeOption{kataCapable} })
	var tenants []string
	for i := range 15 {
		tenants = append(tenants, c.namespace(tenant(fmt.Sprintf("tenant-%d", i))))
	}
	// Its namespace was made last: once it is placed, the scheduler knows all of them.
	shared := c.placed(c.pod(c.namespace(tenant("first")), runtimeClass(kata)))
	for _, ns := range tenants {
		next := c.pod(ns, runtimeClass(kata))
		c.expectOn(shared, next)
		c.atOnce(next)
	}
}

// The node of the pod's own trust domain does not fit. The pod has to find another one as if
// the plugin had not proposed that node.
func TestLargeClusterWithAFullHome(t *testing.T) {
	c := newFixture(t)
	nodes := c.manyNodes(func(i int) []nodeOption {
		options := []nodeOption{nodeLabel(corev1.LabelTopologyZone, fmt.Sprint(i%2))}
		if i%3 == 0 {
			return append(options, kataCapable)
		}
		return append(options, plainOnly)
	})
	closed := map[string]bool{}
	another := func(node string) string {
		for _, other := range nodes {
			if other != node && !closed[other] {
				return other
			}
		}
		c.Fatal("no node is free")
		return ""
	}
	// Long before it matters: nothing shows when the scheduler has received it.
	limited := nodes[2]
	c.volumeLimit(limited, 0)
	var unbound *corev1.PersistentVolumeClaim
	var offered *corev1.PersistentVolume
	for _, tc := range []struct {
		name          string
		first, second []podOption
		// between prepares the second pod, and may change the node of the first one;
		// after does what its placement waits for.
		between func(namespace, node string) []podOption
		after   func()
		// reason is why the node of the first pod refuses the second one.
		reason string
	}{
		{name: "the node is full", first: []podOption{cpu("6")}, second: []podOption{cpu("4")}, reason: "Insufficient cpu"},
		{
			name:   "a node selector excludes it",
			first:  []podOption{inZone("0")},
			second: []podOption{inZone("1")},
			reason: noMatch,
		},
		{
			name:    "a required node affinity excludes it",
			between: func(_, node string) []podOption { return []podOption{notOn(node)} },
			reason:  noMatch,
		},
		{
			name: "it has a taint",
			between: func(_, node string) []podOption {
				closed[node] = true
				c.changeNode(node, `{"spec":{"taints":[{"key":"example.com/closed","effect":"NoSchedule"}]}}`)
				return nil
			},
			reason: "untolerated taint",
		},
		{
			name: "it is cordoned",
			between: func(_, node string) []podOption {
				closed[node] = true
				c.changeNode(node, `{"spec":{"unschedulable":true}}`)
				return nil
			},
			reason: "unschedulable",
		},
		{name: "anti-affinity", first: []podOption{apart}, second: []podOption{apart}, reason: "anti-affinity rules"},
		{
			name:   "anti-affinity of the first pod alone",
			first:  []podOption{apart},
			second: []podOption{labelled(apartLabel)},
			reason: "anti-affinity rules",
		},
		{name: "topology spread", first: []podOption{spread}, second: []podOption{spread}, reason: "topology spread"},
		{name: "a host port", first: []podOption{hostPort}, second: []podOption{hostPort}, reason: "free ports"},
		{
			name: "a volume of another node",
			between: func(namespace, node string) []podOption {
				return []podOption{pvc(c.boundPVC(namespace, localVolume, another(node)))}
			},
			// The framework does not run Filter on the node.
			reason: noMatch,
		},
		{
			name: "a volume that can only be had on another node",
			between: func(namespace, node string) []podOption {
				unbound = c.unboundPVC(namespace)
				offered = c.offer(unbound, another(node))
				return []podOption{pvc(unbound.Name)}
			},
			after:  func() { c.chosen(unbound, offered); c.bindTo(unbound, offered.Name) },
			reason: "didn't find available persistent volumes",
		},
		{
			name:  "a volume of another zone",
			first: []podOption{inZone("0")},
			between: func(namespace, _ string) []podOption {
				return []podOption{pvc(c.zonalPVC(namespace, "1"))}
			},
			reason: "no available volume zone",
		},
		{
			name:  "as many volumes as it can have",
			first: []podOption{onlyOn(limited)},
			between: func(namespace, _ string) []podOption {
				return []podOption{pvc(c.boundPVC(namespace, csiVolume))}
			},
			reason: "max volume count",
		},
		{
			name:    "a daemon's pod for another node",
			between: func(_, node string) []podOption { return []podOption{daemonOf(another(node))} },
			reason:  noMatch,
		},
		{
			name: "a device of another node",
			between: func(namespace, node string) []podOption {
				return []podOption{device(c.deviceResourceClaim(namespace, another(node)))}
			},
			reason: "cannot allocate all claims",
		},
		{
			name:   "a runtime handler that it lacks",
			first:  []podOption{onlyOn(nodes[1])},
			second: []podOption{runtimeClass(kata)},
			reason: handlerMissing,
		},
	} {
		// Several times, because each attempt starts at another node.
		for i := range 3 {
			ns := c.namespace(tenant(c.name("tenant")))
			first := c.pod(ns, tc.first...)
			home := c.placed(first)
			options := tc.second
			if tc.between != nil {
				options = append(options, tc.between(ns, home)...)
			}
			// The node does refuse it, and by then the scheduler knows all that matters.
			witness := c.pod(ns, append(options, onlyOn(home))...)
			c.refused(witness, tc.reason)
			c.remove(witness)

			second := c.pod(ns, options...)
			if tc.after != nil {
				tc.after()
			}
			if node := c.placed(second); node == home {
				t.Errorf("%s (%d): the second pod is on %s as well", tc.name, i, home)
			}
			c.atOnce(second)
			c.remove(first)
			c.remove(second)
		}
	}
}

// changeNode changes a node and waits until the scheduler knows.
func (c *fixture) changeNode(node, patch string) {
	c.Helper()
	before := c.journal.count(nodeUpdateMessage, "node", node)
	c.patchNode(node, patch)
	c.eventually("the scheduler to see the change of "+node, func(context.Context) (bool, error) {
		return c.journal.count(nodeUpdateMessage, "node", node) > before, nil
	})
}

// noMatch is the framework's reason for a node that a selector or an affinity excludes.
const noMatch = "node(s) didn't match Pod's node affinity/selector"

func inZone(zone string) podOption { return selecting(corev1.LabelTopologyZone, zone) }

func notOn(node string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpNotIn, Values: []string{node},
				}},
			}}},
		}}
	}
}

var apartLabel = label{"example.com/apart", "yes"}

func apartSelector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: labelMap([]label{apartLabel})}
}

func apart(p *corev1.Pod) {
	labelled(apartLabel)(p)
	p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: corev1.LabelHostname, LabelSelector: apartSelector(),
		}},
	}}
}

func spread(p *corev1.Pod) {
	labelled(apartLabel)(p)
	p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: apartSelector(),
		// All nodes count, also for a pod that may go to one of them only.
		NodeAffinityPolicy: ptr.To(corev1.NodeInclusionPolicyIgnore),
	}}
}

func hostPort(p *corev1.Pod) {
	p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: 8080}}
}
