// Package manifests embeds the manifests that a program compares a cluster with.
package manifests

import "embed"

// Files are the CustomResourceDefinition, the keepers and the admission policies, by their path in this
// directory.
//
//go:embed crds/*.yaml components/admission/policies/*.yaml components/dedication/policies/*.yaml
var Files embed.FS
