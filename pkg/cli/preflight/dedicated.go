package preflight

import (
	"context"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// dedicatedNodes finds pods and templates of tenants that do not get along with the taints of dedicated nodes: those
// that were made before the policies added tolerations, and those that spread over nodes which they may not use.
func (c *Checker) dedicatedNodes(ctx context.Context) ([]Result, error) {
	if c.Policy.Dedication.Mode != v1alpha1.ModeEnabled {
		return pass("dedication is off"), nil
	}
	managed := map[string]bool{}
	for _, ns := range c.Namespaces {
		_, managed[ns.Name] = ns.Labels[tenantLabel]
	}
	templates, err := c.templates(ctx)
	if err != nil {
		return nil, err
	}
	var older, namespaces, spread []string
	for _, pod := range c.Pods {
		if managed[pod.Namespace] && pod.Spec.NodeName != "" && !cluster.Ended(pod) && !slices.ContainsFunc(pod.Spec.Tolerations, ofDedication) {
			older, namespaces = append(older, pod.Namespace+"/"+pod.Name), append(namespaces, pod.Namespace)
		}
	}
	bare := c.withoutLabels()
	counts := func(constraint v1.TopologySpreadConstraint) bool { return countsForeignNodes(constraint, bare > 0) }
	for _, t := range templates {
		if managed[t.namespace] && t.kind != "DaemonSet" && slices.ContainsFunc(t.spec.TopologySpreadConstraints, counts) {
			spread = append(spread, fmt.Sprintf("%s %s/%s", t.kind, t.namespace, t.name))
		}
	}
	var results []Result
	if len(older) > 0 {
		results = append(results, warn(advise("restart their workloads: the policies add the tolerations to new pods", each("kubectl rollout restart --namespace=%s deployments,statefulsets", distinct(namespaces))...),
			"%d pods of tenants do not tolerate the taints of dedicated nodes: the effect NoExecute evicts them, and so does a descheduler with RemovePodsViolatingNodeTaints: %s",
			len(older), some(older)))
	}
	if len(spread) > 0 {
		results = append(results, warn(advise("set nodeTaintsPolicy: Honor in the constraint"),
			"%d templates of tenants spread over hosts with whenUnsatisfiable: DoNotSchedule, and count nodes that are dedicated to others as empty ones: their pods may stay Pending: %s",
			len(spread), some(spread)))
	}
	if len(results) == 0 {
		results = pass("the pods of tenants tolerate their taints, and spread over no others")
	}
	return results, nil
}

// ofDedication reports whether a toleration is of the taints of dedicated nodes.
func ofDedication(toleration v1.Toleration) bool {
	return slices.Contains(isolation.DedicationTaints(), toleration.Key) || toleration.Key == "" && toleration.Operator == v1.TolerationOpExists
}

// countsForeignNodes reports whether a constraint counts nodes to which the pod may not go. By default it leaves out those
// that the required node affinity excludes, which are those of others if all nodes have labels. Zones and the like
// usually have other nodes too.
func countsForeignNodes(constraint v1.TopologySpreadConstraint, bare bool) bool {
	honors := func(policy *v1.NodeInclusionPolicy, byDefault bool) bool {
		return policy == nil && byDefault || policy != nil && *policy == v1.NodeInclusionPolicyHonor
	}
	return constraint.TopologyKey == v1.LabelHostname && constraint.WhenUnsatisfiable == v1.DoNotSchedule &&
		!honors(constraint.NodeTaintsPolicy, false) && (bare || !honors(constraint.NodeAffinityPolicy, true))
}

// withoutLabels counts the nodes that get no node labels, by the policy.
func (c *Checker) withoutLabels() int {
	selector, err := metav1.LabelSelectorAsSelector(c.Policy.NodeLabel.Selector)
	if err != nil {
		return len(c.Nodes)
	}
	bare := 0
	for _, node := range c.Nodes {
		if !selector.Matches(labels.Set(node.Labels)) {
			bare++
		}
	}
	return bare
}
