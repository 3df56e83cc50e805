package preflight

import (
	"context"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
)

func listOptions() metav1.ListOptions { return metav1.ListOptions{} }
func getOptions() metav1.GetOptions   { return metav1.GetOptions{} }

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
	if len(found) == 0 {
		return pass("all policies and bindings are as shipped"), nil
	}
	deployments, err := c.deployments(ctx)
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	return c.judgePolicies(live, found, observing, deployments), nil
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
func (c *Checker) judgePolicies(live *admission.Policies, found, observing []admission.Difference, deployments []appsv1.Deployment) []Result {
	if len(observing) == 0 {
		return []Result{warn(c.enforce(deployments), "they only warn, and refuse nothing")}
	}
	if !slices.ContainsFunc(live.Validating, isPolicyOfPods) {
		return []Result{fail(c.install(deployments), "none is installed: everyone who may create pods can bypass the scheduler")}
	}
	var results []Result
	fix := c.restore(deployments, found)
	for _, difference := range found {
		results = append(results, fail(fix, "%s", difference.Message))
	}
	return results
}

func isPolicyOfPods(policy admissionv1.ValidatingAdmissionPolicy) bool {
	return policy.Name == "tenant-isolation-pods"
}

// PolicyInForce says which policy is in force, or what is wrong with it. given: the user has named another one.
func (c *Checker) PolicyInForce(ctx context.Context, from string, faults []string, given bool) ([]Result, error) {
	const check = "policy in force"
	if len(faults) == 0 {
		return []Result{{Check: check, Status: Pass, Says: from}}, nil
	}
	deployments, err := c.deployments(ctx)
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	fix := c.install(deployments)
	switch {
	case given:
		fix = advise("judge by the policy in force", "kubectl isolation preflight")
	case len(deployments) > 0:
		fix = advise("see why", "kubectl describe isolationpolicy "+v1alpha1.DefaultName,
			fmt.Sprintf("kubectl logs --namespace=%s deployment/%s", deployments[0].Namespace, deployments[0].Name))
	}
	var results []Result
	for _, fault := range faults {
		result := fail(fix, "%s", fault)
		result.Check = check
		results = append(results, result)
	}
	return results, nil
}
