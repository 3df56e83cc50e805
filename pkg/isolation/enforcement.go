package isolation

// Observes reports whether the policy refuses nothing and only prefers what it would admit.
func (p *Policy) Observes() bool { return p.observe }

// Refuses reports whether the verdict keeps the pod off the node.
func (p *Policy) Refuses(v Verdict) bool { return !v.Allowed() && !p.observe }
