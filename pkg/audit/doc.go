// Package audit asks the rule of package isolation of everything that runs, whoever
// placed it: static pods, pods with a node in their spec, namespaces that were relabelled
// and RuntimeClasses that were made anew after their pods.
//
// # Where to find what
//
//	finding.go  what the audit says: findings, and the summary of what it looked at
//	reason.go   the closed set of why something is a finding
//	engine.go   what of a judged cluster breaks the rule: Report, Changes
//	nodes.go    who shares a kernel
//	files.go    who shares files
//	auditor.go  the audit of a running cluster: metrics, Events (tell.go), evictions (remedy.go)
//	sweep.go    the whole cluster looked at anew, as a check of the increment
//
// # Cost
//
// The engine does no I/O and reads no clock. Events of the cluster note nodes, and the next
// Report looks again at these, at the volumes that are mounted there, and at nothing else. Pods of
// a node are compared by kind (isolation.Kind), so that a node with n pods of k kinds
// costs n + k*k, and pairs are counted and not enumerated.
package audit
