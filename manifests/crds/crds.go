// Package crds holds the CustomResourceDefinition of IsolationPolicy, as it is installed.
package crds

import _ "embed"

// IsolationPolicies is the CustomResourceDefinition, generated from package api/v1alpha1.
//
//go:embed tenantisolation.dev_isolationpolicies.yaml
var IsolationPolicies []byte
