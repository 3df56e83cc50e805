package preflight

import (
	"context"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// rules are the roles and bindings of RBAC. Other authorizers, such as a webhook, are
// unknown.
type rules struct {
	clusterRoles map[string][]rbacv1.PolicyRule
	roles        map[string][]rbacv1.PolicyRule
	cluster      []rbacv1.ClusterRoleBinding
	namespaced   []rbacv1.RoleBinding
}

func (c *Checker) readRules(ctx context.Context) (*rules, error) {
	r := &rules{clusterRoles: map[string][]rbacv1.PolicyRule{}, roles: map[string][]rbacv1.PolicyRule{}}
	api := c.Client.RbacV1()
	clusterRoles, err := api.ClusterRoles().List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	for i := range clusterRoles.Items {
		r.clusterRoles[clusterRoles.Items[i].Name] = clusterRoles.Items[i].Rules
	}
	roles, err := api.Roles("").List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	for i := range roles.Items {
		r.roles[roles.Items[i].Namespace+"/"+roles.Items[i].Name] = roles.Items[i].Rules
	}
	clusterBindings, err := api.ClusterRoleBindings().List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	r.cluster = clusterBindings.Items
	bindings, err := api.RoleBindings("").List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	r.namespaced = bindings.Items
	return r, nil
}

// clusterWide returns the rules of a subject in every namespace.
func (r *rules) clusterWide(subject rbacv1.Subject) []rbacv1.PolicyRule {
	var all []rbacv1.PolicyRule
	for i := range r.cluster {
		b := &r.cluster[i]
		if slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool {
			return s.Kind == subject.Kind && s.Namespace == subject.Namespace && s.Name == subject.Name
		}) {
			all = append(all, r.clusterRoles[b.RoleRef.Name]...)
		}
	}
	return all
}

// who lists the subjects that may do something everywhere, and those that may in some
// namespace, without the components of Kubernetes.
func (r *rules) who(verb, group, resource string) (everywhere, somewhere []string) {
	needs := []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}}}
	for i := range r.cluster {
		b := &r.cluster[i]
		if covered, _ := validation.Covers(r.clusterRoles[b.RoleRef.Name], needs); covered {
			everywhere = append(everywhere, subjectsOf(b.Subjects)...)
		}
	}
	for i := range r.namespaced {
		b := &r.namespaced[i]
		granted := r.clusterRoles[b.RoleRef.Name]
		if b.RoleRef.Kind == "Role" {
			granted = r.roles[b.Namespace+"/"+b.RoleRef.Name]
		}
		if covered, _ := validation.Covers(granted, needs); covered {
			for _, name := range subjectsOf(b.Subjects) {
				somewhere = append(somewhere, name+" in "+b.Namespace)
			}
		}
	}
	return distinct(everywhere), distinct(somewhere)
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// subjectsOf names the subjects that are not components of Kubernetes: these need the
// rights, and are trusted with them.
func subjectsOf(all []rbacv1.Subject) []string {
	var names []string
	for _, s := range all {
		switch {
		case s.Kind == rbacv1.ServiceAccountKind && (s.Namespace == "kube-system" || s.Namespace == systemNamespace):
		case s.Kind == rbacv1.ServiceAccountKind:
			names = append(names, "serviceaccount "+s.Namespace+"/"+s.Name)
		case strings.HasPrefix(s.Name, "system:") && !allUsers(s.Name):
		default:
			names = append(names, strings.ToLower(s.Kind)+" "+s.Name)
		}
	}
	return names
}

// allUsers reports whether a group includes all users or all service accounts.
func allUsers(group string) bool {
	return group == "system:authenticated" || group == "system:unauthenticated" || strings.HasPrefix(group, "system:serviceaccounts")
}
