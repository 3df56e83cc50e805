package integration

import (
	"context"
	"fmt"
	"regexp"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A pod's owner reads one sentence about what is wrong, the same whoever is on the
// nodes; no name of another tenant, namespace, pod or node is in it.
func TestRefusalNamesNoOtherTenant(t *testing.T) {
	c := newFixture(t)
	nodes := []string{
		c.nodeNamed("metal-"+c.id, kataCapable), c.nodeNamed("paper-"+c.id, kataCapable),
		c.nodeNamed("stone-"+c.id, plainOnly), c.nodeNamed("wood-"+c.id, plainOnly),
	}
	hidden := map[string][]podOption{
		nodes[0]: {runtimeClass(kata)},
		nodes[1]: {runtimeClass(kata), hostPath},
		nodes[2]: {privileged},
		nodes[3]: nil,
	}
	i := 0
	for node, options := range hidden {
		i++
		labels := []label{tenant(fmt.Sprintf("secret-customer-%d", i)), dataClass("restricted")}
		if node == nodes[3] {
			labels = nil // of no tenant
		}
		ns := c.namespaceNamed(fmt.Sprintf("merger-%s-%d", c.id, i), labels...)
		c.pod(ns, append(options, boundTo(node), named(fmt.Sprintf("ledger-%s-%d", c.id, i)))...)
	}

	for name, tc := range map[string]struct {
		namespace []label
		options   []podOption
		reason    string
	}{
		// One sentence for all residents, whatever they are.
		"a container":            {[]label{tenant("acme")}, nil, "4 " + foreignThere},
		"a pod of high priority": {[]label{tenant("acme")}, []podOption{priority(highPriority)}, "4 " + foreignThere},
		"a virtual machine that demands a machine": {
			[]label{tenant("acme"), boundary("node")},
			[]podOption{runtimeClass(kata)},
			"2 " + handlerMissing + ", 2 " + foreignThere,
		},
		"a pod without a tenant":             {nil, nil, noTenant},
		"a pod with another tenant's label":  {[]label{tenant("acme")}, []podOption{labelled(tenant("secret-customer-1"))}, tenantMismatch},
		"a pod with an unknown class":        {[]label{tenant("acme"), dataClass("cosmic")}, nil, classUnknown},
		"a pod with an unknown privilege":    {[]label{tenant("acme"), privilege("root")}, nil, privilegeUnknown},
		"a pod with an unknown boundary":     {[]label{tenant("acme"), boundary("moat")}, nil, boundaryUnknown},
		"a pod behind less than is demanded": {[]label{tenant("acme"), boundary("vm")}, nil, boundaryWeak},
	} {
		pod := c.pod(c.namespace(tc.namespace...), tc.options...)
		c.refused(pod, tc.reason)
		condition := refusal(c.get(pod))
		c.eventually("the event of "+podKey(pod), func(context.Context) (bool, error) {
			return len(c.eventsOf(pod, "FailedScheduling")) > 0, nil
		})
		event := c.eventsOf(pod, "FailedScheduling")[0].Note
		if event != condition {
			t.Errorf("%s: the event says %q, the condition %q", name, event, condition)
		}
		want := "0/4 nodes are available: " + tc.reason + ". preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling."
		if condition != want {
			t.Errorf("%s reads %q, want %q", name, condition, want)
		}
		for _, secret := range c.namesBut(pod) {
			if word := regexp.MustCompile(`\b` + regexp.QuoteMeta(secret) + `\b`); word.MatchString(condition + " " + event) {
				t.Errorf("%s reads %q, which names %s", name, condition, secret)
			}
		}
	}
}

// namesBut returns all names and tenants in the cluster except the pod's own.
func (c *fixture) namesBut(pod *corev1.Pod) []string {
	c.Helper()
	all := metav1.ListOptions{}
	var names []string
	nodes, err := c.api.CoreV1().Nodes().List(c.Context(), all)
	c.must(err)
	for _, node := range nodes.Items {
		names = append(names, node.Name)
	}
	namespaces, err := c.api.CoreV1().Namespaces().List(c.Context(), all)
	c.must(err)
	for _, namespace := range namespaces.Items {
		if namespace.Name == pod.Namespace {
			continue
		}
		names = append(names, namespace.Name)
		if name := namespace.Labels[tenant("").key]; name != "" {
			names = append(names, name)
		}
	}
	pods, err := c.api.CoreV1().Pods("").List(c.Context(), all)
	c.must(err)
	for _, other := range pods.Items {
		if other.UID != pod.UID {
			names = append(names, other.Name, string(other.UID))
		}
	}
	return names
}
