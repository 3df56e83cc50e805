package preflight

import (
	"context"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

func listOptions() metav1.ListOptions { return metav1.ListOptions{} }
func getOptions() metav1.GetOptions   { return metav1.GetOptions{} }

const installFix = "kubectl apply -k manifests/overlays/default"

// Policies are names of admission policies.
type Policies struct {
	Validating, Mutating []string
}

// AdmissionPolicies are those of manifests/components/admission.
func AdmissionPolicies() Policies {
	return Policies{
		Validating: prefixed("namespaces", "runtimeclasses", "binding", "boundary", "deletion", "ephemeral-containers", "evidence",
			"handler", "integrity", "placement", "reports", "parameters", "status", "updates", "vm-toleration", "volumes"),
		Mutating: prefixed("runtime-class", "stamps", "steering"),
	}
}

// DedicationPolicies are those of manifests/components/dedication, which dedication needs.
func DedicationPolicies() Policies {
	return Policies{
		Validating: prefixed("dedication", "dedicated-nodes", "dedication-table", "fence", "fence-node-name"),
		Mutating: prefixed("daemonset-tolerations", "daemonset-vm-tolerations", "platform", "tolerations",
			"vm-tolerations"),
	}
}

// Warning are the policies that never refuse, and warn an administrator about a change.
func Warning() []string { return prefixed("reports", "parameters") }

func prefixed(names ...string) []string {
	for i, name := range names {
		names[i] = "tenant-isolation-" + name
	}
	return names
}

func (c *Checker) policies(ctx context.Context) ([]Result, error) {
	api := c.Client.AdmissionregistrationV1()
	validating, err := api.ValidatingAdmissionPolicies().List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	validatingBindings, err := api.ValidatingAdmissionPolicyBindings().List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	// Before 1.36 there are none, and so they are missing.
	mutating, err := api.MutatingAdmissionPolicies().List(ctx, listOptions())
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	mutatingBindings, err := api.MutatingAdmissionPolicyBindings().List(ctx, listOptions())
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	exists := map[string]bool{}
	for i := range validating.Items {
		exists["v/"+validating.Items[i].Name] = true
	}
	for i := range mutating.Items {
		exists["m/"+mutating.Items[i].Name] = true
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
	wanted := AdmissionPolicies().keys()
	if c.Args.Claims.Mode == config.ModeEnabled {
		wanted = append(wanted, DedicationPolicies().keys()...)
	}
	return judgePolicies(wanted, exists, bound, denying), nil
}

func judgePolicies(wanted []string, exists, bound, denying map[string]bool) []Result {
	var missing, unbound, observing []string
	for _, key := range wanted {
		name := key[2:]
		switch {
		case !exists[key]:
			missing = append(missing, name)
		case !bound[key]:
			unbound = append(unbound, name)
		case strings.HasPrefix(key, "v/") && !denying[key] && !slices.Contains(Warning(), name):
			observing = append(observing, name)
		}
	}
	var results []Result
	if len(missing) == len(wanted) {
		return []Result{fail(installFix, "none is installed: everyone who may create pods can bypass the scheduler")}
	}
	if len(missing) > 0 {
		results = append(results, fail(installFix, "%d are missing: %s", len(missing), some(missing)))
	}
	if len(unbound) > 0 {
		results = append(results, fail(installFix, "%d have no binding and so do nothing: %s", len(unbound), some(unbound)))
	}
	if len(observing) > 0 {
		results = append(results, warn(installFix+" after the warnings are resolved",
			"%d only warn, and refuse nothing: %s", len(observing), some(observing)))
	}
	if len(results) == 0 {
		results = pass("all %d are installed, bound and enforced", len(wanted))
	}
	return results
}

func (p Policies) keys() []string {
	var keys []string
	for _, name := range p.Validating {
		keys = append(keys, "v/"+name)
	}
	for _, name := range p.Mutating {
		keys = append(keys, "m/"+name)
	}
	return keys
}
