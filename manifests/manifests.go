// Package manifests embeds the manifests that a program compares a cluster with, or packs into a chart.
package manifests

import "embed"

// Files are the CustomResourceDefinition, the keepers and the admission policies, by their path in this
// directory.
//
//go:embed crds/*.yaml components/admission/policies/*.yaml components/dedication/policies/*.yaml
var Files embed.FS

// CRD is the CustomResourceDefinition among Files.
const CRD = "crds/tenantisolation.dev_isolationpolicies.yaml"

// Installed are the manifests of which the chart is made.
//
//go:embed base components overlays/default
var Installed embed.FS

// Simulated are what a simulation takes where its input has none: the configuration of the scheduler and the
// RuntimeClasses for VMs.
//
//go:embed base/scheduler-config.yaml examples/kata-runtimeclasses/*.yaml
var Simulated embed.FS
