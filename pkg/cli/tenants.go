package cli

import (
	"fmt"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
)

// everyNamespace is the value of --tenant-key that makes each namespace a tenant.
const everyNamespace = "namespace"

// useTenantKey makes another label name the tenants. A platform namespace with the project's
// own tenant label belongs to the tenant; with another system's label, which may be on every
// namespace, it stays platform.
func useTenantKey(key string, args *config.TenantIsolationArgs, inv *inventory.Inventory) error {
	if key == "" {
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
	platform, err := metav1.LabelSelectorAsSelector(args.PlatformNamespaces.Selector)
	if err != nil {
		return fmt.Errorf("platformNamespaces.selector: %w", err)
	}
	for i, ns := range inv.Namespaces {
		changed := *ns
		changed.Labels = maps.Clone(ns.Labels)
		if changed.Labels == nil {
			changed.Labels = map[string]string{}
		}
		switch {
		case slices.Contains(args.PlatformNamespaces.Names, ns.Name), platform.Matches(labels.Set(ns.Labels)):
			delete(changed.Labels, label)
		case key == everyNamespace:
			changed.Labels[label] = ns.Name
		}
		inv.Namespaces[i] = &changed
	}
	args.LabelKeys.Tenant = label
	return nil
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
