// Package demo shows the scheduler at work on a real control plane: it makes a cluster
// of fake nodes, installs the shipped manifests, runs the scheduler with exactly the
// rights and the configuration that they give it, puts a multi-tenant workload on the
// cluster and reports where every pod went.
//
// What it says about the result does not come from the scheduler: package checker judges
// every pair of pods that share a node, and every pod that none was found for.
package demo
