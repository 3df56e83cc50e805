package audit

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"tenantisolation.dev/scheduler/pkg/cluster"
)

// Engine finds what breaks the rule in a judged cluster. It is not safe for concurrent use, but
// the cluster may change at any time.
type Engine struct {
	store *cluster.Store

	nodes      map[string]*node
	fileStores map[string]*fileStore

	// hidden are the pods of each node that are said to have ended while a container of them is
	// said to run. The store, which follows the scheduler's informer, has none of them.
	hidden map[string][]*v1.Pod

	// changed are the nodes that the next update has to check. Events add to them.
	mu      sync.Mutex
	changed sets.Set[string]

	changedStores sets.Set[string]

	// What the last update found.
	findings map[Key]*Finding
	counts   map[Reason]int
	summary  Summary
	// before holds each finding that has changed since the last call of Changes as it was
	// then, nil if there was none.
	before map[Key]*Finding
}

// New returns an engine whose first update checks everything, and each further one only what has
// changed.
func New(store *cluster.Store) *Engine {
	e := &Engine{
		store:         store,
		nodes:         map[string]*node{},
		fileStores:    map[string]*fileStore{},
		changed:       sets.Set[string]{},
		changedStores: sets.Set[string]{},
		findings:      map[Key]*Finding{},
		counts:        map[Reason]int{},
		before:        map[Key]*Finding{},
	}
	store.Listen(e.markChanged)
	e.markAllChanged()
	return e
}

// markChanged marks the nodes where an event may have changed a finding.
func (e *Engine) markChanged(event cluster.Event) {
	switch event.Cause {
	case cluster.NodeChanged, cluster.DedicationChanged, cluster.EverythingReread:
		// Findings depend on a node's pods and on whether it exists, and on nothing else of it.
		return
	case cluster.NamespaceChanged, cluster.RuntimeClassChanged, cluster.PVCChanged, cluster.PodChanged,
		cluster.NodeAdded, cluster.NodeRemoved:
	case cluster.PolicyChanged:
		e.markAllChanged()
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range event.Nodes {
		e.changed.Insert(event.Nodes[i].Node)
	}
}

// markAllChanged marks every node, and every missing node to which pods are bound.
func (e *Engine) markAllChanged() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.store.Nodes() {
		e.changed.Insert(n.Name)
	}
	for _, p := range e.store.Pods() {
		if p.Spec.NodeName != "" {
			e.changed.Insert(p.Spec.NodeName)
		}
	}
	for name := range e.nodes {
		e.changed.Insert(name)
	}
}

// SetHidden notes which pods are hidden (cluster.Hidden), by node, and marks the nodes where that is new.
func (e *Engine) SetHidden(hidden map[string][]*v1.Pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, nodes := range []map[string][]*v1.Pod{e.hidden, hidden} {
		for name := range nodes {
			e.changed.Insert(name)
		}
	}
	e.hidden = hidden
}

// Report returns everything that breaks the rule. Its cost is proportional to what has changed
// since the last update, and to the number of findings.
func (e *Engine) Report() Report {
	e.update()
	r := Report{Summary: e.summary, Findings: make([]Finding, 0, len(e.findings))}
	for _, f := range e.findings {
		r.Findings = append(r.Findings, *f)
	}
	slices.SortFunc(r.Findings, worseFirst())
	return r
}

// Changes is how findings have changed between two calls of Engine.Changes. Each list is in a
// fixed order, worst first.
type Changes struct {
	// Began are new, Ended are gone, and Changed have other pods.
	Began, Changed, Ended []Finding
}

// Changes returns what has changed since the last call. Its cost is proportional to that.
func (e *Engine) Changes() Changes {
	e.update()
	var c Changes
	for key, before := range e.before {
		now := e.findings[key]
		switch {
		case before == nil && now != nil:
			c.Began = append(c.Began, *now)
		case before != nil && now == nil:
			c.Ended = append(c.Ended, *before)
		case before != nil && now != nil && !before.same(now):
			c.Changed = append(c.Changed, *now)
		}
	}
	clear(e.before)
	for _, list := range [][]Finding{c.Began, c.Changed, c.Ended} {
		slices.SortFunc(list, worseFirst())
	}
	return c
}

// Counts returns the number of findings by reason, without reasons that have none. The caller
// must not change the map.
func (e *Engine) Counts() map[Reason]int {
	e.update()
	return e.counts
}

// Finding returns the current state of a finding, false if it has ended.
func (e *Engine) Finding(key Key) (Finding, bool) {
	e.update()
	if f := e.findings[key]; f != nil {
		return *f, true
	}
	return Finding{}, false
}

// update brings the findings up to date.
func (e *Engine) update() {
	e.mu.Lock()
	changed := e.changed
	e.changed = sets.Set[string]{}
	e.mu.Unlock()
	for name := range changed {
		e.checkNode(name)
	}
	// First what was found before: a store that gets another name may take over the finding
	// of the PVC that it is known by.
	for name := range e.changedStores {
		if s := e.fileStores[name]; s != nil {
			s.keys = e.replace(s.keys, nil)
		}
	}
	for name := range e.changedStores {
		e.checkStore(name)
	}
	clear(e.changedStores)
}

// replace replaces the findings of one node or store, and returns the new keys.
func (e *Engine) replace(old []Key, found []Finding) []Key {
	for _, key := range old {
		if !slices.ContainsFunc(found, func(f Finding) bool { return f.Key == key }) {
			e.set(key, nil)
		}
	}
	if len(found) == 0 {
		return nil
	}
	keys := make([]Key, len(found))
	for i := range found {
		keys[i] = found[i].Key
		e.set(keys[i], &found[i])
	}
	return keys
}

func (e *Engine) set(key Key, f *Finding) {
	was := e.findings[key]
	if _, known := e.before[key]; !known {
		e.before[key] = was
	}
	if was != nil {
		e.count(key.Reason, -1)
	}
	if f == nil {
		delete(e.findings, key)
		return
	}
	e.findings[key] = f
	e.count(key.Reason, 1)
}

func (e *Engine) count(r Reason, by int) {
	e.counts[r] += by
	if e.counts[r] == 0 {
		delete(e.counts, r)
	}
}

// worseFirst orders findings by reason as in Reasons, then by number of pairs, number of pods, node
// and volume.
func worseFirst() func(a, b Finding) int {
	rank := map[Reason]int{}
	for i, r := range Reasons() {
		rank[r] = i
	}
	return func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(rank[a.Reason], rank[b.Reason]),
			cmp.Compare(b.Pairs, a.Pairs),
			cmp.Compare(b.size(), a.size()),
			strings.Compare(a.Node, b.Node),
			strings.Compare(a.Volume, b.Volume),
		)
	}
}
