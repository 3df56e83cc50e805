// Package tenantisolation is the scheduler plugin TenantIsolation: the adapter between
// the scheduling framework and the rule in package isolation. It translates pods (through
// package podfacts) and nodes into that package's values and its verdicts into statuses,
// and decides nothing.
//
// # Where to find what
//
//	plugin.go     the plugin, and what it reads of a node
//	filtering.go  PreFilter, Filter, Reserve
//	focus.go      above 100 nodes: the nodes that the pod should go to
//	scoring.go    PreScore, Score; preference.go: the ranks; forecast.go: which machine a trust domain should open
//	prebind.go    PreBind: the node is dedicated before the first bind
//	binding.go    Bind, with the evidence of what was judged; PostBind
//	signing.go    SignPod
//	events.go     queueing hints: changes of pods and nodes
//	waking.go     which pending pods any other change helps
//	dedicator.go  what dedicates nodes, as the plugin sees it
//	profile.go    the plugin's place among the others
//	upstream.go   what depends on the inside of kube-scheduler
//	metrics.go    what the plugin counts
//
// Who is where, and what the rule makes of each pod, is in package cluster; package
// cmd/scheduler/app makes the plugin.
//
// # Statuses
//
//	denial                                status code
//	of the pod, wherever it goes          UnschedulableAndUnresolvable in PreFilter
//	by a node without the handler         UnschedulableAndUnresolvable
//	by a dedication or the node limit     UnschedulableAndUnresolvable
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
// The framework's caches are fed by its own event handlers, and those of the store run
// beside them in no order. So the plugin wakes a pod in one of two ways only. For what
// the framework has events for, a queueing hint, which runs after the framework's cache
// has been updated. For the rest, an event of the store, which has the change by then:
// the woken pod is judged by the store, and a resident by its newest version there.
package tenantisolation
