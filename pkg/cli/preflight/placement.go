package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// tenantLabel is the label that a selector of namespaces has to require.
const tenantLabel = v1alpha1.GroupName + "/tenant"

// placement finds templates and pods of tenants whose new pods the policies refuse, and pods without a tenant
// that keep tenants' pods off nodes.
func (c *Checker) placement(ctx context.Context) ([]Result, error) {
	tenants := map[string]string{}
	for _, ns := range c.Namespaces {
		if tenant, managed := ns.Labels[tenantLabel]; managed {
			tenants[ns.Name] = tenant
		}
	}
	templates, err := c.templates(ctx)
	if err != nil {
		return nil, err
	}
	var refused, wide, explains []string
	for _, template := range templates {
		tenant, managed := tenants[template.namespace]
		if !managed {
			continue
		}
		if fault := placementFault(template.spec, template.namespace, tenant); fault != "" {
			refused = append(refused, fmt.Sprintf("%s %s/%s (%s)", template.kind, template.namespace, template.name, fault))
			explains = append(explains, explain(strings.ToLower(template.kind), template.namespace, template.name))
		}
	}
	for _, pod := range c.Pods {
		tenant, managed := tenants[pod.Namespace]
		switch {
		case managed && len(pod.OwnerReferences) == 0:
			if fault := placementFault(&pod.Spec, pod.Namespace, tenant); fault != "" {
				refused = append(refused, fmt.Sprintf("Pod %s/%s (%s)", pod.Namespace, pod.Name, fault))
				explains = append(explains, explain("pod", pod.Namespace, pod.Name))
			}
		case !managed && pod.Spec.Affinity != nil && pod.Spec.Affinity.PodAntiAffinity != nil:
			if slices.ContainsFunc(pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, selectsNamespaces) {
				wide = append(wide, pod.Namespace+"/"+pod.Name)
			}
		}
	}
	var results []Result
	if len(refused) > 0 {
		results = append(results, fail(advise("see what to change in each", first(explains)...), "%d would be refused when they are made anew: %s", len(refused), some(refused)))
	}
	if len(wide) > 0 {
		results = append(results, warn(advise("limit their anti-affinity to their own namespace, or give the namespaces a tenant"),
			"%d pods without a tenant may keep tenants' pods off nodes, by required anti-affinity to other namespaces: %s", len(wide), some(wide)))
	}
	if len(results) == 0 {
		results = pass("no template or pod reaches beyond its tenant")
	}
	return results, nil
}

// placementFault is the field by which a pod reaches beyond its tenant, or is empty.
func placementFault(spec *v1.PodSpec, namespace, tenant string) string {
	within := func(term v1.PodAffinityTerm) bool {
		return !slices.ContainsFunc(term.Namespaces, func(name string) bool { return name != namespace }) &&
			(term.NamespaceSelector == nil || requiresTenant(term.NamespaceSelector, tenant))
	}
	switch {
	case slices.ContainsFunc(podTerms(spec.Affinity), func(term v1.PodAffinityTerm) bool { return !within(term) }):
		return "spec.affinity"
	case slices.ContainsFunc(nodeKeys(spec), isOurs):
		return "spec.nodeSelector, affinity or topologySpreadConstraints"
	case strings.HasPrefix(spec.PriorityClassName, "system-"):
		return "spec.priorityClassName"
	default:
		return ""
	}
}

func selectsNamespaces(term v1.PodAffinityTerm) bool {
	return len(term.Namespaces) > 0 || term.NamespaceSelector != nil
}

func requiresTenant(selector *metav1.LabelSelector, tenant string) bool {
	return selector.MatchLabels[tenantLabel] == tenant ||
		slices.ContainsFunc(selector.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
			return r.Key == tenantLabel && r.Operator == metav1.LabelSelectorOpIn &&
				!slices.ContainsFunc(r.Values, func(value string) bool { return value != tenant })
		})
}

// podTerms are all terms of affinity to pods.
func podTerms(affinity *v1.Affinity) []v1.PodAffinityTerm {
	if affinity == nil {
		return nil
	}
	var terms []v1.PodAffinityTerm
	var preferred []v1.WeightedPodAffinityTerm
	if a := affinity.PodAffinity; a != nil {
		terms = append(terms, a.RequiredDuringSchedulingIgnoredDuringExecution...)
		preferred = append(preferred, a.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	if a := affinity.PodAntiAffinity; a != nil {
		terms = append(terms, a.RequiredDuringSchedulingIgnoredDuringExecution...)
		preferred = append(preferred, a.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	for _, p := range preferred {
		terms = append(terms, p.PodAffinityTerm)
	}
	return terms
}

// nodeKeys are the labels of nodes that a pod names.
func nodeKeys(spec *v1.PodSpec) []string {
	var keys []string
	for key := range spec.NodeSelector {
		keys = append(keys, key)
	}
	for _, constraint := range spec.TopologySpreadConstraints {
		keys = append(keys, constraint.TopologyKey)
	}
	for _, term := range podTerms(spec.Affinity) {
		keys = append(keys, term.TopologyKey)
	}
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return keys
	}
	var terms []v1.NodeSelectorTerm
	if required := spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		terms = append(terms, required.NodeSelectorTerms...)
	}
	for _, p := range spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		terms = append(terms, p.Preference)
	}
	for _, term := range terms {
		for _, expression := range term.MatchExpressions {
			keys = append(keys, expression.Key)
		}
	}
	return keys
}

func isOurs(key string) bool {
	return strings.HasPrefix(key, v1alpha1.GroupName+"/") || strings.HasPrefix(key, "tenantisolation.node-restriction.kubernetes.io/")
}
