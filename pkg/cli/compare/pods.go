package compare

import (
	"cmp"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// view is the cluster by one policy.
type view struct {
	subjects map[types.UID]isolation.Subject
	findings []audit.Finding
	nodes    map[string]dedicatedNode
	observes bool
}

func look(in *Input) view {
	v := view{subjects: map[types.UID]isolation.Subject{}, nodes: map[string]dedicatedNode{}, observes: in.Store.Rules().Observes()}
	for _, pod := range in.Pods {
		if !cluster.Ended(pod) {
			v.subjects[cluster.UID(pod)] = in.Store.Judge(pod)
		}
	}
	v.findings = in.Engine.Report().Findings
	for _, node := range in.Nodes {
		if dedication, dedicated := in.Store.DedicationOf(node); dedicated {
			v.nodes[node.Name] = dedicatedNode{dedication, in.Store.Occupancy(node.Name)}
		}
	}
	return v
}

// refused returns why a pod is not placed, false if it is. Pods without a tenant are none of the
// scheduler's.
func (v *view) refused(s *isolation.Subject) (isolation.Reason, bool) {
	reason, denied := s.Denied()
	return reason, denied && !v.observes && reason != isolation.UnmanagedNamespace
}

func (c *Change) runtimeClasses(in *Input, before, after *podfacts.Rules) {
	pods := map[string]int{}
	for _, pod := range in.Pods {
		if !cluster.Ended(pod) {
			pods[podfacts.RuntimeClassName(pod)]++
		}
	}
	c.RuntimeClasses = []RuntimeClass{}
	for _, class := range in.RuntimeClasses {
		was, is := before.BoundaryOf(class.Handler), after.BoundaryOf(class.Handler)
		if was != is {
			c.RuntimeClasses = append(c.RuntimeClasses, RuntimeClass{
				Name: class.Name, Handler: class.Handler, Before: was.String(), After: is.String(), Weaker: is < was, Pods: pods[class.Name],
			})
		}
	}
	slices.SortStableFunc(c.RuntimeClasses, func(a, b RuntimeClass) int { return weakerFirst(a.Weaker, b.Weaker) })
}

func weakerFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// maxExamples is how many pods of a group are named.
const maxExamples = 3

// groupKey is what the pods of a group have in common.
type groupKey struct {
	tenant, before, after string
	weaker                bool
}

// groups gathers pods with the same change.
type groups map[groupKey]*Pods

func (g groups) add(key groupKey, pod *v1.Pod) {
	group := g[key]
	if group == nil {
		group = &Pods{Tenant: key.tenant, Before: key.before, After: key.after, Weaker: key.weaker}
		g[key] = group
	}
	group.Pods++
	if len(group.Examples) < maxExamples {
		group.Examples = append(group.Examples, pod.Namespace+"/"+pod.Name)
	}
}

// sorted has the weaker boundaries first, then the groups with most pods.
func (g groups) sorted() []Pods {
	all := make([]Pods, 0, len(g))
	for _, group := range g {
		all = append(all, *group)
	}
	slices.SortFunc(all, func(a, b Pods) int {
		return cmp.Or(weakerFirst(a.Weaker, b.Weaker), cmp.Compare(b.Pods, a.Pods), cmp.Compare(a.Tenant, b.Tenant),
			cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
	})
	return all
}

func (c *Change) pods(in *Input, before, after view) {
	refused, admitted, platform, domains, boundaries := groups{}, groups{}, groups{}, groups{}, groups{}
	for _, pod := range in.Pods {
		was, judged := before.subjects[cluster.UID(pod)]
		if !judged {
			continue
		}
		is := after.subjects[cluster.UID(pod)]
		tenant := tenantOf(was, is)
		wasReason, wasRefused := before.refused(&was)
		isReason, isRefused := after.refused(&is)
		switch {
		case isRefused && !wasRefused:
			refused.add(groupKey{tenant: tenant, after: isReason.String()}, pod)
		case wasRefused && !isRefused:
			admitted.add(groupKey{tenant: tenant, before: wasReason.String()}, pod)
		}
		if was.Platform() != is.Platform() {
			platform.add(groupKey{tenant: tenant, before: kindOf(was), after: kindOf(is)}, pod)
			continue
		}
		if a, b := kindOf(was), kindOf(is); a != b {
			domains.add(groupKey{tenant: tenant, before: a, after: b}, pod)
		}
		if a, b := was.Boundary(), is.Boundary(); a != b && managed(was) && managed(is) {
			boundaries.add(groupKey{tenant: tenant, before: a.String(), after: b.String(), weaker: b < a}, pod)
		}
	}
	c.Refused, c.Admitted, c.Platform = refused.sorted(), admitted.sorted(), platform.sorted()
	c.TrustDomains, c.Boundaries = domains.sorted(), boundaries.sorted()
	c.kernelGroups(before, after)
}

func managed(s isolation.Subject) bool {
	_, managed := s.TrustDomain()
	return managed
}

func tenantOf(was, is isolation.Subject) string {
	for _, s := range []isolation.Subject{is, was} {
		if d, managed := s.TrustDomain(); managed {
			return d.Tenant
		}
	}
	return ""
}

// kindOf is the trust domain, or why there is none.
func kindOf(s isolation.Subject) string {
	if d, managed := s.TrustDomain(); managed {
		return d.String()
	}
	return s.String()
}

// kernelGroups compares how finely each tenant's pods are kept apart.
func (c *Change) kernelGroups(before, after view) {
	was, is := before.kernelGroups(), after.kernelGroups()
	c.KernelGroups = []KernelGroups{}
	for tenant, groups := range was {
		// A tenant that comes or goes shows in the trust domains of its pods.
		if n := len(is[tenant]); n != 0 && n != len(groups) {
			c.KernelGroups = append(c.KernelGroups, KernelGroups{Tenant: tenant, Before: len(groups), After: n})
		}
	}
	slices.SortFunc(c.KernelGroups, func(a, b KernelGroups) int { return cmp.Compare(a.Tenant, b.Tenant) })
}

func (v *view) kernelGroups() map[string]map[isolation.KernelGroup]bool {
	all := map[string]map[isolation.KernelGroup]bool{}
	for _, s := range v.subjects {
		d, managed := s.TrustDomain()
		group, known := s.KernelGroup()
		if !managed || !known {
			continue
		}
		if all[d.Tenant] == nil {
			all[d.Tenant] = map[isolation.KernelGroup]bool{}
		}
		all[d.Tenant][group] = true
	}
	return all
}
