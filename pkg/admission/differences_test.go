package admission_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
)

func shipped(t *testing.T) *admission.Policies {
	t.Helper()
	all, err := admission.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func differences(t *testing.T, live *admission.Policies, enforcement v1alpha1.Enforcement) []admission.Difference {
	t.Helper()
	found, err := admission.Differences(live, enforcement)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDifferences(t *testing.T) {
	policy := func(p *admission.Policies, name string) *admissionv1.ValidatingAdmissionPolicySpec {
		for i := range p.Validating {
			if p.Validating[i].Name == name {
				return &p.Validating[i].Spec
			}
		}
		t.Fatalf("no policy %s", name)
		return nil
	}
	binding := func(p *admission.Policies, name string) *admissionv1.ValidatingAdmissionPolicyBindingSpec {
		for i := range p.ValidatingBindings {
			if strings.HasPrefix(p.ValidatingBindings[i].Name, name) {
				return &p.ValidatingBindings[i].Spec
			}
		}
		t.Fatalf("no binding %s", name)
		return nil
	}
	allow, ignore := admissionv1.AllowAction, admissionv1.Ignore
	for name, tc := range map[string]struct {
		change func(*admission.Policies)
		field  string
		names  []string
	}{
		"a validation that is always true": {
			func(p *admission.Policies) { policy(p, "tenant-isolation-pods").Validations[1].Expression = "true" },
			"spec.validations[1].expression",
			[]string{"tenant-isolation-pods", `"true"`},
		},
		"a policy that fails open": {
			func(p *admission.Policies) { policy(p, "tenant-isolation-binding").FailurePolicy = &ignore },
			"spec.failurePolicy",
			[]string{"tenant-isolation-binding", `"Ignore"`, `"Fail"`},
		},
		"a missing parameter that allows": {
			func(p *admission.Policies) {
				binding(p, "tenant-isolation-pods").ParamRef.ParameterNotFoundAction = &allow
			},
			"spec.paramRef.parameterNotFoundAction",
			[]string{`"Allow"`, `"Deny"`},
		},
		"a condition that never holds": {
			func(p *admission.Policies) {
				spec := policy(p, "tenant-isolation-evidence")
				spec.MatchConditions = append(spec.MatchConditions, admissionv1.MatchCondition{Name: "never", Expression: "false"})
			},
			"spec.matchConditions",
			[]string{"tenant-isolation-evidence"},
		},
		"a binding that is narrowed": {
			func(p *admission.Policies) {
				binding(p, "tenant-isolation-deletion").MatchResources = &admissionv1.MatchResources{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
				}
			},
			"spec.matchResources",
			[]string{"ValidatingAdmissionPolicyBinding", "tenant-isolation-deletion"},
		},
		"a policy that matches less": {
			func(p *admission.Policies) {
				policy(p, "tenant-isolation-status").MatchConstraints.ResourceRules[0].Resources = []string{"pods"}
			},
			"spec.matchConstraints.resourceRules[0].resources[0]",
			[]string{`"pods"`, `"pods/status"`},
		},
		"a binding that only warns": {
			func(p *admission.Policies) {
				binding(p, "tenant-isolation-updates").ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
			},
			"spec.validationActions[0]",
			[]string{"tenant-isolation-updates", "Warn"},
		},
		"a mutating policy that is missing": {
			func(p *admission.Policies) { p.Mutating = p.Mutating[1:] }, "", []string{"MutatingAdmissionPolicy ", "is missing"},
		},
		"a binding that is missing": {
			func(p *admission.Policies) { p.MutatingBindings = p.MutatingBindings[1:] }, "", []string{"MutatingAdmissionPolicyBinding ", "is missing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			live := shipped(t)
			tc.change(live)
			found := differences(t, live, v1alpha1.EnforcementEnforce)
			if len(found) != 1 {
				t.Fatalf("differences %v, want one", found)
			}
			if found[0].Field != tc.field {
				t.Errorf("field %q, want %q", found[0].Field, tc.field)
			}
			for _, want := range tc.names {
				if !strings.Contains(found[0].Message, want) {
					t.Errorf("the message does not name %q: %s", want, found[0].Message)
				}
			}
		})
	}
}

func TestDifferencesOfOthers(t *testing.T) {
	live := shipped(t)
	live.Validating = append(live.Validating, admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "of-another-product"}})
	if found := differences(t, live, v1alpha1.EnforcementEnforce); len(found) > 0 {
		t.Errorf("differences %v, want none", found)
	}
	if found := differences(t, &admission.Policies{}, v1alpha1.EnforcementEnforce); len(found) < 40 {
		t.Errorf("an empty cluster has %d differences, want all policies and bindings", len(found))
	}
}

// The overlays are what administrators apply.
func TestDifferencesOfTheOverlays(t *testing.T) {
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	if _, err := os.Stat(kubectl); err != nil {
		kubectl = filepath.Join("..", "..", "bin", "control-plane", "kubectl")
	}
	if _, err := os.Stat(kubectl); err != nil {
		t.Skip("make control-plane builds the kubectl that renders the overlays")
	}
	for overlay, enforcement := range map[string]v1alpha1.Enforcement{
		"default": v1alpha1.EnforcementEnforce, "audit": v1alpha1.EnforcementAudit,
	} {
		t.Run(overlay, func(t *testing.T) {
			live := &admission.Policies{}
			for _, dir := range []string{"crds", "overlays/" + overlay} {
				text, err := exec.CommandContext(t.Context(), kubectl, "kustomize", filepath.Join("..", "..", "manifests", dir)).Output()
				if err != nil {
					t.Fatal(err)
				}
				if err := live.Read(text); err != nil {
					t.Fatal(err)
				}
			}
			for _, difference := range differences(t, live, enforcement) {
				t.Error(difference.Message)
			}
			other := v1alpha1.EnforcementAudit
			if enforcement == other {
				other = v1alpha1.EnforcementEnforce
			}
			if len(differences(t, live, other)) == 0 {
				t.Errorf("with enforcement %s it is as shipped, too", other)
			}
		})
	}
}
