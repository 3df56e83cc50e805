// Package policy reads IsolationPolicies that no API server has looked at: out of files, and inline in a
// scheduler's configuration.
//
// Defaults, unknown fields and faults are found by the schema of the CustomResourceDefinition, with the
// code of the API server, so that a file means what it would mean once applied.
package policy
