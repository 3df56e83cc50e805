// Package audit asks the rule of package isolation of everything that runs, whoever
// placed it: static pods, pods with a node in their spec, namespaces that were relabelled
// and RuntimeClasses that were made anew after their pods.
//
// # Where to find what
//
//	finding.go  what the audit says: findings, and the summary of what it looked at
//	reason.go   the closed set of why something is a finding
//	engine.go   objects come and go: Set, Delete, Report
//	objects.go  the objects, and what a change of one of them concerns
//	pods.go     pods, each judged once for each version and each change around it
//	nodes.go    who shares a kernel
//	files.go    who shares files
//
// # Cost
//
// The engine does no I/O and reads no clock. Set and Delete note what they concern, and
// the next Report looks again at the nodes and volumes noted and at nothing else. Pods of
// a node are compared by kind (isolation.Kind), so that a node with n pods of k kinds
// costs n + k*k, and pairs are counted and not enumerated.
package audit
