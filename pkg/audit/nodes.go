package audit

import (
	"cmp"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// node is a Node, or a missing one to which pods are bound, as the last update found it.
type node struct {
	exists bool
	pods   int
	// mounting are the pods that mount files, by namespace and name.
	mounting map[string]*pod

	keys              []Key
	checked, breaking int
}

// pod is a pod on a node.
type pod struct {
	Pod
	object  *v1.Pod
	subject isolation.Subject
	kind    isolation.Kind
	// remade: its boundary is only in doubt because its RuntimeClass is newer than the pod.
	remade bool
	// stores are the keys of the stores that the pod mounts, directories those of the
	// node that it mounts.
	stores, directories []string
}

func podOf(object *v1.Pod) Pod {
	return Pod{
		Namespace: object.Namespace, Name: object.Name, UID: object.UID,
		Node: object.Spec.NodeName, Since: cluster.Since(object),
	}
}

func (e *Engine) pod(object *v1.Pod) *pod {
	p := &pod{
		Pod:     podOf(object),
		object:  object,
		subject: e.store.Judge(object),
	}
	p.kind = p.subject.Kind()
	p.remade = e.remade(object, p.subject)
	p.stores, p.directories = e.mountsOf(object)
	return p
}

// checkNode finds the pods on a node that may not share its kernel, that may run nowhere, or that
// share a directory of the node.
func (e *Engine) checkNode(name string) {
	n := e.nodes[name]
	if n == nil {
		n = &node{}
		e.nodes[name] = n
	}
	objects := append(e.store.BoundTo(name), e.hidden[name]...)
	e.summary.Pods += len(objects) - n.pods
	n.pods = len(objects)
	if _, exists := e.store.Node(name); exists != n.exists {
		n.exists = exists
		if exists {
			e.summary.Nodes++
		} else {
			e.summary.Nodes--
		}
	}
	judged := make([]*pod, 0, len(objects))
	var mounting map[string]*pod
	for _, object := range objects {
		p := e.pod(object)
		if len(p.stores) > 0 {
			if mounting == nil {
				mounting = map[string]*pod{}
			}
			mounting[p.String()] = p
		}
		if !p.kind.Platform() {
			judged = append(judged, p)
		}
	}
	e.updateMounts(n.mounting, mounting)
	n.mounting = mounting

	groups := byKind(judged)
	checked := len(judged) * (len(judged) - 1) / 2
	kernel := conflicts(groups, isolation.Kind.SharesKernel)
	for i := range kernel {
		c := &kernel[i]
		a, b := &groups[c.a], &groups[c.b]
		if c.reason == reasonOf(isolation.ForeignResident) && a.mayIsolate() && b.mayIsolate() {
			c.reason = RemadeRuntimeClass
		}
	}
	breaking := 0
	for _, c := range kernel {
		breaking += c.pairs
	}
	e.summary.PairsChecked += checked - n.checked
	e.summary.PairsBreaking += breaking - n.breaking
	n.checked, n.breaking = checked, breaking

	found := findConflicts(Key{Node: name}, groups, kernel)
	found = append(found, findPodFaults(name, groups)...)
	if !n.exists && len(groups) > 0 {
		found = append(found, newFinding(Key{Reason: MissingNode, Node: name}, groups, nil))
	}
	found = append(found, findDirectories(name, judged)...)
	n.keys = e.replace(n.keys, found)

	if !n.exists && n.pods == 0 {
		delete(e.nodes, name)
	}
}

// later compares pods by when they came to their node, then by name: times have a resolution of a
// second.
func later(a, b Pod) int {
	return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// group is pods of one kind.
type group struct {
	kind   isolation.Kind
	remade bool
	pods   []*pod
}

// mayIsolate reports whether the pods are behind a boundary that lets others share the machine,
// or may be.
func (g *group) mayIsolate() bool { return g.remade || g.kind.Isolated() }

// byKind groups pods by kind, in no particular order.
func byKind(pods []*pod) []group {
	var groups []group
	type key struct {
		kind   isolation.Kind
		remade bool
	}
	at := map[key]int{}
	for _, p := range pods {
		of := key{p.kind, p.remade}
		i, known := at[of]
		if !known {
			i = len(groups)
			at[of] = i
			groups = append(groups, group{kind: p.kind, remade: p.remade})
		}
		groups[i].pods = append(groups[i].pods, p)
	}
	return groups
}

// conflict is two groups, by index, that may not share.
type conflict struct {
	a, b   int
	reason Reason
	pairs  int
}

// conflicts compares the groups, each with itself too: pods of unknown trust domain may not share
// with each other.
func conflicts(groups []group, rule func(a, b isolation.Kind) (isolation.Reason, bool)) []conflict {
	var all []conflict
	for i := range groups {
		for j := i; j < len(groups); j++ {
			reason, breaks := rule(groups[i].kind, groups[j].kind)
			if !breaks {
				continue
			}
			pairs := len(groups[i].pods) * len(groups[j].pods)
			if i == j {
				pairs = len(groups[i].pods) * (len(groups[i].pods) - 1) / 2
			}
			if pairs > 0 {
				all = append(all, conflict{a: i, b: j, reason: reasonOf(reason), pairs: pairs})
			}
		}
	}
	return all
}

// findConflicts returns one finding for each reason.
func findConflicts(at Key, groups []group, all []conflict) []Finding {
	byReason := map[Reason][]conflict{}
	for _, c := range all {
		byReason[c.reason] = append(byReason[c.reason], c)
	}
	var found []Finding
	for reason, some := range byReason {
		at.Reason = reason
		found = append(found, newFinding(at, groups, some))
	}
	return found
}

// findPodFaults finds pods that may run nowhere because of what they are.
func findPodFaults(node string, groups []group) []Finding {
	byReason := map[isolation.Reason][]group{}
	for _, g := range groups {
		if reason, wrong := g.kind.Wrong(); wrong {
			byReason[reason] = append(byReason[reason], g)
		}
	}
	var found []Finding
	for reason, some := range byReason {
		found = append(found, newFinding(Key{Reason: reasonOf(reason), Node: node}, some, nil))
	}
	return found
}

// newFinding returns a finding with the groups that take part in a conflict, or all if there is
// none.
func newFinding(key Key, groups []group, some []conflict) Finding {
	f := Finding{Key: key}
	var taking []int
	for _, c := range some {
		taking = append(taking, c.a, c.b)
		f.Pairs += c.pairs
	}
	if some == nil {
		for i := range groups {
			taking = append(taking, i)
		}
	}
	slices.Sort(taking)
	taking = slices.Compact(taking)

	type named struct {
		Party
		subject string
		group   int
	}
	parties := make([]named, len(taking))
	for i, g := range taking {
		party := newParty(groups[g].pods)
		parties[i] = named{Party: party, subject: party.Subject.String(), group: g}
	}
	// Groups have no order. Two of one trust domain differ in their first pods.
	slices.SortFunc(parties, func(a, b named) int {
		return cmp.Or(strings.Compare(a.subject, b.subject), byName(a.Pods[0], b.Pods[0]))
	})
	index := make(map[int]int, len(parties))
	for i, party := range parties {
		index[party.group] = i
		f.Parties = append(f.Parties, party.Party)
		last := slices.MaxFunc(party.Pods, later)
		if i == 0 || later(last, f.Last) > 0 {
			f.Last = last
		}
	}
	for _, c := range some {
		a, b := index[c.a], index[c.b]
		f.Conflicts = append(f.Conflicts, Conflict{A: min(a, b), B: max(a, b)})
	}
	slices.SortFunc(f.Conflicts, func(x, y Conflict) int { return cmp.Or(x.A-y.A, x.B-y.B) })
	return f
}

func newParty(pods []*pod) Party {
	sorted := slices.Clone(pods)
	slices.SortFunc(sorted, func(a, b *pod) int { return byName(a.Pod, b.Pod) })
	party := Party{Subject: sorted[0].subject, Pods: make([]Pod, len(sorted))}
	for i, p := range sorted {
		party.Pods[i] = p.Pod
	}
	return party
}

func byName(a, b Pod) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}
