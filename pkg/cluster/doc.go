// Package cluster is the judged cluster: the one store of everything that the rule reads.
// The scheduler plugin, the dedication of nodes, the audit and the command line tool ask it
// who is where, and what the rule makes of each pod.
//
// # Where to find what
//
//	store.go       the Store: made, fed by informers or by hand
//	sources.go     the objects themselves, in client-go's indexers
//	around.go      what is around a pod: namespaces, RuntimeClasses, PVCs, the nodes themselves
//	pods.go        pods, each judged once for each version and each change around it
//	homes.go       where each trust domain is at home
//	nodes.go       the one way to make an isolation.Node, and what is remembered of nodes
//	events.go      changes as values: a node before and after
//	following.go   what a change of each kind of object concerns
//
// # Order
//
// The objects come from the informers' own stores, which are never behind the event that is
// being handled. What is compared before and after a change (package-private registers of
// namespaces, RuntimeClasses, PVCs and handlers) is written by the Store's own handlers,
// one at a time, and before a listener hears of the change: a pod that a listener wakes is
// judged by what woke it. See docs/decisions/0029-one-judged-cluster.md.
package cluster
