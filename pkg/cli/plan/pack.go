package plan

import (
	"cmp"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// item is a pod with its size and group.
type item struct {
	size  Size
	group group
	pod   *Pod
	// avoids: it opens no node that can start VMs.
	avoids bool
}

func newItem(pod *Pod, g group) item {
	return item{size: Request(pod.Object), group: g, pod: pod, avoids: pod.avoidsVMNodes()}
}

// pack returns how many nodes the pods need by the rule. All open pods are one group. With VMs, it puts pods into VMs wherever that saves nodes.
func (in *Input) pack(vms bool) int {
	plain := make([]item, 0, len(in.Pods))
	for i := range in.Pods {
		pod := &in.Pods[i]
		plain = append(plain, newItem(pod, byDomain(pod)))
	}
	if !vms {
		return in.nodesFor(plain)
	}
	// A VM has an overhead, so a large trust domain is better off with nodes of its own. So
	// trust domains go into VMs from the smallest on, as long as it saves nodes.
	order := bySize(plain)
	best := in.nodesFor(plain)
	inVM := map[group]bool{}
	for _, g := range order {
		inVM[g] = true
		if n := in.nodesFor(in.withVMs(plain, inVM)); n <= best {
			best = n
		} else {
			break
		}
	}
	return best
}

// withoutRule returns how many nodes the pods need if all may share them.
func (in *Input) withoutRule() int {
	items := make([]item, 0, len(in.Pods))
	for i := range in.Pods {
		items = append(items, item{size: Request(in.Pods[i].Object), pod: &in.Pods[i]})
	}
	return in.nodesFor(items)
}

// bySize lists the trust domains that are not in VMs, smallest first.
func bySize(items []item) []group {
	sizes := map[group]int64{}
	names := map[group]string{}
	for _, it := range items {
		if it.group.open {
			continue
		}
		sizes[it.group] += it.size.MilliCPU * int64(it.pod.Copies)
		if d, managed := it.pod.Subject.TrustDomain(); managed {
			names[it.group] = d.String()
		}
	}
	var order []group
	for g := range sizes {
		if names[g] != "" {
			order = append(order, g)
		}
	}
	slices.SortFunc(order, func(a, b group) int {
		return cmp.Or(cmp.Compare(sizes[a], sizes[b]), strings.Compare(names[a], names[b]))
	})
	return order
}

// withVMs gives the pods of some groups the VM RuntimeClass, if the rule then lets them
// share a node with others.
func (in *Input) withVMs(items []item, groups map[group]bool) []item {
	out := slices.Clone(items)
	for i := range out {
		if !groups[out[i].group] {
			continue
		}
		pod := *out[i].pod.Object
		pod.Spec.RuntimeClassName = ptr.To(in.VMClass)
		pod.Status = v1.PodStatus{}
		if subject := in.Rules.Subject(&pod, &out[i].pod.Facts, in.Lookup); subject.Open() {
			out[i].group, out[i].avoids = group{open: true}, false
			out[i].size = out[i].size.plus(in.VMOverhead)
		}
	}
	return out
}

// nodesFor packs each group separately, and counts nodes. It takes the largest nodes first,
// and further ones of the usual size when those of the cluster are used up.
func (in *Input) nodesFor(items []item) int {
	groups := map[group][]item{}
	var order []group
	for _, it := range items {
		if _, known := groups[it.group]; !known {
			order = append(order, it.group)
		}
		groups[it.group] = append(groups[it.group], it)
	}
	nodes := &stock{nodes: slices.Clone(in.Nodes), more: in.More}
	slices.SortStableFunc(nodes.nodes, func(a, b Node) int { return largerFirst(a.Size, b.Size) })
	for _, g := range order {
		packGroup(groups[g], nodes)
	}
	return nodes.taken
}

// stock hands out empty nodes.
type stock struct {
	nodes []Node
	more  Size
	taken int
}

// take returns an empty node that is large enough for the pod.
func (s *stock) take(pod asked) (Size, bool) {
	for i, node := range s.nodes {
		if pod.fits(node.Size) && !(pod.avoids && node.VMCapable) {
			s.nodes = slices.Delete(s.nodes, i, i+1)
			s.taken++
			return node.Size, true
		}
	}
	if !pod.fits(s.more) {
		return Size{}, false
	}
	s.taken++
	return s.more, true
}

// asked is what equal pods ask of a node.
type asked struct {
	Size
	avoids bool
}

func largerFirst(a, b Size) int {
	return cmp.Or(cmp.Compare(b.MilliCPU, a.MilliCPU), cmp.Compare(b.Memory, a.Memory))
}

// packGroup is best fit decreasing. It places equal pods together, so that the time grows
// with sizes times nodes, not with pods times nodes.
func packGroup(items []item, nodes *stock) {
	counts := map[asked]int{}
	for _, it := range items {
		counts[asked{it.size, it.avoids}] += it.pod.Copies
	}
	kinds := make([]asked, 0, len(counts))
	for kind := range counts {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b asked) int {
		if order := largerFirst(a.Size, b.Size); order != 0 || a.avoids == b.avoids {
			return order
		}
		if b.avoids {
			return -1
		}
		return 1
	})
	var open []Size
	for _, kind := range kinds {
		for left := counts[kind]; left > 0; {
			best := -1
			for i, room := range open {
				if kind.fits(room) && (best < 0 || room.MilliCPU < open[best].MilliCPU) {
					best = i
				}
			}
			if best < 0 {
				room, ok := nodes.take(kind)
				if !ok {
					break
				}
				open = append(open, room)
				best = len(open) - 1
			}
			for left > 0 && kind.fits(open[best]) {
				open[best] = open[best].minus(kind.Size)
				left--
			}
		}
	}
}

