package admission

import (
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// OthersChangePods reports whether anything but the shipped policies may change new pods: a webhook or a mutating policy
// with a rule for them. Selectors and match conditions are not looked at.
func OthersChangePods(webhooks []*admissionv1.MutatingWebhookConfiguration, policies []*admissionv1.MutatingAdmissionPolicy) (bool, error) {
	shipped, err := parsed()
	if err != nil {
		return true, err
	}
	for _, c := range webhooks {
		for i := range c.Webhooks {
			if slices.ContainsFunc(c.Webhooks[i].Rules, OnNewPods) {
				return true, nil
			}
		}
	}
	for _, p := range policies {
		ours := func(s admissionv1.MutatingAdmissionPolicy) bool { return s.Name == p.Name }
		if !slices.ContainsFunc(shipped.Mutating, ours) && PolicyOnNewPods(p.Spec.MatchConstraints) {
			return true, nil
		}
	}
	return false, nil
}

// PolicyOnNewPods reports whether a policy looks at new pods, as one does that names no resource.
func PolicyOnNewPods(match *admissionv1.MatchResources) bool {
	return match == nil || len(match.ResourceRules) == 0 || slices.ContainsFunc(match.ResourceRules, func(r admissionv1.NamedRuleWithOperations) bool {
		return OnNewPods(r.RuleWithOperations)
	})
}

// OnNewPods reports whether a rule matches the creation of pods.
func OnNewPods(rule admissionv1.RuleWithOperations) bool {
	return slices.ContainsFunc(rule.Operations, func(o admissionv1.OperationType) bool {
		return o == admissionv1.Create || o == admissionv1.OperationAll
	}) && slices.ContainsFunc(rule.Resources, func(resource string) bool {
		return resource == "pods" || resource == "*" || resource == "*/*"
	})
}
