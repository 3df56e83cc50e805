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

// within returns the rules of a subject in one namespace, without those in every one.
func (r *rules) within(namespace string, subject rbacv1.Subject) []rbacv1.PolicyRule {
	var all []rbacv1.PolicyRule
	for i := range r.namespaced {
		b := &r.namespaced[i]
		if b.Namespace != namespace || !slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool {
			return s.Kind == subject.Kind && s.Namespace == subject.Namespace && s.Name == subject.Name
		}) {
			continue
		}
		if b.RoleRef.Kind == "Role" {
			all = append(all, r.roles[b.Namespace+"/"+b.RoleRef.Name]...)
		} else {
			all = append(all, r.clusterRoles[b.RoleRef.Name]...)
		}
	}
	return all
}

// subjects are the users and service accounts with rights in every namespace.
func (r *rules) subjects() []rbacv1.Subject {
	var all []rbacv1.Subject
	for i := range r.cluster {
		for _, s := range r.cluster[i].Subjects {
			s.APIGroup = ""
			if s.Kind != rbacv1.GroupKind && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// holders are who may do something, without the components of Kubernetes, and by which bindings.
type holders struct {
	everywhere, somewhere []string
	// look are the commands that show the bindings.
	look []string
}

func (h *holders) add(o *holders) {
	h.everywhere = distinct(append(h.everywhere, o.everywhere...))
	h.somewhere = distinct(append(h.somewhere, o.somewhere...))
	h.look = distinct(append(h.look, o.look...))
}

// who lists those that may do something everywhere, and, if asked, those that may in some namespace.
func (r *rules) who(verb, group, resource string, inNamespaces bool) *holders {
	var found holders
	needs := []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}}}
	for i := range r.cluster {
		b := &r.cluster[i]
		if covered, _ := validation.Covers(r.clusterRoles[b.RoleRef.Name], needs); covered {
			if names := subjectsOf(b.Subjects); len(names) > 0 {
				found.add(&holders{everywhere: names, look: []string{"kubectl describe clusterrolebinding " + quoted(b.Name)}})
			}
		}
	}
	if !inNamespaces {
		return &found
	}
	for i := range r.namespaced {
		b := &r.namespaced[i]
		granted := r.clusterRoles[b.RoleRef.Name]
		if b.RoleRef.Kind == "Role" {
			granted = r.roles[b.Namespace+"/"+b.RoleRef.Name]
		}
		if covered, _ := validation.Covers(granted, needs); covered {
			for _, name := range subjectsOf(b.Subjects) {
				found.add(&holders{somewhere: []string{name + " in " + b.Namespace}, look: []string{"kubectl describe rolebinding --namespace=" + b.Namespace + " " + quoted(b.Name)}})
			}
		}
	}
	return &found
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