// domains counts pods and nodes of each group.
func (in *Input) domains() []Domain {
	type members struct {
		name  string
		items []item
		pods  int
	}
	groups := map[group]*members{}
	for i := range in.Pods {
		pod := &in.Pods[i]
		g := byDomain(pod)
		if groups[g] == nil {
			groups[g] = &members{name: groupName(pod, g)}
		}
		groups[g].items = append(groups[g].items, newItem(pod, g))
		groups[g].pods += pod.Copies
	}
	all := make([]Domain, 0, len(groups))
	for _, g := range groups {
		all = append(all, Domain{Name: g.name, Pods: g.pods, Nodes: in.nodesFor(g.items)})
	}
	slices.SortFunc(all, func(a, b Domain) int {
		return cmp.Or(cmp.Compare(b.Nodes, a.Nodes), cmp.Compare(b.Pods, a.Pods), strings.Compare(a.Name, b.Name))
	})
	return all
}

func groupName(pod *Pod, g group) string {
	if g.open {
		return "in VMs, of any tenant"
	}
	if d, managed := pod.Subject.TrustDomain(); managed {
		return d.String()
	}
	return "without a tenant"
}

// moves finds the pods that would leave their node: on each node all but the largest group.
func moves(pods []Pod) []Move {
	type place struct {
		group group
		pods  []*Pod
	}
	byNode := map[string][]*place{}
	for i := range pods {
		pod := &pods[i]
		if pod.Node == "" {
			continue
		}
		g := byDomain(pod)
		places := byNode[pod.Node]
		at := slices.IndexFunc(places, func(p *place) bool { return p.group == g })
		if at < 0 {
			places = append(places, &place{group: g})
			at = len(places) - 1
			byNode[pod.Node] = places
		}
		places[at].pods = append(places[at].pods, pod)
	}
	found := map[string]*Move{}
	for node, places := range byNode {
		slices.SortFunc(places, func(a, b *place) int {
			return cmp.Or(cmp.Compare(len(b.pods), len(a.pods)), strings.Compare(a.pods[0].Workload, b.pods[0].Workload))
		})
		for _, p := range places[min(1, len(places)):] {
			for _, pod := range p.pods {
				m := found[pod.Workload]
				if m == nil {
					m = &Move{Workload: pod.Workload}
					found[pod.Workload] = m
				}
				m.Pods++
				if !slices.Contains(m.Nodes, node) {
					m.Nodes = append(m.Nodes, node)
				}
			}
		}
	}
	all := make([]Move, 0, len(found))
	for _, m := range found {
		slices.Sort(m.Nodes)
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Pods, a.Pods), strings.Compare(a.Workload, b.Workload))
	})
	return all
}

