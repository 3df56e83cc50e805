package preflight

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Names of what is installed.
const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
)

func (c *Checker) scheduler(ctx context.Context) ([]Result, error) {
	deployment, err := c.Client.AppsV1().Deployments(systemNamespace).Get(ctx, schedulerName, getOptions())
	if apierrors.IsNotFound(err) {
		return []Result{fail(installFix, "not installed: there is no Deployment %s/%s", systemNamespace, schedulerName)}, nil
	}
	if err != nil {
		return nil, err
	}
	switch ready := deployment.Status.ReadyReplicas; {
	case ready == 0:
		return []Result{fail("look at `kubectl -n "+systemNamespace+" get pods,events`", "no replica is ready: tenants' pods stay Pending")}, nil
	case ready < 2:
		return []Result{warn("give it two replicas", "one replica is ready: while it restarts, tenants' pods stay Pending")}, nil
	default:
		return pass("%d replicas are ready", ready), nil
	}
}

// schedulerRights checks that the scheduler may bind, and read what it needs to start.
func (c *Checker) schedulerRights(ctx context.Context) ([]Result, error) {
	rules, err := c.readRules(ctx)
	if err != nil {
		return nil, err
	}
	needs := []rbacv1.PolicyRule{
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"pods", "nodes", "namespaces", "persistentvolumes", "persistentvolumeclaims"}},
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"node.k8s.io"}, Resources: []string{"runtimeclasses"}},
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"storage.k8s.io"}, Resources: []string{"storageclasses"}},
		{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"pods/binding"}},
	}
	granted := rules.clusterWide(rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: systemNamespace, Name: schedulerName})
	if covered, missing := validation.Covers(granted, needs); !covered {
		var names []string
		for _, rule := range missing {
			names = append(names, rule.Verbs[0]+" "+rule.Resources[0])
		}
		return []Result{fail(installFix, "service account %s/%s may not %s", systemNamespace, schedulerName, some(names))}, nil
	}
	return pass("the scheduler may bind, and read what it needs"), nil
}
