// Package density measures what isolation costs in machines and what it gains: the nodes that
// a set of pods needs at least, the nodes of a packing that knows all pods in advance, the
// nodes of static pools, and what a compromised kernel reaches.
//
// It is pure: vectors in, numbers out. No Kubernetes type, no clock, no I/O; the same
// arguments give the same numbers.
//
// # Where to find what
//
//	instance.go     pods, nodes, and which placements are valid
//	bound.go        the vector lower bound
//	pack.go         offline best-fit decreasing, by trust domain, with machines shared by VMs
//	order.go        the order of packing, and the choice of a node to open
//	pools.go        static pools of one machine shape, first-fit decreasing
//	usage.go        nodes opened, capacity stranded, pods left out
//	radius.go       blast radius: what one kernel reaches
//	coresidence.go  the chance that pods of an attacker meet a victim
//	price.go        what a virtual machine adds to a pod, by size
package density
