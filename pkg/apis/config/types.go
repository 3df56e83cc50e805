package config

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// TenantIsolationArgs are the arguments of the TenantIsolation plugin. Package v1
// says what each field means; the fields here have the same names.
type TenantIsolationArgs struct {
	metav1.TypeMeta

	// PolicyName is the name of the IsolationPolicy to follow.
	PolicyName string
	// Policy is the spec of an IsolationPolicy that holds without an object. Nil follows the object.
	Policy *runtime.RawExtension
}
