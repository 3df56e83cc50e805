package preflight

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// A driver that makes its directories in pods waits for ever on dedicated nodes, and nothing on the tenant's pod says why.
func TestStorageDrivers(t *testing.T) {
	may := func(group string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{"create", "delete"}, APIGroups: []string{group}, Resources: resources}
	}
	volumes, pods := may("", "persistentvolumes"), may("", "pods")
	for name, tc := range map[string]struct {
		everywhere, within []rbacv1.PolicyRule
		labels             map[string]string
		platform           []string
		mode               v1alpha1.Mode
		want               Status
		says, run          string
	}{
		"volumes everywhere, pods in its namespace": {
			everywhere: []rbacv1.PolicyRule{volumes}, within: []rbacv1.PolicyRule{pods},
			want: Warn, says: "local-path-storage/driver may make volumes and pods", run: `/spec/platformNamespaces/names/-","value":"local-path-storage"`,
		},
		"both everywhere":                   {everywhere: []rbacv1.PolicyRule{volumes, pods}, want: Warn, says: "local-path-storage/driver"},
		"no pods: it makes them over there": {everywhere: []rbacv1.PolicyRule{volumes}, want: Pass},
		"no volumes":                        {everywhere: []rbacv1.PolicyRule{pods}, want: Pass},
		"an administrator":                  {everywhere: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}, want: Pass},
		"its namespace is platform by name": {everywhere: []rbacv1.PolicyRule{volumes, pods}, platform: []string{"local-path-storage"}, want: Pass},
		"its namespace is a tenant's": {
			everywhere: []rbacv1.PolicyRule{volumes, pods}, labels: map[string]string{tenantLabel: "acme"},
			want: Warn, says: "always refused in a tenant's namespace", run: "kubectl label namespace local-path-storage tenantisolation.dev/tenant-",
		},
		"dedication is off": {everywhere: []rbacv1.PolicyRule{volumes, pods}, mode: v1alpha1.ModeDisabled, want: Pass},
	} {
		t.Run(name, func(t *testing.T) {
			driver := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "local-path-storage", Name: "driver"}}
			meta := metav1.ObjectMeta{Name: "driver"}
			inNamespace := metav1.ObjectMeta{Name: "driver", Namespace: "local-path-storage"}
			spec := policy.Default()
			spec.Dedication.Mode, spec.PlatformNamespaces = v1alpha1.ModeEnabled, v1alpha1.PlatformNamespaces{Names: tc.platform}
			rules, err := podfacts.NewRules(spec)
			if err != nil {
				t.Fatal(err)
			}
			c := &Checker{
				Client: fake.NewClientset(
					&rbacv1.ClusterRole{ObjectMeta: meta, Rules: tc.everywhere},
					&rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "driver"}, Subjects: driver},
					&rbacv1.Role{ObjectMeta: inNamespace, Rules: tc.within},
					&rbacv1.RoleBinding{ObjectMeta: inNamespace, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "driver"}, Subjects: driver},
				),
				Policy:     spec,
				Rules:      rules,
				Installed:  true,
				Namespaces: []*v1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "local-path-storage", Labels: tc.labels}}},
			}
			if tc.mode != "" {
				c.Policy.Dedication.Mode = tc.mode
			}
			got, err := c.storageDrivers(t.Context())
			if err != nil || len(got) != 1 || got[0].Status != tc.want || !strings.Contains(got[0].Says, tc.says) || !strings.Contains(strings.Join(got[0].Run, "\n"), tc.run) {
				t.Errorf("%+v, %v, want %s, %q and the command %q", got, err, tc.want, tc.says, tc.run)
			}
		})
	}
}
