package integration

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// newDedicating gives the test a scheduler that dedicates nodes, quickly, with further
// arguments for it.
func newDedicating(t *testing.T, further ...map[string]any) *fixture {
	t.Helper()
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.mayDedicate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return newFixtureWith(t, dedicationArgs(further...))
}

// dedicationArgs are arguments by which nodes are dedicated and released quickly.
func dedicationArgs(further ...map[string]any) map[string]any {
	fields := map[string]any{"mode": "Enabled", "settleTime": "200ms", "releaseAfter": "200ms"}
	for _, more := range further {
		maps.Copy(fields, more)
	}
	return map[string]any{"dedication": fields}
}

// mayDedicate gives the scheduler the rights that dedication needs, which the base lacks.
func (w *environment) mayDedicate(ctx context.Context) error {
	return w.grant(ctx, "may-dedicate",
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "patch", "update"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "create", "update"}},
		// For a scheduler that stands for election under another name.
		rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update"}})
}

// grant gives the scheduler further rights, once for all tests of the environment.
func (w *environment) grant(ctx context.Context, name string, rules ...rbacv1.PolicyRule) error {
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: systemNamespace, Name: schedulerName}},
	}
	_, err := w.api.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	_, err = w.api.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}

// tolerant pods tolerate the taints of dedicated nodes, as admission makes them.
func tolerant(p *corev1.Pod) {
	for _, key := range []string{isolation.TenantTaint, isolation.DataClassTaint, isolation.BoundaryTaint} {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists})
	}
}

// tenantPod makes a pod with the tolerations that admission would give it.
func (c *fixture) tenantPod(namespace string, options ...podOption) *corev1.Pod {
	c.Helper()
	return c.pod(namespace, append([]podOption{tolerant}, options...)...)
}

// dedicationOn returns the taints of a node's dedication, "" if it has none.
func (c *fixture) dedicationOn(node string) string {
	c.Helper()
	got, err := c.api.CoreV1().Nodes().Get(c.Context(), node, metav1.GetOptions{})
	c.must(err)
	var dedication []string
	for _, taint := range got.Spec.Taints {
		if key, ok := strings.CutPrefix(taint.Key, "tenantisolation.dev/"); ok {
			dedication = append(dedication, fmt.Sprintf("%s=%s:%s", key, taint.Value, taint.Effect))
		}
	}
	return strings.Join(dedication, ",")
}

// entryOf returns the id of a node's entry in the fence, "" if there is none.
func (c *fixture) entryOf(node string) string {
	c.Helper()
	table, err := c.api.CoreV1().ConfigMaps(systemNamespace).Get(c.Context(), dedication.TableName, metav1.GetOptions{})
	c.must(err)
	for key, entries := range table.Data {
		if key == "term" {
			continue
		}
		for entry := range strings.FieldsSeq(entries) {
			if name, rest, _ := strings.Cut(entry, "="); name == node {
				id, _, _ := strings.Cut(rest, ":")
				return id
			}
		}
	}
	return ""
}

func (c *fixture) term() string {
	c.Helper()
	table, err := c.api.CoreV1().ConfigMaps(systemNamespace).Get(c.Context(), dedication.TableName, metav1.GetOptions{})
	c.must(err)
	return table.Data["term"]
}

// released waits until a node is free.
func (c *fixture) released(node string) {
	c.Helper()
	c.eventually("the release of "+node, func(context.Context) (bool, error) {
		return c.dedicationOn(node) == "" && c.entryOf(node) == "", nil
	})
}
