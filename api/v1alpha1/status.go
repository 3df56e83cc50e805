package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// The conditions of an IsolationPolicy.
const (
	// ConditionAccepted: the spec of observedGeneration is in force. Otherwise the message names the field
	// at fault, and inForce is the last spec that was accepted.
	ConditionAccepted = "Accepted"
	// ConditionEnforced: every admission policy and binding is there and as shipped, and the API server
	// answers by the parameters of the generation in force. Where enforcement is Audit it is false.
	ConditionEnforced = "Enforced"
	// ConditionDedication: nodes are dedicated. Its reason is one of ReasonOn, ReasonDraining and ReasonOff.
	ConditionDedication = "Dedication"
)

// The reasons of ConditionDedication.
const (
	// ReasonOn: nodes are dedicated by their first pod.
	ReasonOn = "On"
	// ReasonDraining: dedication is disabled, and nodes still bear its taints.
	ReasonDraining = "Draining"
	// ReasonOff: no node bears a trace of dedication.
	ReasonOff = "Off"
)

// IsolationPolicyStatus is what holds, written by the leader of the scheduler alone.
type IsolationPolicyStatus struct {
	// ObservedGeneration is the metadata.generation of the spec that the leader has looked at last.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// InForce is the last spec that was accepted, with what it was made into. Scheduler, admission policies,
	// audit and tool all go by it. Without it, pods of managed namespaces are refused.
	//
	// +optional
	InForce *InForce `json:"inForce,omitempty"`

	// Conditions are Accepted, Enforced and Dedication.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Findings is the number of findings of the audit: of nodes and volumes on which pods meet that must
	// not. It is missing if the audit is disabled or has not ended its first look.
	//
	// +optional
	Findings *int32 `json:"findings,omitempty"`

	// DedicatedNodes is the number of nodes that are dedicated to a trust domain.
	//
	// +optional
	DedicatedNodes *int32 `json:"dedicatedNodes,omitempty"`
}

// InForce is a spec that the leader has accepted.
type InForce struct {
	// Generation is the metadata.generation of the spec.
	Generation int64 `json:"generation"`

	// Spec is the spec, with its defaults.
	Spec IsolationPolicySpec `json:"spec"`

	// RuntimeClasses are those of the cluster, by name, with the boundary that each is taken for.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	RuntimeClasses []RuntimeClassBoundary `json:"runtimeClasses,omitempty"`
}

// RuntimeClassBoundary is what a RuntimeClass is taken for.
type RuntimeClassBoundary struct {
	// Name of the RuntimeClass.
	Name string `json:"name"`
	// Handler of the RuntimeClass.
	Handler string `json:"handler"`
	// Boundary that the handler gives.
	Boundary Boundary `json:"boundary"`
}
