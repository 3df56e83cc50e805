package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	schedulerName = "tenant-isolation-scheduler"
	tenantLabel   = "tenantisolation.dev/tenant"
)

// giveTenants turns a user's manifests into a workload of tenants: like an administrator who has to
// run them, it fills in what they leave open and changes nothing else. The notes list what it
// filled in.
//
// namespaced reports which objects live in a namespace.
func giveTenants(all objects, tenants []string, namespaced func(*unstructured.Unstructured) bool) (objects, []string) {
	var notes []string
	if len(tenants) > 0 {
		all = oncePerTenant(all, tenants, namespaced)
	}
	namespaces := map[string]*unstructured.Unstructured{}
	for _, o := range all {
		if o.GetKind() == "Namespace" {
			namespaces[o.GetName()] = o
		}
	}
	missing := map[string]bool{}
	for _, o := range all {
		if !namespaced(o) {
			continue
		}
		if o.GetNamespace() == "" {
			o.SetNamespace(corev1.NamespaceDefault)
		}
		// kube-system and its like belong to the platform; manifests that name them mean that.
		if name := o.GetNamespace(); namespaces[name] == nil && !strings.HasPrefix(name, "kube-") && name != systemNamespace {
			missing[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		namespaces[name] = tenantNamespace(name)
		all = append(all, namespaces[name])
		notes = append(notes, fmt.Sprintf("namespace %s is not among the manifests: created for a tenant of the same name", name))
	}
	for _, name := range slices.Sorted(maps.Keys(namespaces)) {
		if _, managed := namespaces[name].GetLabels()[tenantLabel]; !managed {
			notes = append(notes, fmt.Sprintf("namespace %s has no label %s: this scheduler places none of its pods", name, tenantLabel))
		}
	}
	if n := nameScheduler(all, namespaces); n > 0 {
		notes = append(notes, fmt.Sprintf("schedulerName: %s set in %d workloads that named no scheduler", schedulerName, n))
	}
	return all, notes
}

func oncePerTenant(all objects, tenants []string, namespaced func(*unstructured.Unstructured) bool) objects {
	var copies objects
	for _, o := range all {
		if !namespaced(o) {
			copies = append(copies, o)
			continue
		}
		for _, tenant := range tenants {
			c := o.DeepCopy()
			c.SetNamespace(tenant)
			copies = append(copies, c)
		}
	}
	return copies
}

func tenantNamespace(name string) *unstructured.Unstructured {
	ns := &unstructured.Unstructured{}
	ns.SetAPIVersion("v1")
	ns.SetKind("Namespace")
	ns.SetName(name)
	ns.SetLabels(map[string]string{tenantLabel: name})
	return ns
}

// nameScheduler makes the pods of managed namespaces ours, unless they say whose they
// are or where they run.
func nameScheduler(all objects, namespaces map[string]*unstructured.Unstructured) int {
	changed := 0
	for _, o := range all {
		ns := namespaces[o.GetNamespace()]
		path := podSpecs[o.GetKind()]
		if ns == nil || path == nil {
			continue
		}
		if _, managed := ns.GetLabels()[tenantLabel]; !managed {
			continue
		}
		named, _, _ := unstructured.NestedString(o.Object, append(slices.Clone(path), "schedulerName")...)
		node, _, _ := unstructured.NestedString(o.Object, append(slices.Clone(path), "nodeName")...)
		if named != "" || node != "" {
			continue
		}
		if unstructured.SetNestedField(o.Object, schedulerName, append(slices.Clone(path), "schedulerName")...) == nil {
			changed++
		}
	}
	return changed
}
