// +k8s:deepcopy-gen=package
// +groupName=tenantisolation.dev

// Package v1alpha1 holds IsolationPolicy, the object that has every choice of the administrator.
//
// The markers of types.go make the CustomResourceDefinition, whose schema defaults and validates: what the
// API server does with an object at `kubectl apply`, Default and Validate do with one that came out of a
// file. The comments are what `kubectl explain isolationpolicy.spec` prints.
package v1alpha1

//go:generate ../../hack/run-tool.sh deepcopy-gen --output-file zz_generated.deepcopy.go .
//go:generate ../../hack/run-tool.sh controller-gen crd:maxDescLen=2000 paths=. output:crd:dir=../../manifests/crds
