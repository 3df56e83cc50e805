// Package tenantisolation is the scheduler plugin TenantIsolation: the adapter between
// the scheduling framework and the rule in package isolation. It translates pods (through
// package podfacts) and nodes into that package's values and its verdicts into statuses,
// and decides nothing.
//
// # Where to find what
//
//	plugin.go     the plugin and its extension points
//	metrics.go    what the plugin counts
//	profile.go    the plugin's place among the others
//	cluster.go    namespaces, RuntimeClasses, PVCs and runtime handlers, as known now
//	roster.go     pods, each judged once per version; where each trust domain is at home
//	nodes.go      a node's occupancy, worked out once per change of the node
//	filtering.go  PreFilter, Filter, Reserve
//	focus.go      above 100 nodes: the nodes that the pod should go to
//	scoring.go    PreScore, Score
//	binding.go    Bind, with the evidence of what was judged; PostBind
//	prebind.go    PreBind: the node is dedicated before the first bind
//	dedication.go dedicated nodes, as known now
//	leading.go    whether this process leads
//	engineview.go what the dedication engine sees of the plugin
//	signing.go    SignPod
//	events.go     queueing hints: changes of pods and nodes
//	watch.go      event handlers: everything else that the rule reads
//	audit.go      the leader asks the rule of what runs already
//	volumes.go    PVCs and volumes, followed
//	wake.go       which pending pods a change helps
//
// # Statuses
//
//	denial                                status code
//	of the pod, wherever it goes          UnschedulableAndUnresolvable in PreFilter
//	by a node without the handler         UnschedulableAndUnresolvable
//	by a dedication, or the tenant's limit UnschedulableAndUnresolvable
//	by residents, preemption: Never       UnschedulableAndUnresolvable
//	by residents, preemption: SameTenant  Unschedulable if all in the way are the pod's tenant's
//	by residents, preemption: Any         Unschedulable
//
// Preemption looks only at nodes with Unschedulable. Error is for what cannot happen: it
// would end the pod's cycle on all nodes because of one.
//
// With enforcement: Audit only FactsIncomplete denies.
//
// # Two kinds of news
//
// The framework's caches are fed by its own event handlers, and a plugin's handlers run
// beside those in no order. So the plugin wakes a pod in one of two ways only. For what
// the framework has events for, a queueing hint, which runs after the framework's cache
// has been updated. For the rest, the plugin keeps its own books (cluster, roster),
// updates them first and then calls Activate: the woken pod is judged by those books,
// and a resident by its newest version in them.
package tenantisolation
