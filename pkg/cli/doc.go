// Package cli is the administrator's tool, kubectl isolation. It reads a cluster and asks
// the rule; it decides nothing by itself and writes nothing.
//
// # Where to find what
//
//	root.go      the command, and what its subcommands have in common: options.go
//	load.go      reading, and what is missing of what was read
//	tenants.go   --tenant-key
//	audit.go     kubectl isolation audit; audit_print.go, sarif.go
//	explain.go   kubectl isolation explain; package explain
//	preflight.go kubectl isolation preflight; package preflight
//	plan.go      kubectl isolation plan; package plan
//	report.go    kubectl isolation report; package report
//	wording.go   what a reason means, and what to do
//	terminal.go  colour and progress
//	exit.go      exit statuses
package cli
