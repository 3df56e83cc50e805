// Package podfacts reads Kubernetes objects into the values that package isolation judges:
// pods with what is around them into subjects. The scheduler plugin, the audit and the command line
// tool all read through it, so that one pod is the same subject to each of them. It
// translates, and decides nothing.
//
// # Where to find what
//
//	rules.go    arguments -> isolation.Policy, and what else the arguments decide
//	facts.go    a pod's spec -> what the rule reads of it, once for each version
//	subject.go  facts and what is around the pod -> isolation.Subject
//	storage.go  PVCs and volumes: which are directories of the host
//	node.go     runtime handlers of nodes
package podfacts
