package plan

import (
	"cmp"
	"maps"
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
	return in.packed(items, false).taken
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
			out[i].size = out[i].size.Plus(in.VMOverhead)
		}
	}
	return out
}

// nodesFor packs each group separately, and counts nodes. It takes the largest nodes first,
// and further ones of the usual size when those of the cluster are used up.
func (in *Input) nodesFor(items []item) int { return in.packed(items, true).taken }

func (in *Input) packed(items []item, byRule bool) *stock {
	groups := map[group][]item{}
	var order []group
	for _, it := range items {
		if _, known := groups[it.group]; !known {
			order = append(order, it.group)
		}
		groups[it.group] = append(groups[it.group], it)
	}
	nodes := &stock{Input: in, nodes: slices.Clone(in.Nodes), byTenant: map[string]int{}, limited: map[string]int{}}
	slices.SortStableFunc(nodes.nodes, func(a, b Node) int { return largerFirst(a.Size, b.Size) })
	nodes.opened = slices.ContainsFunc(nodes.nodes, func(node Node) bool { return len(node.Residents) > 0 })
	for _, g := range order {
		nodes.groups++
		packGroup(groups[g], nodes, byRule)
	}
	return nodes
}

// limits lists the tenants that would need more nodes than they may have.
func (in *Input) limits() []Limited {
	plain := make([]item, 0, len(in.Pods))
	for i := range in.Pods {
		plain = append(plain, newItem(&in.Pods[i], byDomain(&in.Pods[i])))
	}
	left := in.packed(plain, true).limited
	all := make([]Limited, 0, len(left))
	for _, tenant := range slices.Sorted(maps.Keys(left)) {
		all = append(all, Limited{Tenant: tenant, Pods: left[tenant], Nodes: in.MaxNodes})
	}
	return all
}

// stock hands out empty nodes.
type stock struct {
	*Input
	nodes []Node
	taken int
	// groups is how many have come to take some.
	groups int
	// opened: some nodes are opened by DaemonSets.
	opened bool
	// byTenant counts the nodes that are charged to each tenant, limited the pods that its limit leaves over.
	byTenant map[string]int
	limited  map[string]int
}

// reservedShare is the scheduler's: a trust domain with fewer nodes than the average leaves the largest one in ten to
// others.
const reservedShare = 10

// take returns an empty node that is large enough for the pod, and on which nothing keeps it off. homes is how many
// nodes its trust domain has.
func (s *stock) take(pod asked, homes int) (Node, bool) {
	if i := s.own(pod); i >= 0 {
		node := s.nodes[i]
		s.nodes = slices.Delete(s.nodes, i, i+1)
		s.taken++
		return node, true
	}
	first := 0
	if pod.like != nil && (homes == 0 || homes*s.groups < s.taken) {
		first = len(s.nodes) / reservedShare
	}
	for n := range s.nodes {
		i := (first + n) % len(s.nodes)
		node := s.nodes[i]
		if pod.fits(node.Size) && !(pod.avoids && node.VMCapable) && !s.keptOff(&node, pod.like) {
			s.nodes = slices.Delete(s.nodes, i, i+1)
			s.taken++
			return node, true
		}
	}
	if more := (Node{Size: s.More, Residents: s.Everywhere}); pod.fits(s.More) && !s.keptOff(&more, pod.like) {
		s.taken++
		return more, true
	}
	return Node{}, false
}

// own returns a node that a DaemonSet of the pod's trust domain has opened already, which the scheduler prefers: the
// smallest, which the pod makes the fullest. It is -1 if there is none.
func (s *stock) own(pod asked) int {
	if pod.like == nil || !s.opened {
		return -1
	}
	group, managed := pod.like.Subject.KernelGroup()
	if !managed {
		return -1
	}
	for i := len(s.nodes) - 1; i >= 0; i-- {
		node := &s.nodes[i]
		if pod.fits(node.Size) && !s.keptOff(node, pod.like) && slices.ContainsFunc(node.Residents, func(daemon Everywhere) bool {
			of, managed := daemon.Subject.KernelGroup()
			return managed && of == group
		}) {
			return i
		}
	}
	return -1
}

// keptOff reports whether a pod of a DaemonSet keeps the pod off a node. Without the rule, none does.
func (s *stock) keptOff(node *Node, pod *Pod) bool {
	return pod != nil && slices.ContainsFunc(node.Residents, func(daemon Everywhere) bool { return s.keepsOff(&daemon, pod) })
}

// full reports whether the tenant of a pod may have no other node.
func (s *stock) full(pod *Pod) bool {
	tenant, counts := s.charged(pod)
	return counts && s.MaxNodes > 0 && s.byTenant[tenant] >= s.MaxNodes
}

// charged returns the tenant to which the nodes of a pod are charged: none, if others may share them.
func (s *stock) charged(pod *Pod) (tenant string, counts bool) {
	if pod == nil || pod.Subject.Open() {
		return "", false
	}
	domain, managed := pod.Subject.TrustDomain()
	return domain.Tenant, managed && s.Dedicating
}

// kind is what equal pods ask of a node.
type kind struct {
	Size
	avoids bool
	// kernel is whose kernel they may share.
	kernel isolation.KernelGroup
}

// asked is a kind of pods, and one of them; nil without the rule.
type asked struct {
	kind
	like *Pod
}

func largerFirst(a, b Size) int {
	return cmp.Or(cmp.Compare(b.MilliCPU, a.MilliCPU), cmp.Compare(b.Memory, a.Memory))
}

// packGroup is best fit decreasing. It places equal pods together, so that the time grows
// with sizes times nodes, not with pods times nodes.
func packGroup(items []item, nodes *stock, byRule bool) {
	counts := map[kind]int{}
	like := map[kind]*Pod{}
	for _, it := range items {
		k := kind{Size: it.size, avoids: it.avoids}
		if byRule {
			k.kernel, _ = it.pod.Subject.KernelGroup()
			if like[k] == nil {
				like[k] = it.pod
			}
		}
		counts[k] += it.pod.Copies
	}
	kinds := make([]asked, 0, len(counts))
	for k := range counts {
		kinds = append(kinds, asked{k, like[k]})
	}
	slices.SortFunc(kinds, func(a, b asked) int {
		if order := largerFirst(a.Size, b.Size); order != 0 || a.avoids == b.avoids {
			return cmp.Or(order, strings.Compare(nameOf(a.like), nameOf(b.like)))
		}
		if b.avoids {
			return -1
		}
		return 1
	})
	var open []Node
	for _, kind := range kinds {
		candidates := open
		for left := counts[kind.kind]; left > 0; {
			best := -1
			for i, room := range candidates {
				if kind.fits(room.Size) && (best < 0 || room.MilliCPU < open[best].MilliCPU) && !nodes.keptOff(&open[i], kind.like) {
					best = i
				}
			}
			if best < 0 {
				// None of them will have room for the next one either, and each new node is filled at once.
				candidates = nil
				tenant, counted := nodes.charged(kind.like)
				if nodes.full(kind.like) {
					nodes.limited[tenant] += left
					break
				}
				room, ok := nodes.take(kind, len(open))
				if !ok {
					break
				}
				if counted {
					nodes.byTenant[tenant]++
				}
				open = append(open, room)
				best = len(open) - 1
			}
			for left > 0 && kind.fits(open[best].Size) {
				open[best].Size = open[best].minus(kind.Size)
				left--
			}
		}
	}
}

func nameOf(pod *Pod) string {
	if pod == nil {
		return ""
	}
	return pod.Workload
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
