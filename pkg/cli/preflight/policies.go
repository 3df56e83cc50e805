package preflight

import (
	"context"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func listOptions() metav1.ListOptions { return metav1.ListOptions{} }
func getOptions() metav1.GetOptions   { return metav1.GetOptions{} }

const installFix = "kubectl apply -k manifests/overlays/default"

// ValidatingPolicies and MutatingPolicies are the names of those in
// manifests/components/admission.
func ValidatingPolicies() []string {
	return prefixed("namespaces", "runtimeclasses", "binding", "boundary", "deletion", "ephemeral-containers", "evidence",
		"handler", "integrity", "placement", "reports", "parameters", "updates", "vm-toleration")
}

// MutatingPolicies is documented with ValidatingPolicies.
func MutatingPolicies() []string { return prefixed("runtime-class", "steering") }

// Warning are the policies that never refuse, and tell an administrator what a change does.
func Warning() []string { return prefixed("reports", "parameters") }

func prefixed(names ...string) []string {
	for i, name := range names {
		names[i] = "tenant-isolation-" + name
	}
	return names
}

func (c *Cluster) policies(ctx context.Context) ([]Result, error) {
	api := c.Client.AdmissionregistrationV1()
	validating, err := api.ValidatingAdmissionPolicies().List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	validatingBindings, err := api.ValidatingAdmissionPolicyBindings().List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	mutating, err := api.MutatingAdmissionPolicies().List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	mutatingBindings, err := api.MutatingAdmissionPolicyBindings().List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for i := range validating.Items {
		there["v/"+validating.Items[i].Name] = true
	}
	for i := range mutating.Items {
		there["m/"+mutating.Items[i].Name] = true
	}
	bound, denying := map[string]bool{}, map[string]bool{}
	for i := range validatingBindings.Items {
		spec := &validatingBindings.Items[i].Spec
		bound["v/"+spec.PolicyName] = true
		if slices.Contains(spec.ValidationActions, admissionv1.Deny) {
			denying["v/"+spec.PolicyName] = true
		}
	}
	for i := range mutatingBindings.Items {
		bound["m/"+mutatingBindings.Items[i].Spec.PolicyName] = true
	}
	return judgePolicies(there, bound, denying), nil
}

func judgePolicies(there, bound, denying map[string]bool) []Result {
	var missing, unbound, observing []string
	for _, key := range policyKeys() {
		name := key[2:]
		switch {
		case !there[key]:
			missing = append(missing, name)
		case !bound[key]:
			unbound = append(unbound, name)
		case strings.HasPrefix(key, "v/") && !denying[key] && !slices.Contains(Warning(), name):
			observing = append(observing, name)
		}
	}
	var results []Result
	if len(missing) == len(policyKeys()) {
		return []Result{fail(installFix, "none is there: whoever may create pods can walk around the scheduler")}
	}
	if len(missing) > 0 {
		results = append(results, fail(installFix, "%d are missing: %s", len(missing), some(missing)))
	}
	if len(unbound) > 0 {
		results = append(results, fail(installFix, "%d are not bound and so do nothing: %s", len(unbound), some(unbound)))
	}
	if len(observing) > 0 {
		results = append(results, warn(installFix+" when what they warn of is settled",
			"%d only observe, and refuse nothing: %s", len(observing), some(observing)))
	}
	if len(results) == 0 {
		results = pass("all %d are there, bound and enforced", len(policyKeys()))
	}
	return results
}

func policyKeys() []string {
	var keys []string
	for _, name := range ValidatingPolicies() {
		keys = append(keys, "v/"+name)
	}
	for _, name := range MutatingPolicies() {
		keys = append(keys, "m/"+name)
	}
	return keys
}
