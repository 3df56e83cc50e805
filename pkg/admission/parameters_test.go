package admission_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
	"tenantisolation.dev/scheduler/pkg/policy"
)

func TestParameters(t *testing.T) {
	policy := inForce()
	policy.Spec.Sharing.DataClasses = []v1alpha1.DataClassGroup{{"public", "internal"}}
	policy.Spec.Sharing.Privileges = []v1alpha1.PrivilegeGroup{{"baseline", "restricted"}}
	policy.Spec.Boundaries.Handlers = map[string]v1alpha1.Boundary{"kata-fc": v1alpha1.BoundaryContainer, "my-vm": v1alpha1.BoundaryVM}
	policy.Spec.Boundaries.AllowedAnnotations = []string{"io.katacontainers.config.b", "io.katacontainers.config.a"}
	policy.Spec.RuntimeClasses.ByDataClass = map[string]v1alpha1.RuntimeClassName{"restricted": "kata-qemu", "confidential": "gvisor"}
	policy.Spec.TenantFrom = &v1alpha1.TenantFrom{NamespaceLabel: "capsule.clastix.io/tenant"}
	policy.Spec.PlatformNamespaces.Selector = &metav1.LabelSelector{
		MatchLabels:      map[string]string{"kubernetes.io/metadata.name": "agents", "team": "platform"},
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "core", Operator: metav1.LabelSelectorOpExists}},
	}
	got := admission.Parameters(policy, []string{"one", "two"})
	handlers := got.Data["handlers"]
	delete(got.Data, "handlers")
	want := map[string]string{
		"generation":            "7",
		"schedulerNames":        "one two",
		"dataClasses":           "unclassified public internal confidential restricted",
		"dedicationClasses":     "unclassified public public confidential restricted", //nolint:dupword // internal shares with public
		"nodePrivileges":        "baseline baseline privileged",                       //nolint:dupword // one word for each level
		"nodeUserNamespaces":    "host pod",
		"runtimeClasses":        " gvisor=sandbox kata-qemu=vm plain=container ",
		"sharingRuntimeClasses": " kata-qemu ",
		"byDataClass":           " confidential=gvisor restricted=kata-qemu ",
		"allowedAnnotations":    " io.katacontainers.config.a io.katacontainers.config.b ",
		"tenantFrom":            "capsule.clastix.io/tenant",
		"dedication":            "Enabled",
		"enforcement":           "Enforce",
		"platformNames":         " kube-system tenant-isolation-system ",
		"platformSelector":      "Exists core  \nIn kubernetes.io/metadata.name  agents \nIn team  platform ",
		"platformKeys":          "core team",
	}
	if diff := cmp.Diff(want, got.Data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	for handler, want := range map[string]bool{"kata": true, "runsc": true, "my-vm": true, "kata-fc": false, "crun": false} {
		if got := contains(handlers, handler); got != want {
			t.Errorf("handler %s is a boundary: %v, want %v", handler, got, want)
		}
	}
	if again := admission.Parameters(policy, []string{"one", "two"}); again.Data["handlers"] != handlers {
		t.Error("the same policy makes two parameters")
	}
	for key := range admission.PlatformEntries(policy) {
		if len(key) < 3 || key == "term" {
			t.Errorf("key %q is one that nodes have in the table", key)
		}
	}
}

func TestParametersOfSandboxes(t *testing.T) {
	policy := inForce()
	policy.Spec.Boundaries.Minimum = v1alpha1.BoundarySandbox
	policy.Spec.SeparateBy = []v1alpha1.Axis{v1alpha1.AxisTenant}
	got := admission.Parameters(policy, []string{schedulerName}).Data
	if want := " gvisor kata-qemu "; got["sharingRuntimeClasses"] != want {
		t.Errorf("RuntimeClasses that share nodes %q, want %q", got["sharingRuntimeClasses"], want)
	}
	if got["nodePrivileges"] != "any any any" || got["nodeUserNamespaces"] != "any any" { //nolint:dupword // one word for each level
		t.Errorf("labels of nodes for privileges %q and user namespaces %q", got["nodePrivileges"], got["nodeUserNamespaces"])
	}
	if got["dedicationClasses"] != "" {
		t.Errorf("classes of dedications %q, want none", got["dedicationClasses"])
	}
}

// A pod that names no RuntimeClass is looked up as the item "".
func TestParametersWithoutRuntimeClasses(t *testing.T) {
	for key, list := range admission.Parameters(&v1alpha1.InForce{Spec: *policy.Default()}, []string{schedulerName}).Data {
		if contains(list, "") {
			t.Errorf("%s is %q, which has the item %q", key, list, "")
		}
	}
}

func contains(list, item string) bool { return strings.Contains(list, " "+item+" ") }
