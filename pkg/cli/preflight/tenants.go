package preflight

import (
	"context"
	"fmt"
	"slices"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func (c *Checker) namespaces(context.Context) ([]Result, error) {
	var managed, both, empty, unmanaged, unknown []string
	for _, ns := range c.Namespaces {
		isPlatform := c.Rules.IsPlatform(ns.Name, ns.Labels)
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
		results = append(results, fail(advise("give the label a value, or remove it", each("kubectl label namespace %s "+isolation.TenantLabel+"-", empty)...), "%s: the tenant label %s is empty, so their pods are denied", some(empty), isolation.TenantLabel))
	}
	if len(unknown) > 0 {
		results = append(results, fail(advise("correct the labels, or add the class to dataClasses. What is allowed says", "kubectl explain isolationpolicy.spec.dataClasses"), "%s: their pods are denied", some(unknown)))
	}
	if len(both) > 0 {
		results = append(results, warn(advise("remove the tenant label, or the namespace from platformNamespaces", each("kubectl label namespace %s "+isolation.TenantLabel+"-", both)...), "%s are platform and have a tenant: the tenant counts", some(both)))
	}
	if len(unmanaged) > 0 {
		results = append(results, warn(c.changePolicy("label those of tenants (TENANT is the name of one), and list those of the platform",
			each("kubectl label namespace %s "+isolation.TenantLabel+"=TENANT", unmanaged[:1])[0], addPlatform(unmanaged[:1])),
			"%d namespaces have no tenant (%s): other schedulers may place their pods beside those of tenants", len(unmanaged), some(unmanaged)))
	}
	if len(managed) == 0 {
		results = append(results, warn(advise("label the namespaces of a first tenant: TENANT is its name, NAME that of a namespace", "kubectl label namespace NAME "+isolation.TenantLabel+"=TENANT"), "no namespace has a tenant yet: nothing is protected"))
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
func (c *Checker) pods(ctx context.Context) ([]Result, error) {
	names, err := c.schedulerNames(ctx)
	if err != nil {
		return nil, err
	}
	var others, namespaces []string
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
		if !slices.Contains(names, pod.Spec.SchedulerName) {
			others, namespaces = append(others, pod.Namespace+"/"+pod.Name), append(namespaces, pod.Namespace)
		}
	}
	report := c.Engine.Report()
	var results []Result
	if len(others) > 0 {
		results = append(results, warn(advise("restart them with the policies enforced, which set the scheduler", each("kubectl rollout restart --namespace=%s deployments,statefulsets", distinct(namespaces))...),
			"%d of %d pods of tenants name another scheduler: %s", len(others), managed, some(others)))
	}
	if len(report.Findings) > 0 {
		results = append(results, warn(advise("see what each needs", "kubectl isolation audit"), "%d findings: pods share a kernel against the rule", len(report.Findings)))
	}
	if len(results) == 0 {
		results = pass("all %d pods of tenants name this scheduler, and none shares a kernel against the rule", managed)
	}
	return results, nil
}
