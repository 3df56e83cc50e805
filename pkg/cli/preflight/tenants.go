package preflight

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func (c *Checker) namespaces(context.Context) ([]Result, error) {
	platform, err := metav1.LabelSelectorAsSelector(c.Policy.PlatformNamespaces.Selector)
	if err != nil {
		return nil, err
	}
	var managed, both, empty, unmanaged, unknown []string
	for _, ns := range c.Namespaces {
		isPlatform := slices.Contains(c.Policy.PlatformNamespaces.Names, ns.Name) || platform.Matches(labels.Set(ns.Labels))
		tenant, isManaged := ns.Labels[isolation.TenantLabel]
		switch {
		case isManaged && tenant == "":
			empty = append(empty, ns.Name)
		case isManaged && isPlatform:
			both = append(both, ns.Name)
		case isManaged:
			managed = append(managed, ns.Name)
		case !isPlatform:
			unmanaged = append(unmanaged, ns.Name)
		}
		if isManaged {
			unknown = append(unknown, c.unknownLabels(ns.Name, ns.Labels)...)
		}
	}
	var results []Result
	if len(empty) > 0 {
		results = append(results, fail("give the label a value, or remove it", "%s: the tenant label %s is empty, so their pods are denied", some(empty), isolation.TenantLabel))
	}
	if len(unknown) > 0 {
		results = append(results, fail("correct the labels, or add the class to dataClasses", "%s: their pods are denied", some(unknown)))
	}
	if len(both) > 0 {
		results = append(results, warn("remove the tenant label, or the namespace from platformNamespaces", "%s are platform and have a tenant: the tenant counts", some(both)))
	}
	if len(unmanaged) > 0 {
		results = append(results, warn("label them with "+isolation.TenantLabel+", or list them in platformNamespaces",
			"%d namespaces have no tenant (%s): other schedulers may place their pods beside those of tenants", len(unmanaged), some(unmanaged)))
	}
	if len(managed) == 0 {
		results = append(results, warn("kubectl label namespace NAME "+isolation.TenantLabel+"=TENANT", "no namespace has a tenant yet: nothing is protected"))
	} else {
		results = append(results, pass("%d namespaces have a tenant", len(managed))...)
	}
	return results, nil
}

func (c *Checker) unknownLabels(name string, set map[string]string) []string {
	var unknown []string
	if class, ok := set[isolation.DataClassLabel]; ok && class != isolation.Unclassified && !slices.Contains(c.Policy.DataClasses, class) {
		unknown = append(unknown, fmt.Sprintf("%s has the unknown data class %s", name, class))
	}
	if level, ok := set[isolation.PrivilegeLabel]; ok {
		if _, err := isolation.ParsePrivilege(level); err != nil {
			unknown = append(unknown, fmt.Sprintf("%s has the unknown privilege %s", name, level))
		}
	}
	if demand, ok := set[isolation.BoundaryLabel]; ok {
		if _, err := isolation.ParseDemand(demand); err != nil {
			unknown = append(unknown, fmt.Sprintf("%s has the unknown boundary %s", name, demand))
		}
	}
	return unknown
}

// pods finds pods of tenants that another scheduler places, and pods that break the rule.
func (c *Checker) pods(context.Context) ([]Result, error) {
	var others []string
	managed := 0
	tenants := map[string]bool{}
	for _, ns := range c.Namespaces {
		tenants[ns.Name] = ns.Labels[isolation.TenantLabel] != ""
	}
	for _, pod := range c.Pods {
		if !tenants[pod.Namespace] {
			continue
		}
		managed++
		if pod.Spec.SchedulerName != schedulerName {
			others = append(others, pod.Namespace+"/"+pod.Name)
		}
	}
	report := c.Engine.Report()
	var results []Result
	if len(others) > 0 {
		results = append(results, warn("restart them with the policies enforced, which set the scheduler",
			"%d of %d pods of tenants name another scheduler: %s", len(others), managed, some(others)))
	}
	if len(report.Findings) > 0 {
		results = append(results, warn("kubectl isolation audit", "%d findings: pods share a kernel against the rule", len(report.Findings)))
	}
	if len(results) == 0 {
		results = pass("all %d pods of tenants name this scheduler, and none shares a kernel against the rule", managed)
	}
	return results, nil
}
