package preflight

import (
	"cmp"
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// schedulerNeeds are the rights without which the scheduler does not start, or binds nothing.
func schedulerNeeds() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"pods", "nodes", "namespaces", "persistentvolumes", "persistentvolumeclaims"}},
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"node.k8s.io"}, Resources: []string{"runtimeclasses"}},
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"storage.k8s.io"}, Resources: []string{"storageclasses"}},
		{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"pods/binding"}},
	}
}

// schedulerRights checks that the scheduler may bind, and read what it needs to start.
func (c *Checker) schedulerRights(ctx context.Context) ([]Result, error) {
	rules, err := c.readRules(ctx)
	if err != nil {
		return nil, err
	}
	deployments, err := c.deployments(ctx)
	if err != nil {
		return nil, err
	}
	accounts := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: systemNamespace, Name: schedulerName}}
	if len(deployments) > 0 {
		accounts = accountsOf(deployments)
	} else if leaders, err := c.leaders(ctx, nil); err != nil || slices.ContainsFunc(leaders, func(l leader) bool { return l.lately }) {
		return []Result{rightsOutside(rules)}, err
	}
	var results []Result
	for _, account := range accounts {
		if covered, missing := validation.Covers(rules.clusterWide(account), schedulerNeeds()); !covered {
			var names []string
			for _, rule := range missing {
				names = append(names, rule.Verbs[0]+" "+rule.Resources[0])
			}
			results = append(results, fail(c.install(deployments), "service account %s/%s may not %s", account.Namespace, account.Name, some(names)))
		}
	}
	if len(results) == 0 {
		return pass("the scheduler may bind, and read what it needs"), nil
	}
	return results, nil
}

func accountsOf(deployments []appsv1.Deployment) []rbacv1.Subject {
	var accounts []rbacv1.Subject
	for i := range deployments {
		d := &deployments[i]
		accounts = append(accounts, rbacv1.Subject{
			Kind: rbacv1.ServiceAccountKind, Namespace: d.Namespace, Name: cmp.Or(d.Spec.Template.Spec.ServiceAccountName, "default"),
		})
	}
	return accounts
}

// rightsOutside is for a scheduler of which only the lease is known: no object says as whom it runs.
func rightsOutside(rules *rules) Result {
	var users []string
	for _, subject := range rules.subjects() {
		if covered, _ := validation.Covers(rules.clusterWide(subject), schedulerNeeds()); covered {
			users = append(users, userOf(subject))
		}
	}
	if len(users) == 0 {
		return fail(advise("give its user the rights of manifests/base in the chart", "kubectl isolation chart "+ChartFile),
			"the scheduler runs outside of the cluster, and no user and no service account may by RBAC bind pods and read what it needs; a group is not looked at")
	}
	user := "system:kube-scheduler"
	if !slices.Contains(users, user) {
		user = users[0]
	}
	return warn(advise("if it runs as another user, ask the API server about that one", "kubectl auth can-i create pods/binding --as="+quoted(user)),
		"the scheduler runs outside of the cluster, so it is unknown as whom. These may bind pods and read what it needs: %s", some(users))
}

// userOf is the name by which the API server knows a subject.
func userOf(subject rbacv1.Subject) string {
	if subject.Kind == rbacv1.ServiceAccountKind {
		return "system:serviceaccount:" + subject.Namespace + ":" + subject.Name
	}
	return subject.Name
}
