package admission

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

const (
	// ParametersName is the ConfigMap that the policies read, in Namespace.
	ParametersName = "tenant-isolation-policy"
	// Namespace is that of the scheduler and of what the policies read.
	Namespace = "tenant-isolation-system"

	// GenerationKey is the key of the generation of the IsolationPolicy that a parameter was made from.
	GenerationKey = "generation"

	// PodMutatorsKey is the key of who else changes new pods.
	PodMutatorsKey = "podMutators"
	// PodMutatorsNone is its value if nobody does, so that the policies do not look twice at what they wrote; see
	// [OthersChangePods].
	PodMutatorsNone = "none"

	unclassified = "unclassified"
)

// Parameters returns the ConfigMap that the policies read, for a policy that is in force and the profiles
// that isolate. Pods that name no scheduler get the first of them.
//
// The language of the policies reads no JSON. A value is a list with a space between its items; one that is
// searched also has a space at both ends, so that `contains(" name=vm ")` finds whole items alone.
func Parameters(inForce *v1alpha1.InForce, schedulerNames []string) *corev1.ConfigMap {
	spec := &inForce.Spec
	classes, sharing := []string{}, []string{}
	for _, class := range inForce.RuntimeClasses {
		classes = append(classes, class.Name+"="+string(class.Boundary))
		if class.Boundary == v1alpha1.BoundaryVM || class.Boundary == spec.Boundaries.Minimum {
			sharing = append(sharing, class.Name)
		}
	}
	byDataClass := []string{}
	for _, class := range slices.Sorted(maps.Keys(spec.RuntimeClasses.ByDataClass)) {
		byDataClass = append(byDataClass, class+"="+string(spec.RuntimeClasses.ByDataClass[class]))
	}
	tenantFrom := ""
	if spec.TenantFrom != nil {
		tenantFrom = spec.TenantFrom.NamespaceLabel
	}
	data := map[string]string{
		"schedulerNames": strings.Join(schedulerNames, " "),
		// From the lowest to the highest.
		"dataClasses": strings.Join(append([]string{unclassified}, spec.DataClasses...), " "),
		// The class by which a node is dedicated for each of them; empty if data classes do not separate.
		"dedicationClasses": strings.Join(dedicationClasses(spec), " "),
		// For each privilege, and for the user namespace of the host and of the pod: the value of the node label.
		"nodePrivileges":     strings.Join(nodePrivileges(spec), " "),
		"nodeUserNamespaces": strings.Join(nodeUserNamespaces(spec), " "),
		// The boundary that each RuntimeClass is taken for, and those whose pods of several trust domains
		// share nodes.
		"runtimeClasses":        searched(classes),
		"sharingRuntimeClasses": searched(sharing),
		"byDataClass":           searched(byDataClass),
		// The handlers that are a boundary.
		"handlers":           searched(isolatingHandlers(spec)),
		"allowedAnnotations": searched(slices.Sorted(slices.Values(spec.Boundaries.AllowedAnnotations))),
		"tenantFrom":         tenantFrom,
		"enforcement":        string(spec.Enforcement),
	}
	maps.Copy(data, PlatformEntries(inForce))
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: Namespace, Name: ParametersName,
			Labels: map[string]string{"app.kubernetes.io/part-of": "tenant-isolation"},
		},
		Data: data,
	}
}

// PlatformEntries returns the part of the parameter that the fence needs. It reads the table of dedicated
// nodes, and a policy has one parameter, so the table has these entries as well. Their keys are longer than
// those of nodes.
func PlatformEntries(inForce *v1alpha1.InForce) map[string]string {
	platform := &inForce.Spec.PlatformNamespaces
	lines, keys := []string{}, []string{}
	for _, r := range requirements(platform.Selector) {
		lines = append(lines, string(r.Operator)+" "+r.Key+" "+searched(r.Values))
		// Every namespace has this label, with its name as the value, and nobody can change it.
		if r.Key != corev1.LabelMetadataName && !slices.Contains(keys, r.Key) {
			keys = append(keys, r.Key)
		}
	}
	return map[string]string{
		GenerationKey: strconv.FormatInt(inForce.Generation, 10),
		"dedication":  string(inForce.Spec.Dedication.Mode),
		// The namespaces of the platform by their names, and a line for each requirement of the selector.
		"platformNames":    searched(slices.Sorted(slices.Values(platform.Names))),
		"platformSelector": strings.Join(lines, "\n"),
		// The labels that the selector asks for.
		"platformKeys": strings.Join(keys, " "),
	}
}

// searched is a list with a space around each item.
func searched(items []string) string {
	if len(items) == 0 {
		return " " // two would have the item "", as which a policy looks for a RuntimeClass that a pod does not name
	}
	return " " + strings.Join(items, " ") + " "
}

// requirements are all that a selector asks of labels, in one form and one order.
func requirements(selector *metav1.LabelSelector) []metav1.LabelSelectorRequirement {
	if selector == nil {
		return nil
	}
	all := slices.Clone(selector.MatchExpressions)
	for _, key := range slices.Sorted(maps.Keys(selector.MatchLabels)) {
		all = append(all, metav1.LabelSelectorRequirement{
			Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{selector.MatchLabels[key]},
		})
	}
	return all
}

// dedicationClasses are, for unclassified and each data class, the class by which a node is dedicated for it:
// of those that share, the first.
func dedicationClasses(spec *v1alpha1.IsolationPolicySpec) []string {
	if !slices.Contains(spec.SeparateBy, v1alpha1.AxisDataClass) {
		return nil
	}
	classes := append([]string{unclassified}, spec.DataClasses...)
	representatives := slices.Clone(classes)
	for _, group := range spec.Sharing.DataClasses {
		for _, class := range group {
			if i := slices.Index(classes, class); i >= 0 {
				representatives[i] = group[0]
			}
		}
	}
	return representatives
}

// nodePrivileges are, for each privilege from the lowest, the value on the nodes of its trust domain: of those
// that share, the first.
func nodePrivileges(spec *v1alpha1.IsolationPolicySpec) []string {
	values := []string{}
	for _, privilege := range isolation.Privileges() {
		value := privilege.String()
		for _, group := range spec.Sharing.Privileges {
			if slices.Contains(group, privilege.String()) {
				value = group[0]
			}
		}
		if !slices.Contains(spec.SeparateBy, v1alpha1.AxisPrivilege) {
			value = isolation.NodeLabelAny
		}
		values = append(values, value)
	}
	return values
}

func nodeUserNamespaces(spec *v1alpha1.IsolationPolicySpec) []string {
	if !slices.Contains(spec.SeparateBy, v1alpha1.AxisUserNamespace) {
		return []string{isolation.NodeLabelAny, isolation.NodeLabelAny}
	}
	return []string{isolation.UserNamespaceHost.String(), isolation.UserNamespacePod.String()}
}

// isolatingHandlers are the handlers of RuntimeClasses that are a boundary.
func isolatingHandlers(spec *v1alpha1.IsolationPolicySpec) []string {
	boundaries := map[string]v1alpha1.Boundary{}
	for handler, boundary := range podfacts.KnownHandlers() {
		boundaries[handler] = v1alpha1.Boundary(boundary.String())
	}
	maps.Copy(boundaries, spec.Boundaries.Handlers)
	maps.DeleteFunc(boundaries, func(_ string, b v1alpha1.Boundary) bool { return b == v1alpha1.BoundaryContainer })
	return slices.Sorted(maps.Keys(boundaries))
}
