package autoscaling

import (
	"fmt"
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/cli/reach"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// TestSpreadBesideNodesOfOthers asks kube-scheduler's own plugins for a pod whose constraint spreads it over hosts or
// zones. Each node of its trust domain has one pod already, so it fits there only if no node of others counts as a
// host or a zone without any.
func TestSpreadBesideNodesOfOthers(t *testing.T) {
	c := newSimulation(t)
	const prefix = "tenantisolation.dev/"
	c.namespace("acme", map[string]string{prefix + "tenant": "acme"})
	c.namespace("globex", map[string]string{prefix + "tenant": "globex"})
	c.namespace("wiki", nil)
	c.namespace(metav1.NamespaceSystem, nil)
	c.policiesActive("acme", metav1.NamespaceSystem)
	_, own := c.admitted("acme", "own")
	_, level := c.admitted("acme", "privileged", privileged)
	_, tenant := c.admitted("globex", "other")
	mine := c.openedBy(own)
	others := map[string]simulated{
		"tenant": c.openedBy(tenant), "level": c.openedBy(level), "unmanaged": {labels: isolation.UnmanagedNodeLabels().Map()},
	}
	const honor, ignore = corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore
	serial := 0
	type policies struct{ taints, affinity *corev1.NodeInclusionPolicy }
	for name, tc := range map[string]struct {
		policies
		// fit are the nodes of others beside which the pod fits on its own, with and without node labels.
		labelled, bare map[string]bool
	}{
		"a constraint that says nothing": {
			labelled: map[string]bool{"tenant": true, "level": true, "unmanaged": true},
		},
		"one that says so": {
			policies: policies{taints: ptr.To(ignore), affinity: ptr.To(honor)},
			labelled: map[string]bool{"tenant": true, "level": true, "unmanaged": true},
		},
		"one that honours taints": {
			policies: policies{taints: ptr.To(honor)},
			labelled: map[string]bool{"tenant": true, "level": true, "unmanaged": true},
			bare:     map[string]bool{"tenant": true},
		},
		"one that honours taints alone": {
			policies: policies{taints: ptr.To(honor), affinity: ptr.To(ignore)},
			labelled: map[string]bool{"tenant": true}, bare: map[string]bool{"tenant": true},
		},
		"one that ignores both": {policies: policies{taints: ptr.To(ignore), affinity: ptr.To(ignore)}},
	} {
		for _, key := range []string{corev1.LabelHostname, corev1.LabelTopologyZone} {
			for which, other := range others {
				for _, labelled := range []bool{true, false} {
					what := fmt.Sprintf("%s, over %s, beside a node of another %s with labels: %t", name, key, which, labelled)
					want := tc.bare[which]
					if labelled {
						want = tc.labelled[which]
					}
					serial++
					pod, _ := c.admitted("acme", fmt.Sprintf("web-%d", serial), func(p *corev1.Pod) {
						p.Labels = map[string]string{"app": "web"}
						p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
							MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.DoNotSchedule,
							NodeTaintsPolicy: tc.taints, NodeAffinityPolicy: tc.affinity,
							LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
						}}
					})
					cluster := &reach.Cluster{Incomplete: true, Nodes: []*corev1.Node{
						spreadNode("mine-1", mine, labelled), spreadNode("mine-2", mine, labelled), spreadNode("other", other, labelled),
					}}
					for _, ns := range []string{"acme", "globex", "wiki"} {
						cluster.Namespaces = append(cluster.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
					}
					for _, on := range []string{"mine-1", "mine-2"} {
						running := pod.DeepCopy()
						running.Name, running.UID, running.Spec.NodeName = on, types.UID(on), on
						cluster.Pods = append(cluster.Pods, running)
					}
					plugins, err := reach.New(t.Context(), cluster)
					c.must(err)
					answer, err := plugins.Ask(t.Context(), pod)
					c.must(err)
					plugins.Close()
					obstacle, waits := answer.Of("mine-1")
					if waits == want {
						t.Errorf("%s: it fits on its own node: %t, want %t (%+v)", what, !waits, want, obstacle)
					}
					if waits && obstacle.Plugin != "PodTopologySpread" {
						t.Errorf("%s: it waits because of %+v", what, obstacle)
					}
				}
			}
		}
	}
}

// spreadNode is a node in a zone of its own.
func spreadNode(name string, s simulated, labelled bool) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name, corev1.LabelTopologyZone: name}},
		Spec:       corev1.NodeSpec{Taints: s.taints},
	}
	if labelled {
		maps.Copy(node.Labels, s.labels)
	}
	return node
}
