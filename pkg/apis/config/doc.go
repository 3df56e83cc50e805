// +k8s:deepcopy-gen=package
// +groupName=kubescheduler.config.k8s.io

// Package config holds the arguments of the TenantIsolation scheduler plugin in
// the form that the plugin reads: which IsolationPolicy holds.
//
// The versioned form, with the meaning of every field, is in package v1. The
// generated files of both packages are renewed by `go generate`, with the
// generators pinned in hack/tools/go.mod.
package config

//go:generate ../../../hack/run-tool.sh deepcopy-gen --output-file zz_generated.deepcopy.go .
