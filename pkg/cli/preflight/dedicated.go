package preflight

import (
	"context"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"

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
	var older, spread []string
	for _, pod := range c.Pods {
		if managed[pod.Namespace] && pod.Spec.NodeName != "" && !cluster.Ended(pod) && !slices.ContainsFunc(pod.Spec.Tolerations, ofDedication) {
			older = append(older, pod.Namespace+"/"+pod.Name)
		}
	}
	for _, t := range templates {
		if managed[t.namespace] && t.kind != "DaemonSet" && slices.ContainsFunc(t.spec.TopologySpreadConstraints, countsForeignNodes) {
			spread = append(spread, fmt.Sprintf("%s %s/%s", t.kind, t.namespace, t.name))
		}
	}
	var results []Result
	if len(older) > 0 {
		results = append(results, warn("restart their workloads: the policies add the tolerations to new pods",
			"%d pods of tenants do not tolerate the taints of dedicated nodes: the effect NoExecute evicts them, and so does a descheduler with RemovePodsViolatingNodeTaints: %s",
			len(older), some(older)))
	}
	if len(spread) > 0 {
		results = append(results, warn("set nodeTaintsPolicy: Honor in the constraint",
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

// countsForeignNodes reports whether a constraint counts nodes whose taints keep the pod off. Zones and the
// like usually have other nodes too.
func countsForeignNodes(constraint v1.TopologySpreadConstraint) bool {
	return constraint.TopologyKey == v1.LabelHostname && constraint.WhenUnsatisfiable == v1.DoNotSchedule &&
		(constraint.NodeTaintsPolicy == nil || *constraint.NodeTaintsPolicy != v1.NodeInclusionPolicyHonor)
}
