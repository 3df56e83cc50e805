package admission

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// dedicationValues returns the values of the templates about what package dedication writes: the
// table that the fence reads, and the taints of nodes.
func (c *Config) dedicationValues() map[string]string {
	keys := []string{isolation.TenantTaint, isolation.DataClassTaint, isolation.BoundaryTaint}
	return map[string]string{
		"dedicationTable":        dedication.TableName,
		"dedicationKey":          dedication.TokenAnnotation,
		"openedByKey":            dedication.OpenedByAnnotation,
		"termKey":                termKey,
		"dedicationKeys":         celList(keys),
		"dedicationKeyNames":     strings.Join(keys, ", "),
		"dedicationTenantKey":    isolation.TenantTaint,
		"dedicationDataClassKey": isolation.DataClassTaint,
		"dedicationBoundaryKey":  isolation.BoundaryTaint,

		"entries":           entries,
		"tolerates":         tolerates,
		"toleratesAny":      toleratesAny,
		"dedicationClass":   c.dedicationClass(),
		"dedicationTaints":  dedicationTaints,
		"dedicationVMTaint": dedicationVMTaint,
		"ownTaints":         fmt.Sprintf(ownTaints, c.dedicationClass(), c.Args.LabelKeys.Boundary),

		"isolatingHandlers": celList(c.isolatingHandlers()),
		"notPlatform":       c.notPlatform(),
		"platformSelected":  c.platformSelected(),
		"platformBindings":  c.platformBindings(),
	}
}

// termKey is the key of the table's leader. All others are ends of the first labels of nodes' names,
// and shorter.
const termKey = "term"

const (
	// entries is the part of the table, the parameter, that the entry of variables.node is in.
	entries = `[variables.node.split(".", 2)[0]].map(label,` +
		` params.?data[?size(label) < 3 ? label : label.substring(size(label) - 2)].orValue(""))[0]`

	// tolerates is true of a toleration t that is for a taint, a pair of key and value, with
	// every effect, and for no other.
	tolerates = `t.?key.orValue("") == taint[0] && t.?operator.orValue("") in ["", "Equal"]` +
		` && t.?value.orValue("") == taint[1] && t.?effect.orValue("") == ""`

	// toleratesAny is true of a toleration t for every taint of a key.
	toleratesAny = `t.?key.orValue("") in ["", key] && t.?operator.orValue("") == "Exists" && t.?effect.orValue("") == ""`

	// dedicationTaints are those of a node that is dedicated to the pod's tenant and data class.
	// Where data classes do not separate trust domains, no node has one.
	dedicationTaints = `[["` + isolation.TenantTaint + `", variables.tenant],` +
		` ["` + isolation.DataClassTaint + `", variables.dedicationClass]].filter(taint, taint[1] != "")`

	dedicationVMTaint = `[["` + isolation.BoundaryTaint + `", "` + string(config.BoundaryVM) + `"]]`

	// ownTaints are variables: the taints that a pod may tolerate.
	ownTaints = `  - name: tenant
    expression: variables.namespaceLabels["${tenantKey}"]
  - name: dedicationClass
    expression: >-
      %s
  - name: ownTaints
    expression: >-
      ${dedicationTaints}
      + (object.spec.?runtimeClassName.orValue("") == "" || variables.namespaceLabels[?%q].orValue("") == "node"
      ? [] : ${dedicationVMTaint})`
)

// dedicationClass is the data class by which a node is dedicated for a pod: the higher of its
// namespace's and its own, and of those that share, the first. Values that are not known
// count as none: integrity refuses them.
func (c *Config) dedicationClass() string {
	if !slices.Contains(c.Args.SeparateBy, config.AxisDataClass) {
		return `""`
	}
	classes := append([]string{config.UnclassifiedDataClass}, c.Args.DataClasses...)
	representatives := slices.Clone(classes)
	for _, group := range c.Args.Sharing.DataClasses {
		for _, class := range group {
			representatives[slices.Index(classes, class)] = group[0]
		}
	}
	rank := func(labels string) string {
		return fmt.Sprintf("%s.indexOf(variables.%s[?%q].orValue(%q))", celList(classes), labels, c.Args.LabelKeys.DataClass, config.UnclassifiedDataClass)
	}
	return fmt.Sprintf("%s[[0, %s, %s].max()]", celList(representatives), rank("namespaceLabels"), rank("labels"))
}

// isolatingHandlers are the RuntimeClass handlers that let pods of several trust domains
// share a node.
func (c *Config) isolatingHandlers() []string {
	if c.Args.MinimumBoundary == config.BoundarySandbox {
		return c.handlers(config.BoundarySandbox, config.BoundaryVM)
	}
	return c.handlers(config.BoundaryVM)
}

// notPlatform excludes the platform's namespaces by their names, in a namespace selector.
func (c *Config) notPlatform() string {
	if len(c.Args.PlatformNamespaces.Names) == 0 {
		return "# The platform has no namespaces by name."
	}
	return fmt.Sprintf("- {key: %s, operator: NotIn, values: %s}", corev1.LabelMetadataName, celList(c.Args.PlatformNamespaces.Names))
}

// platformSelected is true of a namespace that the selector of the platform's chooses.
func (c *Config) platformSelected() string {
	if c.Args.PlatformNamespaces.Selector == nil {
		return "false"
	}
	conditions := []string{"true"}
	for _, r := range requirements(c.Args.PlatformNamespaces.Selector) {
		label := fmt.Sprintf("namespaceObject.metadata.?labels[?%s]", strconv.Quote(r.Key))
		among := fmt.Sprintf("%s.optMap(value, value in %s).orValue(false)", label, celList(r.Values))
		conditions = append(conditions, map[metav1.LabelSelectorOperator]string{
			metav1.LabelSelectorOpIn:           among,
			metav1.LabelSelectorOpNotIn:        "!" + among,
			metav1.LabelSelectorOpExists:       label + ".hasValue()",
			metav1.LabelSelectorOpDoesNotExist: "!" + label + ".hasValue()",
		}[r.Operator])
	}
	return strings.Join(conditions, " && ")
}

// platformBindings apply a policy to the platform's namespaces: those of the names, and
// those of the selector.
func (c *Config) platformBindings() string {
	var all strings.Builder
	bind := func(which string, requirements []metav1.LabelSelectorRequirement) {
		fmt.Fprintf(&all, platformBinding, which)
		for _, r := range requirements {
			values := ""
			if len(r.Values) > 0 {
				values = ", values: " + celList(r.Values)
			}
			fmt.Fprintf(&all, "\n      - {key: %s, operator: %s%s}", r.Key, r.Operator, values)
		}
		if len(requirements) == 0 {
			all.WriteString(" []")
		}
	}
	if names := c.Args.PlatformNamespaces.Names; len(names) > 0 {
		bind("names", []metav1.LabelSelectorRequirement{{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: names}})
	}
	if selector := c.Args.PlatformNamespaces.Selector; selector != nil {
		bind("selector", requirements(selector))
	}
	return strings.TrimPrefix(all.String(), "\n")
}

const platformBinding = `
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata:
  name: tenant-isolation-platform.%s
spec:
  policyName: tenant-isolation-platform
  matchResources:
    namespaceSelector:
      matchExpressions:`
