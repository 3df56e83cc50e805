package isolation

// Observes reports whether the policy refuses nothing and only prefers what it would admit.
func (p *Policy) Observes() bool { return p.observe }

// Refuses reports whether the verdict keeps the pod off the node.
func (p *Policy) Refuses(v Verdict) bool { return !v.Allowed() && !p.observe }

// ObservedPreference is Preference where a denial does not keep a pod away: any node that
// keeps the rule comes before every one that breaks it.
func ObservedPreference(incoming *Subject, node *Node) int64 {
	if !Decide(incoming, node).Allowed() {
		return 0
	}
	return max(Preference(incoming, node), 1)
}
