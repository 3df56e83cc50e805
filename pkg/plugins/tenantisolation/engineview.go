package tenantisolation

import (
	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// engineView is what the dedication engine sees of the plugin.
type engineView struct{ pl *Plugin }

var _ dedication.Cluster = engineView{}

func (e engineView) Nodes() []*v1.Node {
	list := e.pl.watcher.nodes.List()
	nodes := make([]*v1.Node, 0, len(list))
	for _, obj := range list {
		if node, ok := obj.(*v1.Node); ok {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

func (e engineView) Node(name string) (*v1.Node, bool) {
	return stored[*v1.Node](e.pl.watcher.nodes, name)
}

func (e engineView) Occupancy(node string) isolation.Occupancy {
	return e.pl.currentNode(e.pl.rules.Load(), node).Occupancy
}

func (e engineView) Subject(pod *v1.Pod) isolation.Subject {
	return e.pl.roster.subject(e.pl.rules.Load(), pod)
}

func (e engineView) DedicationOf(node *v1.Node) (isolation.Dedication, bool) {
	taints := make([]isolation.Taint, 0, len(node.Spec.Taints))
	for i := range node.Spec.Taints {
		taints = append(taints, isolation.Taint{Key: node.Spec.Taints[i].Key, Value: node.Spec.Taints[i].Value})
	}
	return e.pl.rules.Load().ParseDedication(taints)
}

func (e engineView) Knows(pod *v1.Pod) bool {
	if known := e.pl.watcher.pod(pod); known != nil {
		return known.Spec.NodeName != ""
	}
	_, gone := e.pl.watcher.gone.Get(pod.UID)
	return gone
}

func (e engineView) DedicationChanged(name string) {
	pl := e.pl
	change := pl.dedicated.update(name)
	pl.nodes.invalidate(name)
	if !change.mayHelp() && !pl.dedicated.limits() {
		return
	}
	rules := pl.rules.Load()
	// The residents are read after the book has changed: whoever changes both at one time,
	// the later of the two sees both.
	after := pl.currentNode(rules, name)
	after.Dedication, after.Dedicated = change.after, change.dedicated
	before := after
	before.Dedication, before.Dedicated = change.before, change.wasDedicated
	if change.denied {
		before.Dedication, before.Dedicated = isolation.Dedication{}, true
	}
	pl.wakeFor("dedication", rules, map[string]*nodeChange{name: {before: before, after: after}}, pl.waitingForLimit(rules))
}

func (e engineView) BecameReady() { e.pl.wakeAll("dedicated nodes taken over") }

// limitsChanged wakes the pods of tenants that may open nodes again, because the cluster
// has more of them.
func (pl *Plugin) limitsChanged() {
	if pl.dedicated == nil || !pl.dedicated.limits() {
		return
	}
	rules := pl.rules.Load()
	pl.wakeFor("limits", rules, nil, pl.waitingForLimit(rules))
}

// waitingForLimit returns the pending pods of tenants that may open nodes again.
func (pl *Plugin) waitingForLimit(rules *podfacts.Rules) map[string]*v1.Pod {
	wake := map[string]*v1.Pod{}
	tenants := pl.dedicated.unlimited()
	if len(tenants) == 0 {
		return wake
	}
	for _, pod := range pl.watcher.pending() {
		if domain, ok := pl.roster.subject(rules, pod).TrustDomain(); ok && tenants[domain.Tenant] && pl.responsible(pod) {
			wake[podKey(pod)] = pod
		}
	}
	return wake
}
