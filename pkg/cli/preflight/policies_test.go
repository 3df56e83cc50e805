package preflight_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

func TestPoliciesMatchManifests(t *testing.T) {
	for component, tc := range map[string]struct {
		want    preflight.Policies
		warning []string
	}{
		"admission":  {preflight.AdmissionPolicies(), preflight.Warning()},
		"dedication": {preflight.DedicationPolicies(), nil},
	} {
		got, warning := shipped(t, component)
		for name, lists := range map[string][2][]string{
			"validating": {got.Validating, tc.want.Validating},
			"mutating":   {got.Mutating, tc.want.Mutating},
			"warning":    {warning, tc.warning},
		} {
			slices.Sort(lists[0])
			slices.Sort(lists[1])
			if diff := cmp.Diff(lists[0], lists[1]); diff != "" {
				t.Errorf("%s policies of %s (-manifests +preflight):\n%s", name, component, diff)
			}
		}
	}
}

// shipped reads the policies of a component, and which of them only warn.
func shipped(t *testing.T, component string) (all preflight.Policies, warning []string) {
	t.Helper()
	files, err := filepath.Glob("../../../manifests/components/" + component + "/policies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---") {
			var object struct {
				Kind     string
				Metadata struct{ Name string }
				Spec     struct {
					PolicyName        string
					ValidationActions []admissionv1.ValidationAction
				}
			}
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			switch object.Kind {
			case "ValidatingAdmissionPolicy":
				all.Validating = append(all.Validating, object.Metadata.Name)
			case "MutatingAdmissionPolicy":
				all.Mutating = append(all.Mutating, object.Metadata.Name)
			case "ValidatingAdmissionPolicyBinding":
				if !slices.Contains(object.Spec.ValidationActions, admissionv1.Deny) {
					warning = append(warning, object.Spec.PolicyName)
				}
			}
		}
	}
	return all, warning
}
