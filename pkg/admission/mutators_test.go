package admission_test

import (
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"tenantisolation.dev/scheduler/pkg/admission"
)

func TestOthersChangePods(t *testing.T) {
	rule := func(operation admissionv1.OperationType, resources ...string) admissionv1.RuleWithOperations {
		return admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Connect, operation}, Rule: admissionv1.Rule{Resources: resources},
		}
	}
	webhook := func(rules ...admissionv1.RuleWithOperations) []*admissionv1.MutatingWebhookConfiguration {
		return []*admissionv1.MutatingWebhookConfiguration{
			{Webhooks: []admissionv1.MutatingWebhook{{Rules: []admissionv1.RuleWithOperations{rule(admissionv1.Create, "namespaces")}}}},
			{Webhooks: []admissionv1.MutatingWebhook{{}, {Rules: rules}}},
		}
	}
	shipped, err := admission.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	var ours []*admissionv1.MutatingAdmissionPolicy
	for i := range shipped.Mutating {
		ours = append(ours, &shipped.Mutating[i])
	}
	policy := func(match *admissionv1.MatchResources) []*admissionv1.MutatingAdmissionPolicy {
		p := &admissionv1.MutatingAdmissionPolicy{Spec: admissionv1.MutatingAdmissionPolicySpec{MatchConstraints: match}}
		p.Name = "of-others"
		return append([]*admissionv1.MutatingAdmissionPolicy{p}, ours...)
	}
	match := func(rules ...admissionv1.RuleWithOperations) *admissionv1.MatchResources {
		m := &admissionv1.MatchResources{}
		for _, r := range rules {
			m.ResourceRules = append(m.ResourceRules, admissionv1.NamedRuleWithOperations{RuleWithOperations: r})
		}
		return m
	}
	for what, tc := range map[string]struct {
		webhooks []*admissionv1.MutatingWebhookConfiguration
		policies []*admissionv1.MutatingAdmissionPolicy
		want     bool
	}{
		"nobody":                        {nil, ours, false},
		"a webhook":                     {webhook(rule(admissionv1.Create, "pods")), nil, true},
		"a webhook for several":         {webhook(rule(admissionv1.Update, "pods"), rule(admissionv1.Create, "services", "pods")), nil, true},
		"a webhook for everything":      {webhook(rule(admissionv1.OperationAll, "*")), nil, true},
		"with subresources":             {webhook(rule(admissionv1.OperationAll, "*/*")), nil, true},
		"a webhook for updates":         {webhook(rule(admissionv1.Update, "pods")), nil, false},
		"a webhook for subresources":    {webhook(rule(admissionv1.Create, "pods/binding", "pods/*")), nil, false},
		"a webhook without rules":       {webhook(), nil, false},
		"a policy":                      {nil, policy(match(rule(admissionv1.Create, "pods"))), true},
		"a policy for deployments":      {nil, policy(match(rule(admissionv1.Create, "deployments"))), false},
		"a policy for anything":         {nil, policy(match()), true},
		"a policy that matches nothing": {nil, policy(nil), true},
	} {
		got, err := admission.OthersChangePods(tc.webhooks, tc.policies)
		if err != nil || got != tc.want {
			t.Errorf("%s: %t, %v, want %t", what, got, err, tc.want)
		}
	}
}
