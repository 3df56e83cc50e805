package preflight

import (
	"cmp"
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Names of what is installed.
const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
)

// deployments returns the Deployments of schedulers of this project, wherever they are. They may have any name.
func (c *Checker) deployments(ctx context.Context) ([]appsv1.Deployment, error) {
	list, err := c.Client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/component=scheduler,app.kubernetes.io/part-of=tenant-isolation",
	})
	if err != nil {
		return nil, err
	}
	if len(list.Items) > 0 {
		return list.Items, nil
	}
	deployment, err := c.Client.AppsV1().Deployments(systemNamespace).Get(ctx, schedulerName, getOptions())
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []appsv1.Deployment{*deployment}, nil
}

// leads returns who holds the lease of the scheduler, and whether it was renewed lately.
func (c *Checker) leads(ctx context.Context) (holder string, lately bool, err error) {
	lease, err := c.Client.CoordinationV1().Leases(systemNamespace).Get(ctx, schedulerName, getOptions())
	switch {
	case apierrors.IsNotFound(err):
		return "", false, nil
	case err != nil:
		return "", false, err
	case lease.Spec.HolderIdentity == nil || lease.Spec.RenewTime == nil:
		return "", false, nil
	}
	// As long as three leases: the clocks differ.
	return *lease.Spec.HolderIdentity, c.Now().Sub(lease.Spec.RenewTime.Time) < time.Minute, nil
}

func (c *Checker) scheduler(ctx context.Context) ([]Result, error) {
	deployments, err := c.deployments(ctx)
	if err != nil {
		return nil, err
	}
	holder, lately, err := c.leads(ctx)
	if err != nil {
		return nil, err
	}
	if len(deployments) == 0 {
		switch {
		case lately:
			return pass("it runs outside of the cluster, or under another name: %s leads", holder), nil
		case holder != "":
			return []Result{fail("start the scheduler "+holder+" again", "there is no Deployment of it, and %s, which led, has not renewed its lease for a minute: tenants' pods stay Pending", holder)}, nil
		}
		return []Result{fail(installFix, "not installed: there is no Deployment of it, and nobody holds the lease %s/%s", systemNamespace, schedulerName)}, nil
	}
	var results []Result
	for i := range deployments {
		d := &deployments[i]
		switch ready := d.Status.ReadyReplicas; {
		case ready == 0:
			results = append(results, fail(fmt.Sprintf("kubectl -n %s describe deployment,pods", d.Namespace), "no replica of %s/%s is ready: tenants' pods stay Pending", d.Namespace, d.Name))
		case ready < 2:
			results = append(results, warn(fmt.Sprintf("kubectl -n %s scale deployment/%s --replicas=2", d.Namespace, d.Name),
				"one replica of %s/%s is ready: while it restarts, tenants' pods stay Pending", d.Namespace, d.Name))
		default:
			results = append(results, pass("%d replicas of %s/%s are ready", ready, d.Namespace, d.Name)...)
		}
	}
	return results, nil
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
	deployments, err := c.deployments(ctx)
	if err != nil {
		return nil, err
	}
	if len(deployments) == 0 {
		if _, lately, err := c.leads(ctx); err != nil || lately {
			return []Result{warn("kubectl auth can-i create pods/binding --as USER, with the scheduler's user", "the scheduler runs outside of the cluster, so it is unknown as whom: its rights were not checked")}, err
		}
		deployments = []appsv1.Deployment{{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: schedulerName}}}
	}
	var results []Result
	for i := range deployments {
		account := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: deployments[i].Namespace, Name: cmp.Or(deployments[i].Spec.Template.Spec.ServiceAccountName, schedulerName)}
		if covered, missing := validation.Covers(rules.clusterWide(account), needs); !covered {
			var names []string
			for _, rule := range missing {
				names = append(names, rule.Verbs[0]+" "+rule.Resources[0])
			}
			results = append(results, fail(installFix, "service account %s/%s may not %s", account.Namespace, account.Name, some(names)))
		}
	}
	if len(results) == 0 {
		return pass("the scheduler may bind, and read what it needs"), nil
	}
	return results, nil
}
