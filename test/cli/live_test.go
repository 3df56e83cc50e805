package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"tenantisolation.dev/scheduler/pkg/cli/preflight"
	"tenantisolation.dev/scheduler/pkg/cli/report"
)

// kubectl finds the tool by its name, and passes its own flags on.
func TestKubectlPlugin(t *testing.T) {
	w := newEnvironment(t)
	w.node(t, "plugin-1")
	binary := build(t)
	w.namespace(t, "plugin", "")
	w.pod(t, plainPod("plugin", "web", "plugin-1"))
	// The flags of the README. Nothing is installed, so nothing keeps the rule.
	for command, want := range map[string]int{"audit --tenant-key=namespace": 2, "plan --tenant-key=namespace": 0} {
		args := append([]string{"isolation"}, strings.Fields(command)...)
		cmd := exec.CommandContext(t.Context(), w.plane.KubectlPath(), append(args, "--kubeconfig", w.plane.AdminKubeconfig(), "-o", "json")...)
		cmd.Env = []string{"PATH=" + filepath.Dir(binary), "HOME=" + t.TempDir()}
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want || !strings.Contains(string(out), `"pods": 1`) {
			t.Errorf("%s: %v, want status %d\n%s", command, err, want, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), w.plane.KubectlPath(), "isolation", "audit", "--context", "none")
	cmd.Env = []string{"PATH=" + filepath.Dir(binary), "HOME=" + t.TempDir(), "KUBECONFIG=" + w.plane.AdminKubeconfig()}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err == nil || !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("a context that does not exist: %v, want status 2\n%s", err, out)
	}
}

// A user who may list pods but not namespaces learns which right is missing, and gets no "clean". With the rights to read
// the cluster, and none to read what keeps the rule, preflight is not clean either.
func TestWithoutRights(t *testing.T) {
	w := newEnvironment(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "reader"}}
	if _, err := w.api.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"list"}, APIGroups: []string{""}, Resources: []string{"pods"}}},
	}
	if _, err := w.api.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "reader"}},
	}
	if _, err := w.api.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config, err := w.plane.ServiceAccount(t.Context(), "default", "reader")
	if err != nil {
		t.Fatal(err)
	}
	w.awaitRight(t, account, metav1.NamespaceAll)
	kubeconfig, err := w.plane.WriteKubeconfig("reader", config)
	if err != nil {
		t.Fatal(err)
	}
	got := w.run(t, kubeconfig, "audit")
	if got.status != 2 || !strings.Contains(got.errOut, "no right to list namespaces") || got.out != "" {
		t.Errorf("status %d, want 2 and what is missing:\n%s%s", got.status, got.out, got.errOut)
	}
	// The command of that error.
	_, command, _ := strings.Cut(got.errOut, "kubectl create clusterrole ")
	command, _, _ = strings.Cut(command, "\n")
	cmd := exec.CommandContext(t.Context(), w.plane.KubectlPath(), append([]string{"create", "clusterrole", "--kubeconfig", w.plane.AdminKubeconfig()}, strings.Fields(command)...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	binding = binding.DeepCopy()
	binding.ResourceVersion, binding.Name, binding.RoleRef.Name = "", "tenant-isolation-reader", "tenant-isolation-reader"
	if _, err := w.api.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		got = w.run(t, kubeconfig, "audit")
		return !strings.Contains(got.errOut, "no right"), nil
	})
	if err != nil {
		t.Fatalf("%s does not give the right to read: %s", command, got.errOut)
	}
	got = w.run(t, kubeconfig, "preflight", "-o", "json")
	var results []preflight.Result
	if err := json.Unmarshal([]byte(got.out), &results); err != nil {
		t.Fatalf("%v: %s%s", err, got.out, got.errOut)
	}
	unchecked := 0
	for _, r := range results {
		if strings.Contains(r.Says, "could not be checked") != r.Unchecked {
			t.Errorf("%+v", r)
		}
		if r.Unchecked {
			unchecked++
		}
	}
	if unchecked == 0 || got.status == 0 {
		t.Errorf("status %d, %d results not checked, want some: %s", got.status, unchecked, got.out)
	}
}

// A pod that another scheduler put beside a tenant's is a finding until it is gone.
func TestAuditOfAnotherSchedulersPods(t *testing.T) {
	w := newEnvironment(t)
	w.node(t, "live-1")
	w.namespace(t, "live-acme", "acme")
	w.namespace(t, "live-wiki", "")
	w.pod(t, plainPod("live-acme", "web", "live-1"))
	got := w.run(t, w.plane.AdminKubeconfig(), "audit")
	if got.status != 2 || !strings.Contains(got.out, "Not judged: no IsolationPolicy is in the cluster") || strings.Contains(got.out, "FINDING") {
		t.Errorf("status %d before, want 2, no finding, and that nothing keeps the rule:\n%s%s", got.status, got.out, got.errOut)
	}
	w.pod(t, plainPod("live-wiki", "page", "live-1"))
	got = w.run(t, w.plane.AdminKubeconfig(), "audit")
	if got.status != 1 || !strings.Contains(got.out, "UnmanagedResident") || !strings.Contains(got.out, "live-1") {
		t.Errorf("status %d, want 1 and UnmanagedResident on live-1:\n%s%s", got.status, got.out, got.errOut)
	}
	if got := w.run(t, w.plane.AdminKubeconfig(), "explain", "web", "-n", "live-acme"); got.status != 1 || !strings.Contains(got.out, "its own node live-1, without it: UnmanagedResident") {
		t.Errorf("explain: status %d:\n%s%s", got.status, got.out, got.errOut)
	}
	// Nothing writes.
	if got := w.run(t, w.plane.AdminKubeconfig(), "report", "-o", "json"); got.status != 1 || !strings.Contains(got.out, `"digest"`) {
		t.Errorf("report: status %d:\n%.500s%s", got.status, got.out, got.errOut)
	}
}

// A report of a live cluster says of which, by whom, and in which state the controls are.
func TestReportOfALiveCluster(t *testing.T) {
	w := newEnvironment(t)
	system, err := w.api.CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := w.run(t, w.plane.AdminKubeconfig(), "report", "-o", "json")
	var data report.Data
	if err := json.Unmarshal([]byte(got.out), &data); err != nil {
		t.Fatalf("%v: %s%s", err, got.out, got.errOut)
	}
	if data.Cluster.UID != string(system.UID) || data.Cluster.Address == "" || data.Cluster.Version == "" {
		t.Errorf("the cluster is %+v, want the UID %s", data.Cluster, system.UID)
	}
	if data.MadeBy == nil || data.MadeBy.Name == "" || len(data.MadeBy.Groups) == 0 {
		t.Errorf("made by %+v", data.MadeBy)
	}
	state := ""
	for _, control := range data.Controls {
		if control.Name == "policies" {
			state = control.State
		}
	}
	// Nothing is installed here.
	if state != "fail" || data.Judged {
		t.Errorf("judged %v, the admission policies are %q: %+v", data.Judged, state, data.Controls)
	}
}
