// Package cli is the administrator's tool, kubectl isolation. It reads a cluster and
// applies the rule of package isolation to it. It never writes to the cluster.
//
// # Where to find what
//
//	root.go      the command, and what its subcommands have in common: options.go
//	load.go      reading, and warnings about what is missing
//	judgement.go by which policy an answer is, and what it does not cover
//	tenants.go   --tenant-key
//	audit.go     kubectl isolation audit; audit_print.go, recreated.go, sarif.go
//	explain.go   kubectl isolation explain; package explain
//	preflight.go kubectl isolation preflight; package preflight
//	plan.go      kubectl isolation plan; plan_input.go, plan_print.go; package plan
//	plan_policy.go  plan --policy; package compare
//	report.go    kubectl isolation report; package report
//	wording.go   the meaning of each reason, and its fix
//	terminal.go  colour and progress
//	printable.go no control characters in any output
//	exit.go      exit statuses
package cli
