package tenantisolation

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// nodeChange is a node before and after a change.
type nodeChange struct {
	before, after isolation.Node
}

// helps reports whether the change turns a denial of the pod into an admission. It asks
// the same function as Filter, so the two cannot drift apart (L6).
func (n *nodeChange) helps(subject *isolation.Subject) bool {
	return !isolation.Decide(subject, &n.before).Allowed() && isolation.Decide(subject, &n.after).Allowed()
}

// currentNode returns a node as the informers have it, with the pods that only this
// scheduler knows to be there. An informer's store is never behind the event that is
// being handled, which the plugin's own books might be.
func (pl *Plugin) currentNode(rules *podfacts.Rules, name string) isolation.Node {
	var residents []isolation.Resident
	for _, pod := range pl.watcher.podsOn(name) {
		residents = append(residents, pl.resident(rules, pod))
	}
	for _, pod := range pl.roster.assumedOn(name) {
		if pl.watcher.mayBeBound(pod) {
			residents = append(residents, pl.resident(rules, pod))
		}
	}
	// Of a node that the plugin has not heard of yet nothing is known, which counts as all
	// handlers here: a pod is rather woken in vain.
	handlers, _ := pl.cluster.handlers.get(name)
	dedication, dedicated := pl.dedicated.dedication(name)
	return isolation.Node{Occupancy: isolation.NewOccupancy(residents), Handlers: handlers, Dedicated: dedicated, Dedication: dedication}
}

// change applies a change of the plugin's own books that may give the affected pods
// another trust domain or boundary, and wakes exactly the pending pods that it helps:
// affected ones that may be placed now, and others for which it clears a node.
//
// It is called with changing held.
func (pl *Plugin) change(what string, affected []*v1.Pod, apply func()) {
	rules := pl.rules.Load()
	before := make([]isolation.Subject, len(affected))
	for i, pod := range affected {
		// Read before the change: afterwards a scheduling cycle may have judged anew.
		before[i], _ = pl.roster.lastSubject(pod.UID)
	}
	apply()
	after := make([]isolation.Subject, len(affected))
	for i, pod := range affected {
		// All of them before any node is looked at: several may be on one.
		after[i] = pl.roster.rejudge(rules, pod)
	}

	wake := map[string]*v1.Pod{}
	nodes := map[string]*nodeChange{}
	for i, pod := range affected {
		if after[i].Equivalent(before[i]) {
			continue
		}
		node := pod.Spec.NodeName
		if node == "" {
			node = pl.roster.nodeOf(pod.UID)
		}
		if node == "" {
			if _, denied := after[i].Denied(); !denied && pl.responsible(pod) {
				wake[podKey(pod)] = pod
			}
			continue
		}
		pl.nodes.invalidate(node)
		n := nodes[node]
		if n == nil {
			current := pl.currentNode(rules, node)
			n = &nodeChange{before: current, after: current}
			nodes[node] = n
		}
		n.before.Occupancy = n.before.Occupancy.With(isolation.Resident{UID: string(pod.UID), Subject: before[i]})
	}
	pl.wakeFor(what, rules, nodes, wake)
}

// wakeFor wakes the pending pods for which one of the nodes has been cleared, and those
// given.
func (pl *Plugin) wakeFor(what string, rules *podfacts.Rules, nodes map[string]*nodeChange, wake map[string]*v1.Pod) {
	if len(nodes) > 0 {
		// Many pending pods are of few kinds.
		helped := map[isolation.Subject]bool{}
		for _, pod := range pl.watcher.pending() {
			if !pl.responsible(pod) {
				continue
			}
			subject := pl.asking(rules, pod)
			helps, asked := helped[subject]
			if !asked {
				for _, n := range nodes {
					if helps = n.helps(&subject); helps {
						break
					}
				}
				helped[subject] = helps
			}
			if helps {
				wake[podKey(pod)] = pod
			}
		}
	}
	if len(wake) == 0 {
		return
	}
	pl.logger.V(4).Info("Waking pods", "change", what, "pods", len(wake))
	pl.handle.Activate(pl.logger, wake)
}

// wakeAll wakes every pending pod.
func (pl *Plugin) wakeAll(what string) {
	wake := map[string]*v1.Pod{}
	for _, pod := range pl.watcher.pending() {
		if pl.responsible(pod) {
			wake[podKey(pod)] = pod
		}
	}
	pl.wakeFor(what, pl.rules.Load(), nil, wake)
}

// asking returns what the rule makes of a pending pod, as its tenant may open nodes now.
func (pl *Plugin) asking(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	return pl.dedicated.confine(pl.roster.subject(rules, pod))
}

// responsible reports whether a pod is pending and this profile's to place.
func (pl *Plugin) responsible(pod *v1.Pod) bool {
	return pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && pod.Spec.SchedulerName == pl.handle.ProfileName()
}

func podKey(pod *v1.Pod) string { return klog.KObj(pod).String() }
