// Package audit checks the rule of package isolation for everything that runs, whoever placed
// it: static pods, pods with a node in their spec, pods whose namespace was relabelled, and pods
// whose RuntimeClass was recreated.
//
// # Where to find what
//
//	finding.go   the result: findings, and the summary of what was checked
//	reason.go    the closed set of reasons of findings
//	engine.go    finds what breaks the rule in a judged cluster: Report, Changes
//	nodes.go     pods that share a kernel
//	files.go     pods that share files
//	auditor.go   the audit of a running cluster: metrics, Events and evictions
//	tracking.go  how long a finding lasts, and when an Event about it is due
//	events.go    Events about findings
//	remedy.go    evictions
//	sweep.go     checks the whole cluster from scratch, and compares
//
// # Cost
//
// The engine does no I/O and reads no clock. Events of the cluster mark nodes as changed, and the
// next Report checks only these nodes and the volumes that are mounted there. Pods of a node are
// compared by kind (isolation.Kind): a node with n pods of k kinds costs n + k*k, and pairs are
// counted, not enumerated.
package audit
