package policy

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// OfArguments returns where the policy of a plugin with these arguments comes from: an inline spec, or else
// the name of an IsolationPolicy.
func OfArguments(args runtime.Object) (spec *v1alpha1.IsolationPolicySpec, name string, err error) {
	a, ok := args.(*config.TenantIsolationArgs)
	switch {
	case !ok:
		return nil, "", fmt.Errorf("want args of type TenantIsolationArgs, got %T", args)
	case a.Policy != nil && a.PolicyName != "":
		return nil, "", errors.New("policyName: excludes policy: name an IsolationPolicy, or write its spec inline")
	case a.Policy != nil:
		spec, err = ParseSpec(field.NewPath("policy"), a.Policy.Raw)
		return spec, "", err
	case a.PolicyName != "":
		return nil, a.PolicyName, nil
	}
	return nil, v1alpha1.DefaultName, nil
}
