package explain

import (
	"cmp"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/reach"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// OtherNodes is who excludes the nodes that the node selector of the pod's RuntimeClass does not match.
const OtherNodes = "RuntimeClassNodeSelector"

// judgeNodes sets what an explanation says of the nodes.
func (x *Explainer) judgeNodes(e *Explanation, pod *v1.Pod, subject isolation.Subject, answer *reach.Answer) {
	subject = x.opening(pod, subject)
	e.Total, e.NotCounted, e.Nodes = len(x.Nodes), answer.NotCounted, []Verdicts{}
	byReason := map[isolation.Reason]*Verdicts{}
	type cause struct{ by, why string }
	byCause := map[cause]*Excluded{}
	for _, object := range x.Nodes {
		reason, obstacle, excluded := x.verdict(object, pod, &subject, answer, e.OfAnotherScheduler)
		if excluded {
			c := cause{obstacle.Plugin, obstacle.Why}
			if byCause[c] == nil {
				byCause[c] = &Excluded{By: c.by, Why: c.why, Example: object.Name}
			}
			byCause[c].Count++
			continue
		}
		e.Reachable++
		v := byReason[reason]
		if v == nil {
			v = &Verdicts{Why: reason, Reason: reason.String(), Admits: reason.Admits() || e.OfAnotherScheduler, Example: object.Name}
			byReason[reason] = v
		}
		v.Count++
		if v.Admits {
			e.Admitting++
		}
	}
	for _, reason := range append(isolation.Reasons(), isolation.Undecided) {
		if v := byReason[reason]; v != nil {
			e.Nodes = append(e.Nodes, *v)
		}
	}
	for _, excluded := range byCause {
		e.Excluded = append(e.Excluded, *excluded)
	}
	slices.SortFunc(e.Excluded, func(a, b Excluded) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.By, b.By), strings.Compare(a.Why, b.Why))
	})
}

// verdict returns what the rule says of a node, or else what excludes it whatever the rule says. The rule says nothing of
// unjudged pods.
func (x *Explainer) verdict(object *v1.Node, pod *v1.Pod, subject *isolation.Subject, answer *reach.Answer, unjudged bool) (reason isolation.Reason, obstacle reach.Obstacle, excluded bool) {
	if node, known := x.node(object, pod); known && !unjudged {
		reason = isolation.Decide(subject, &node).Reason()
	}
	obstacle, excluded = answer.Of(object.Name)
	switch {
	case !excluded:
	// The taints say once more what the rule says of the dedication.
	case obstacle.Plugin == names.TaintToleration && reason == isolation.ForeignDedication:
		excluded = false
	case obstacle.Plugin == names.NodeAffinity && !x.selects(pod, object):
		obstacle = reach.Obstacle{Plugin: OtherNodes, Why: "the node selector of the pod's RuntimeClass does not match it"}
	}
	return reason, obstacle, excluded
}

// selects reports whether the RuntimeClass of the pod selects the node.
func (x *Explainer) selects(pod *v1.Pod, node *v1.Node) bool {
	class, known := x.Store.RuntimeClass(podfacts.RuntimeClassName(pod))
	return !known || class.Nodes == nil || class.Nodes.Matches(labelSet(node.Labels))
}

// KeepsVMNodes reports whether containers open no node that can start VMs while there are others.
func KeepsVMNodes(policy *v1alpha1.IsolationPolicySpec) bool {
	return policy.Dedication.Mode == v1alpha1.ModeEnabled && policy.Dedication.ContainersOnVMNodes != v1alpha1.ContainersAllowed
}

// opening returns the subject as to which nodes the pod may open, as the scheduler does.
func (x *Explainer) opening(pod *v1.Pod, subject isolation.Subject) isolation.Subject {
	if KeepsVMNodes(x.Policy) && !subject.Isolated() && x.Store.HasPlainNodeFor(pod) {
		subject = subject.AvoidingVMNodes()
	}
	if domain, managed := subject.TrustDomain(); managed && x.atLimit(domain.Tenant) {
		return subject.Confined()
	}
	return subject
}

// node returns a node as the rule sees it without the pod itself.
func (x *Explainer) node(object *v1.Node, pod *v1.Pod) (isolation.Node, bool) {
	if _, known := x.Store.Node(object.Name); !known {
		return isolation.Node{}, false
	}
	node := x.Store.NodeWith(x.Rules, object, x.Store.Residents(x.Rules, object.Name))
	if x.Policy.Dedication.Mode == v1alpha1.ModeEnabled {
		node.Dedication, node.Dedicated = x.Store.DedicationOf(object)
		node.Charged = x.chargedFor(object.Name)
	}
	node.Occupancy = node.Occupancy.Without(string(cluster.UID(pod)))
	return node, true
}
