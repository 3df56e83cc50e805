// Package isolation decides which pods may share a kernel. It is the one place
// where the rule lives; the scheduler plugin, its queueing hints and the audit all ask
// it, and none of them has an opinion of its own. Which of the nodes that it admits is
// preferred is left to the plugin's score.
//
// # The rule
//
//	Same trust domain: may share a kernel.
//	Different trust domain: each brings its own kernel, or another machine.
//
// A trust domain is (tenant, data class, privilege, user namespace). An incoming
// pod may join a node if, for every resident that is not a platform pod,
//
//  1. both are of the same trust domain, or
//  2. both have a boundary of at least Config.MinimumBoundary and neither
//     demands the machine for itself.
//
// Both, because a virtual machine protects the host from its guest and never the
// guest from the host: a container that escapes owns the hypervisor beside it.
//
// # Flow
//
//	Pod + Namespace --Policy.Resolve--> Subject
//	Subjects on a node --NewOccupancy--> Occupancy
//	Subject + Node{Occupancy, Dedication, ...} --Decide--> Verdict{Reason}
//	Subject --Dedication--> Dedication <--ParseDedication--> taints
//
// # Laws
//
// Each has a test that bears its number.
//
//   - L1 separation: no verdict allows a pair that the rule forbids.
//   - L2 determinism: same arguments, same verdict. No clock, map order or globals.
//   - L3 order-free: permuting residents changes nothing.
//   - L4 monotone: adding a resident never turns a denial into an admission.
//   - L5 idempotent: adding or removing the same UID twice is once.
//   - L6 sound hints: a change that turns a denial into an admission is seen as one
//     (tested in full where the hints are, in the plugin).
//   - L7 symmetric: of two pods that an empty node would take, if A may join B then
//     B may join A, as long as no node is dedicated. A dedication is not symmetric: a
//     VM-isolated pod may join the containers of its trust domain, and they may not
//     join it where it has opened a node for the VMs of all tenants.
//   - L8 no leak: Reason.Sentence of a denial caused by residents, or by others' dedication,
//     is the same for all of them.
//   - L9 nothing spoofed: no label or annotation of a pod makes it more trusted.
//
// # Unknown is denied
//
// A Subject whose trust domain is unknown keeps the Reason why. As an incoming pod
// it is denied with that reason; as a resident it keeps every other pod away. The
// zero values of Subject, Verdict and Policy all deny.
//
// The package uses the standard library only and knows no Kubernetes type: it reads
// nothing but its arguments.
package isolation
