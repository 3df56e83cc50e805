package preflight

import (
	"context"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
)

func listOptions() metav1.ListOptions { return metav1.ListOptions{} }
func getOptions() metav1.GetOptions   { return metav1.GetOptions{} }

// Install is the command that installs the project, or brings back what was changed or removed of it.
const Install = "helm upgrade --install tenant-isolation CHART --namespace kube-system, where CHART is the chart of this release"

const installFix = Install

// policies compares the cluster's policies and bindings with the shipped ones.
func (c *Checker) policies(ctx context.Context) ([]Result, error) {
	live, err := c.livePolicies(ctx)
	if err != nil {
		return nil, err
	}
	found, err := admission.Differences(live, v1alpha1.EnforcementEnforce)
	if err != nil {
		return nil, err
	}
	observing, err := admission.Differences(live, v1alpha1.EnforcementAudit)
	if err != nil {
		return nil, err
	}
	return judgePolicies(live, found, observing), nil
}

func (c *Checker) livePolicies(ctx context.Context) (*admission.Policies, error) {
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
	return &admission.Policies{
		Validating: validating.Items, ValidatingBindings: validatingBindings.Items,
		Mutating: mutating.Items, MutatingBindings: mutatingBindings.Items,
	}, nil
}

// judgePolicies has a line for each object that differs: a policy that is bound and still refuses nothing is
// found by no other check.
func judgePolicies(live *admission.Policies, found, observing []admission.Difference) []Result {
	if len(found) == 0 {
		return pass("all policies and bindings are as shipped")
	}
	if len(observing) == 0 {
		return []Result{warn("once the warnings are resolved, helm upgrade tenant-isolation CHART --namespace kube-system --reuse-values --set policy.enforcement=Enforce, where CHART is the chart of this release",
			"they only warn, and refuse nothing")}
	}
	if !slices.ContainsFunc(live.Validating, isPolicyOfPods) {
		return []Result{fail(installFix, "none is installed: everyone who may create pods can bypass the scheduler")}
	}
	var results []Result
	for _, difference := range found {
		results = append(results, fail(installFix, "%s", difference.Message))
	}
	return results
}

func isPolicyOfPods(policy admissionv1.ValidatingAdmissionPolicy) bool {
	return policy.Name == "tenant-isolation-pods"
}