// maxRaising bounds the workloads that are tried, as each takes a packing.
const maxRaising = 30

// raising finds workloads that differ from the others of their tenant and data class only
// in their privilege, and the nodes that lowering it saves.
func (in *Input) raising(withRule int) []Raising {
	usual := in.usualPrivilege()
	found := map[string]*Raising{}
	for i := range in.Pods {
		pod := &in.Pods[i]
		d, managed := pod.Subject.TrustDomain()
		if !managed {
			continue
		}
		rest := d
		rest.Privilege = isolation.PrivilegeUnknown
		instead, known := usual[rest]
		// A label that asks for the privilege is a choice.
		if !known || d.Privilege <= instead || pod.Facts.Privilege != d.Privilege {
			continue
		}
		r := found[pod.Workload]
		if r == nil {
			r = &Raising{Workload: pod.Workload, Privilege: d.Privilege.String(), Instead: instead.String(), domain: rest}
			found[pod.Workload] = r
		}
		r.Pods += pod.Copies
	}
	all := make([]Raising, 0, len(found))
	for _, r := range found {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Raising) int {
		return cmp.Or(cmp.Compare(a.Pods, b.Pods), strings.Compare(a.Workload, b.Workload))
	})
	all = all[:min(len(all), maxRaising)]
	for i := range all {
		all[i].Saves = max(0, withRule-in.packLowered(all[i].Workload, usual))
	}
	slices.SortStableFunc(all, func(a, b Raising) int { return cmp.Compare(b.Saves, a.Saves) })
	return all
}

// packLowered packs as if one workload had the usual privilege.
func (in *Input) packLowered(workload string, usual map[isolation.TrustDomain]isolation.Privilege) int {
	lowered := *in
	lowered.Pods = slices.Clone(in.Pods)
	for i := range lowered.Pods {
		pod := &lowered.Pods[i]
		d, managed := pod.Subject.TrustDomain()
		if !managed || pod.Workload != workload {
			continue
		}
		d.Privilege = isolation.PrivilegeUnknown
		pod.Facts.Privilege = usual[d]
		pod.Facts.HostAccess = 0
		pod.Subject = in.Rules.Subject(pod.Object, &pod.Facts, in.Lookup)
	}
	return lowered.pack(false)
}

// usualPrivilege returns, for each tenant and data class, the privilege of most workloads,
// and the lower one of two that are as frequent.
func (in *Input) usualPrivilege() map[isolation.TrustDomain]isolation.Privilege {
	workloads := map[isolation.TrustDomain]map[isolation.Privilege]map[string]bool{}
	for i := range in.Pods {
		d, managed := in.Pods[i].Subject.TrustDomain()
		if !managed {
			continue
		}
		privilege := d.Privilege
		d.Privilege = isolation.PrivilegeUnknown
		if workloads[d] == nil {
			workloads[d] = map[isolation.Privilege]map[string]bool{}
		}
		if workloads[d][privilege] == nil {
			workloads[d][privilege] = map[string]bool{}
		}
		workloads[d][privilege][in.Pods[i].Workload] = true
	}
	usual := map[isolation.TrustDomain]isolation.Privilege{}
	for d, byPrivilege := range workloads {
		most := 0
		for _, privilege := range isolation.Privileges() {
			if n := len(byPrivilege[privilege]); n > most {
				usual[d], most = privilege, n
			}
		}
	}
	return usual
}
