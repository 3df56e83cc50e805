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

func TestThePoliciesAreThoseOfTheManifests(t *testing.T) {
	files, err := filepath.Glob("../../../manifests/components/admission/policies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var validating, mutating, warning []string
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
				validating = append(validating, object.Metadata.Name)
			case "MutatingAdmissionPolicy":
				mutating = append(mutating, object.Metadata.Name)
			case "ValidatingAdmissionPolicyBinding":
				if !slices.Contains(object.Spec.ValidationActions, admissionv1.Deny) {
					warning = append(warning, object.Spec.PolicyName)
				}
			}
		}
	}
	for name, lists := range map[string][2][]string{
		"validating": {validating, preflight.ValidatingPolicies()},
		"mutating":   {mutating, preflight.MutatingPolicies()},
		"warning":    {warning, preflight.Warning()},
	} {
		slices.Sort(lists[0])
		slices.Sort(lists[1])
		if diff := cmp.Diff(lists[0], lists[1]); diff != "" {
			t.Errorf("%s policies (-manifests +preflight):\n%s", name, diff)
		}
	}
}
