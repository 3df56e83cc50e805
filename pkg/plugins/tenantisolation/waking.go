package tenantisolation

import (
	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// changed wakes exactly the pending pods that an event of the store helps: those that may
// be placed now, and others for which it clears a node.
func (pl *Plugin) changed(e cluster.Event) {
	if e.Cause != cluster.DedicationChanged {
		for i := range e.Nodes {
			pl.dedicator.NodeChanged(e.Nodes[i].Node)
		}
	}
	rules := pl.store.Rules()
	wake := map[string]*v1.Pod{}
	for _, pod := range e.Pods {
		if _, denied := pl.store.Subject(rules, pod).Denied(); !denied && pl.responsible(pod) {
			wake[cluster.PodKey(pod)] = pod
		}
	}
	switch e.Cause {
	case cluster.NodeAdded, cluster.NodeChanged, cluster.NodeRemoved, cluster.DedicationChanged:
		// With them the limits of tenants change.
		pl.addUnlimited(rules, wake)
	case cluster.EverythingReread, cluster.PolicyChanged:
		pl.WakeAll(string(e.Cause))
	case cluster.NamespaceChanged, cluster.RuntimeClassChanged, cluster.PVCChanged, cluster.PodChanged:
	}
	pl.addHelped(rules, e.Nodes, wake)
	pl.addToVMNodes(&e, wake)
	pl.wake(string(e.Cause), wake)
}

// addToVMNodes adds the pending pods that may go to nodes that were kept for VMs, because the
// last other one is gone.
func (pl *Plugin) addToVMNodes(e *cluster.Event, wake map[string]*v1.Pod) {
	if !e.LosesPlainNodes() || !pl.dedicator.KeepsVMNodes() {
		return
	}
	rules := pl.store.Rules()
	nodes := pl.store.VMCapableNodes(rules)
	for _, pod := range pl.store.Pending() {
		if !pl.responsible(pod) || !pl.store.FreesVMNodes(e, pod) {
			continue
		}
		subject := pl.waiting(rules, pod)
		avoiding := subject.AvoidingVMNodes()
		for i := range nodes {
			if isolation.Decide(&subject, &nodes[i]).Allowed() && !isolation.Decide(&avoiding, &nodes[i]).Allowed() {
				wake[cluster.PodKey(pod)] = pod
				break
			}
		}
	}
}

// addHelped adds the pending pods for which one of the nodes has been cleared.
func (pl *Plugin) addHelped(rules *podfacts.Rules, nodes []cluster.Change, wake map[string]*v1.Pod) {
	compared := nodes[:0:0]
	for _, n := range nodes {
		if n.Before != nil {
			compared = append(compared, n)
		}
	}
	if len(compared) == 0 {
		return
	}
	// Many pending pods are of few kinds.
	helped := map[isolation.Subject]bool{}
	for _, pod := range pl.store.Pending() {
		if !pl.responsible(pod) {
			continue
		}
		subject := pl.waiting(rules, pod)
		helps, asked := helped[subject]
		if !asked {
			for i := range compared {
				if helps = compared[i].Helps(&subject); helps {
					break
				}
			}
			helped[subject] = helps
		}
		if helps {
			wake[cluster.PodKey(pod)] = pod
		}
	}
}

// addUnlimited adds the pending pods of tenants that may open nodes again.
func (pl *Plugin) addUnlimited(rules *podfacts.Rules, wake map[string]*v1.Pod) {
	tenants := pl.dedicator.TenantsBelowLimit()
	if len(tenants) == 0 {
		return
	}
	for _, pod := range pl.store.Pending() {
		if domain, ok := pl.store.Subject(rules, pod).TrustDomain(); ok && tenants[domain.Tenant] && pl.responsible(pod) {
			wake[cluster.PodKey(pod)] = pod
		}
	}
}

// WakeAll wakes every pending pod of the profile.
func (pl *Plugin) WakeAll(why string) {
	wake := map[string]*v1.Pod{}
	for _, pod := range pl.store.Pending() {
		if pl.responsible(pod) {
			wake[cluster.PodKey(pod)] = pod
		}
	}
	pl.wake(why, wake)
}

func (pl *Plugin) wake(why string, pods map[string]*v1.Pod) {
	if len(pods) == 0 {
		return
	}
	pl.logger.V(4).Info("Waking pods", "change", why, "pods", len(pods))
	pl.handle.Activate(pl.logger, pods)
}

// waiting returns what the rule makes of a pending pod, as its tenant may open nodes now.
func (pl *Plugin) waiting(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	return pl.dedicator.Confine(pod, pl.store.Subject(rules, pod), false)
}
