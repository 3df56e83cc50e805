package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// TenantIsolationArgs are the arguments of the TenantIsolation scheduler plugin.
//
// The arguments are decoded strictly: an unknown field or a repeated key is an error that
// names it. With invalid arguments the scheduler does not start, and reports every error
// with its path.
type TenantIsolationArgs struct {
	metav1.TypeMeta `json:",inline"`

	// PolicyName is the name of the IsolationPolicy whose `status.inForce` the scheduler goes by. Without
	// it, and without `policy`, it is `default`.
	PolicyName string `json:"policyName,omitempty"`

	// Policy is the spec of an IsolationPolicy, for a scheduler without the CustomResourceDefinition and
	// for tests: no object is read then, and none is written. It excludes `policyName`.
	Policy *runtime.RawExtension `json:"policy,omitempty"`
}
