package preflight

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"tenantisolation.dev/scheduler/pkg/admission"
)

func TestPolicies(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*admission.Policies)
		status Status
		says   []string
		runs   string
	}{
		"as shipped": {func(*admission.Policies) {}, Pass, []string{"as shipped"}, ""},
		"none":       {func(p *admission.Policies) { *p = admission.Policies{} }, Fail, []string{"none is installed"}, "helm upgrade --install"},
		"a validation that is always true": {func(p *admission.Policies) {
			for i := range p.Validating {
				if p.Validating[i].Name == "tenant-isolation-binding" {
					p.Validating[i].Spec.Validations[0].Expression = "true"
				}
			}
		}, Fail, []string{"tenant-isolation-binding", "spec.validations[0].expression"}, "kubectl delete validatingadmissionpolicy/tenant-isolation-binding"},
		"a binding that only warns": {func(p *admission.Policies) {
			p.ValidatingBindings[0].Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
		}, Fail, []string{"validationActions"}, "kubectl delete validatingadmissionpolicybinding/"},
	} {
		t.Run(name, func(t *testing.T) {
			live, err := admission.Shipped()
			if err != nil {
				t.Fatal(err)
			}
			tc.change(live)
			var objects []runtime.Object
			for i := range live.Validating {
				objects = append(objects, &live.Validating[i])
			}
			for i := range live.ValidatingBindings {
				objects = append(objects, &live.ValidatingBindings[i])
			}
			for i := range live.Mutating {
				objects = append(objects, &live.Mutating[i])
			}
			for i := range live.MutatingBindings {
				objects = append(objects, &live.MutatingBindings[i])
			}
			c := &Checker{Client: fake.NewClientset(objects...)}
			got, err := c.policies(t.Context())
			if err != nil || len(got) != 1 || got[0].Status != tc.status {
				t.Fatalf("results %v, error %v, want one that is %s", got, err, tc.status)
			}
			if !strings.Contains(strings.Join(got[0].Run, "\n"), tc.runs) {
				t.Errorf("it does not run %q: %q", tc.runs, got[0].Run)
			}
			for _, want := range tc.says {
				if !strings.Contains(got[0].Says, want) {
					t.Errorf("it does not say %q: %s", want, got[0].Says)
				}
			}
		})
	}
}
