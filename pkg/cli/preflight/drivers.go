package preflight

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// storageDrivers finds drivers that make the directories of volumes in pods of their own, on a node that they name,
// as the local path provisioner does. On a dedicated node such a pod is refused, and no Event says so on the pod that
// waits for the volume. They are known by their rights: to make volumes and pods, and nothing that makes pods.
func (c *Checker) storageDrivers(ctx context.Context) ([]Result, error) {
	if c.Policy.Dedication.Mode != v1alpha1.ModeEnabled {
		return pass("dedication is off"), nil
	}
	rules, err := c.readRules(ctx)
	if err != nil {
		return nil, err
	}
	var drivers, namespaces, managed, unlabel []string
	for _, account := range rules.subjects() {
		if account.Kind != rbacv1.ServiceAccountKind || !rules.makesVolumesAndPods(account) {
			continue
		}
		switch known, tenant, platform := c.kindOfNamespace(account.Namespace); {
		case !known:
		case tenant:
			managed = append(managed, account.Namespace+"/"+account.Name)
			unlabel = append(unlabel, "kubectl label namespace "+account.Namespace+" "+tenantLabel+"-")
		case !platform:
			drivers, namespaces = append(drivers, account.Namespace+"/"+account.Name), append(namespaces, account.Namespace)
		}
	}
	var results []Result
	if len(managed) > 0 {
		results = append(results, warn(advise("if one makes helper pods, its namespace cannot be a tenant's. Take the label away, and run preflight again", first(distinct(unlabel))...),
			"service accounts %s may make volumes and pods: a helper pod that names its node is always refused in a tenant's namespace, and its volume is never made", some(managed)))
	}
	if len(drivers) > 0 {
		results = append(results, warn(c.changePolicy("if they make helper pods, make their namespaces platform: these are trusted with directories of every node anyway", addPlatform(distinct(namespaces))),
			"service accounts %s may make volumes and pods: a helper pod that names a dedicated node is refused, and its volume is never made", some(drivers)))
	}
	if len(results) == 0 {
		results = pass("no driver makes pods outside of platform namespaces")
	}
	return results, nil
}

// makesVolumesAndPods reports whether an account has the rights of such a driver. An administrator has more.
func (r *rules) makesVolumesAndPods(account rbacv1.Subject) bool {
	may := func(group, resource string, granted []rbacv1.PolicyRule) bool {
		covered, _ := validation.Covers(granted, []rbacv1.PolicyRule{{Verbs: []string{"create"}, APIGroups: []string{group}, Resources: []string{resource}}})
		return covered
	}
	everywhere := r.clusterWide(account)
	return may("", "persistentvolumes", everywhere) && !may("apps", "deployments", everywhere) &&
		may("", "pods", append(slices.Clone(everywhere), r.within(account.Namespace, account)...))
}

// kindOfNamespace reports whether a namespace is there, has a tenant, and is of the platform.
func (c *Checker) kindOfNamespace(name string) (known, tenant, platform bool) {
	for _, ns := range c.Namespaces {
		if ns.Name == name {
			_, tenant = ns.Labels[tenantLabel]
			return true, tenant, c.Rules.IsPlatform(name, ns.Labels)
		}
	}
	return false, false, false
}
