// Package density has the yardsticks for what isolation costs in machines and what it buys:
// how many nodes a set of pods needs at least, how many a packing that knows all pods
// beforehand takes, how many static pools take, and what is within reach of a pod whose
// kernel has been taken over.
//
// It is pure: vectors in, numbers out. No Kubernetes type, no clock, no I/O; the same
// arguments give the same numbers.
//
// # Where to find what
//
//	instance.go     pods, nodes, and which placements are valid
//	bound.go        the vector lower bound
//	pack.go         offline best-fit decreasing, by trust domain, with machines shared by VMs
//	order.go        in which order it packs, and which node it opens
//	pools.go        static pools of one machine shape, first-fit decreasing
//	usage.go        nodes opened, capacity stranded, pods left out
//	radius.go       blast radius: what one kernel reaches
//	coresidence.go  the chance that pods of an attacker meet a victim
//	price.go        what a virtual machine adds to a pod, by size
package density
