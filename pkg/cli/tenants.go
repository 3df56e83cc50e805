package cli

import (
	"fmt"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// everyNamespace is the value of --tenant-key that makes each namespace a tenant.
const everyNamespace = "namespace"

// useTenantKey makes another label name the tenants. A platform namespace with the project's
// own tenant label belongs to the tenant; with another system's label, which may be on every
// namespace, it stays platform.
func useTenantKey(key string, spec *v1alpha1.IsolationPolicySpec, inv *inventory.Inventory) error {
	if key == "" {
		copyTenants(spec, inv)
		return nil
	}
	label := key
	if key == everyNamespace {
		// The API server sets it on every namespace, and refuses to change it.
		label = v1.LabelMetadataName
		addNamespaces(inv)
	}
	if faults := validation.IsQualifiedName(label); len(faults) > 0 {
		return fmt.Errorf("--tenant-key=%s is not a valid label key: %s", key, faults[0])
	}
	platform, err := metav1.LabelSelectorAsSelector(spec.PlatformNamespaces.Selector)
	if err != nil {
		return fmt.Errorf("platformNamespaces.selector: %w", err)
	}
	for i, ns := range inv.Namespaces {
		changed := *ns
		changed.Labels = maps.Clone(ns.Labels)
		if changed.Labels == nil {
			changed.Labels = map[string]string{}
		}
		delete(changed.Labels, isolation.TenantLabel)
		tenant, named := ns.Labels[label]
		if key == everyNamespace {
			tenant, named = ns.Name, true
		}
		if named && !slices.Contains(spec.PlatformNamespaces.Names, ns.Name) && !platform.Matches(labels.Set(ns.Labels)) {
			changed.Labels[isolation.TenantLabel] = tenant
		}
		inv.Namespaces[i] = &changed
	}
	return nil
}

// copyTenants copies the tenant label as the policy has it copied in a cluster.
func copyTenants(spec *v1alpha1.IsolationPolicySpec, inv *inventory.Inventory) {
	if spec.TenantFrom == nil {
		return
	}
	for i, ns := range inv.Namespaces {
		if tenant := ns.Labels[spec.TenantFrom.NamespaceLabel]; tenant != "" {
			changed := *ns
			changed.Labels = maps.Clone(ns.Labels)
			changed.Labels[isolation.TenantLabel] = tenant
			inv.Namespaces[i] = &changed
		}
	}
}

// addNamespaces adds the namespaces of pods that the input leaves out: where each namespace
// is a tenant, the name is enough.
func addNamespaces(inv *inventory.Inventory) {
	known := map[string]bool{}
	for _, ns := range inv.Namespaces {
		known[ns.Name] = true
	}
	add := func(name string) {
		if !known[name] {
			known[name] = true
			inv.Namespaces = append(inv.Namespaces, &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
	}
	for _, pod := range inv.Pods {
		add(pod.Namespace)
	}
	for i := range inv.Workloads {
		add(inv.Workloads[i].Pod.Namespace)
	}
}
