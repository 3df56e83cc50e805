package admission

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// values returns the value of each ${name} in the templates.
func (c *Config) values() map[string]string {
	keys := c.Args.LabelKeys
	isolationKeys := []string{keys.Tenant, keys.DataClass, keys.Privilege, keys.Boundary, keys.RuntimeClass}
	selectorKeys, names := c.platform()

	privileges := make([]string, 0, len(isolation.Privileges()))
	for _, p := range isolation.Privileges() {
		privileges = append(privileges, p.String())
	}
	values := map[string]string{
		"tenantKey":       keys.Tenant,
		"dataClassKey":    keys.DataClass,
		"privilegeKey":    keys.Privilege,
		"boundaryKey":     keys.Boundary,
		"runtimeClassKey": keys.RuntimeClass,

		"isolationKeys":      celList(isolationKeys),
		"administeredKeys":   celList(union(isolationKeys, selectorKeys)),
		"platformNamespaces": celList(names),
		"evidenceKey":        isolation.EvidenceAnnotation,
		"annotationPrefix":   config.RuntimeAnnotationPrefix,

		"dataClasses":          strings.Join(append([]string{config.UnclassifiedDataClass}, c.Args.DataClasses...), " "),
		"dataClassList":        celList(append([]string{config.UnclassifiedDataClass}, c.Args.DataClasses...)),
		"privileges":           strings.Join(privileges, " "),
		"privilegeList":        celList(privileges),
		"dataClassNames":       strings.Join(append([]string{config.UnclassifiedDataClass}, c.Args.DataClasses...), ", "),
		"privilegeNames":       strings.Join(privileges, ", "),
		"administeredKeyNames": strings.Join(union(isolationKeys, selectorKeys), ", "),
		"unclassified":         config.UnclassifiedDataClass,
		"runtimeAnnotations":   strings.Join(slices.Sorted(slices.Values(c.Args.AllowedRuntimeAnnotations)), " "),
		"schedulerNames":       strings.Join(c.SchedulerNames, " "),

		"vmHandlers":      celList(c.handlers(config.BoundaryVM)),
		"sandboxHandlers": celList(c.handlers(config.BoundarySandbox, config.BoundaryVM)),

		"namespace":      c.Namespace,
		"serviceAccount": c.ServiceAccount,

		"mirrorPod":         mirrorPod,
		"administer":        administer,
		"controller":        controller,
		"runsTheNode":       runsTheNode,
		"platformNamespace": `!("` + keys.Tenant + `" in namespaceObject.metadata.?labels.orValue({})) && request.namespace in ` + celList(names),

		"reconfiguresRuntime": reconfiguresRuntime(),
	}
	maps.Copy(values, c.dedicationValues())
	return values
}

// Fragments that several policies share, so that they cannot drift apart.
const (
	// mirrorPod is true for the mirror pod of a static pod, created by the node that runs it. The
	// static pod runs even if its mirror pod is refused, so the mirror pod is admitted. Any user can
	// write the annotation; only the node is trusted.
	mirrorPod = `("kubernetes.io/config.mirror" in object.metadata.?annotations.orValue({})` +
		` && "system:nodes" in request.userInfo.?groups.orValue([])` +
		` && request.userInfo.username == "system:node:" + object.spec.?nodeName.orValue(""))`

	// controller is true of the controllers of kube-system, however they sign in.
	controller = `request.userInfo.username == "system:kube-controller-manager"` +
		` || "system:serviceaccounts:kube-system" in request.userInfo.?groups.orValue([])`

	// runsTheNode is true of what may write the status of the Node that a variable names: a
	// virtual kubelet, say, that does not sign in as system:node:NAME.
	runsTheNode = `variables.node != "" && authorizer.group("").resource("nodes").subresource("status").name(variables.node).check("patch").allowed()`

	// administer asks without a namespace, so that RBAC looks at ClusterRoleBindings alone: a
	// Role in a tenant's own namespace grants nothing.
	administer = `authorizer.group("tenantisolation.dev").resource("isolation").check("administer").allowed()`
)

// reconfiguresRuntime is isolation.ReconfiguresRuntime of a variable named key.
func reconfiguresRuntime() string {
	prefixes, domains := isolation.RuntimeAnnotations()
	return celList(prefixes) + `.exists(p, key.startsWith(p)) || ` +
		celList(domains) + `.exists(d, key.split("/")[0] == d || key.split("/")[0].endsWith("." + d))`
}

// handlers are the RuntimeClass handlers with one of the boundaries, sorted.
func (c *Config) handlers(boundaries ...config.Boundary) []string {
	var found []string
	for _, handler := range slices.Sorted(maps.Keys(c.Args.BoundaryByHandler)) {
		if slices.Contains(boundaries, c.Args.BoundaryByHandler[handler]) {
			found = append(found, handler)
		}
	}
	return found
}

// platform returns the label keys that decide which namespaces are the platform, and the
// names that do.
func (c *Config) platform() (keys, names []string) {
	names = slices.Clone(c.Args.PlatformNamespaces.Names)
	selector := c.Args.PlatformNamespaces.Selector
	if selector == nil {
		return nil, names
	}
	for _, r := range requirements(selector) {
		// Kubernetes gives every namespace this label, with its name as the value, and lets no
		// one change it: a namespace has the label if it has the name.
		if r.Key == corev1.LabelMetadataName {
			if r.Operator == metav1.LabelSelectorOpIn {
				names = union(names, r.Values)
			}
			continue
		}
		keys = union(keys, []string{r.Key})
	}
	return keys, names
}

// requirements are all that a selector asks of labels, in one form and one order.
func requirements(selector *metav1.LabelSelector) []metav1.LabelSelectorRequirement {
	all := slices.Clone(selector.MatchExpressions)
	for _, key := range slices.Sorted(maps.Keys(selector.MatchLabels)) {
		all = append(all, metav1.LabelSelectorRequirement{
			Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{selector.MatchLabels[key]},
		})
	}
	return all
}

func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// celList writes a list literal. What Go quotes, the policy language reads the same way.
func celList(items []string) string {
	quoted := make([]string, 0, len(items))
	for _, item := range items {
		quoted = append(quoted, strconv.Quote(item))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
