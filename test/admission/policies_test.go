package admission

import (
	"context"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Only the controller that checks types finds a field that is misspelt in CEL.
func TestPoliciesNameOnlyExistingFields(t *testing.T) {
	s := newScene(t)
	var policies []admissionv1.ValidatingAdmissionPolicy
	s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
		list, err := s.admin.AdmissionregistrationV1().ValidatingAdmissionPolicies().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		policies = list.Items
		for _, policy := range policies {
			if policy.Status.ObservedGeneration != policy.Generation {
				return false, nil
			}
		}
		return true, nil
	}))
	for _, policy := range policies {
		if policy.Status.TypeChecking == nil {
			continue
		}
		for _, warning := range policy.Status.TypeChecking.ExpressionWarnings {
			t.Errorf("%s: %s: %s", policy.Name, warning.FieldRef, warning.Warning)
		}
	}
}
