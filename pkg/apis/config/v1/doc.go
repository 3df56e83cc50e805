// +k8s:deepcopy-gen=package
// +k8s:conversion-gen=tenantisolation.dev/scheduler/pkg/apis/config
// +groupName=kubescheduler.config.k8s.io

// Package v1 holds the arguments of the TenantIsolation scheduler plugin as an
// administrator writes them, and their conversion.
package v1

//go:generate ../../../../hack/run-tool.sh deepcopy-gen --output-file zz_generated.deepcopy.go .
//go:generate ../../../../hack/run-tool.sh conversion-gen --output-file zz_generated.conversion.go .
