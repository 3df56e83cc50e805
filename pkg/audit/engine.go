package audit

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"

	"tenantisolation.dev/scheduler/pkg/cluster"
)

// Engine knows what of a judged cluster breaks the rule. It is not safe for concurrent use;
// but the cluster may change at any time.
type Engine struct {
	store *cluster.Store

	nodes map[string]*node
	files map[string]*file

	// changed are the nodes that the next look has to look at. Events add to them.
	mu      sync.Mutex
	changed sets.Set[string]

	changedFiles sets.Set[string]

	// What the last look found.
	findings map[Key]*Finding
	counts   map[Reason]int
	summary  Summary
	// before has the findings that were touched since the last call of Changes, as they
	// were then; nil if there was none.
	before map[Key]*Finding
}

// New returns an engine that has looked at nothing yet: its first look is at everything,
// each further one at what has changed.
func New(store *cluster.Store) *Engine {
	e := &Engine{
		store:        store,
		nodes:        map[string]*node{},
		files:        map[string]*file{},
		changed:      sets.Set[string]{},
		changedFiles: sets.Set[string]{},
		findings:     map[Key]*Finding{},
		counts:       map[Reason]int{},
		before:       map[Key]*Finding{},
	}
	store.Listen(e.note)
	e.lookAnew()
	return e
}

// note notes where an event may have changed a finding.
func (e *Engine) note(event cluster.Event) {
	switch event.Cause {
	case cluster.NodeChanged, cluster.DedicationChanged:
		// Who is on a node, and that it exists, is all that a finding says of it.
		return
	case cluster.NamespaceChanged, cluster.RuntimeClassChanged, cluster.PVCChanged, cluster.PodChanged,
		cluster.NodeAdded, cluster.NodeRemoved:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range event.Nodes {
		e.changed.Insert(event.Nodes[i].Node)
	}
}

// lookAnew has the next look be at every node, and at those of no Node that pods name.
func (e *Engine) lookAnew() {
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

// Report returns everything that breaks the rule. Its cost follows what has changed since
// the last look, and the number of findings.
func (e *Engine) Report() Report {
	e.look()
	r := Report{Summary: e.summary, Findings: make([]Finding, 0, len(e.findings))}
	for _, f := range e.findings {
		r.Findings = append(r.Findings, *f)
	}
	slices.SortFunc(r.Findings, worseFirst())
	return r
}

// Changes is how findings have changed since the last time somebody asked. Each list is in
// a fixed order, worst first.
type Changes struct {
	// Began were not there before, Ended are there no more, and Changed have other pods.
	Began, Changed, Ended []Finding
}

// Changes returns what has changed since the last call. Its cost follows that.
func (e *Engine) Changes() Changes {
	e.look()
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

// Counts returns how many findings there are for each reason, reasons without any left
// out. The caller must not change it.
func (e *Engine) Counts() map[Reason]int {
	e.look()
	return e.counts
}

// Finding returns a finding as it is now, false if it is there no more.
func (e *Engine) Finding(key Key) (Finding, bool) {
	e.look()
	if f := e.findings[key]; f != nil {
		return *f, true
	}
	return Finding{}, false
}

// look brings the findings up to date.
func (e *Engine) look() {
	e.mu.Lock()
	changed := e.changed
	e.changed = sets.Set[string]{}
	e.mu.Unlock()
	for name := range changed {
		e.lookAtNode(name)
	}
	// First what was found before: a store that gets another name may take over the finding
	// of the PVC that it is known by.
	for name := range e.changedFiles {
		if f := e.files[name]; f != nil {
			f.keys = e.replace(f.keys, nil)
		}
	}
	for name := range e.changedFiles {
		e.lookAtFile(name)
	}
	clear(e.changedFiles)
}

// replace puts findings in the place of those that were found at the same place before,
// and returns their keys.
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
	if _, touched := e.before[key]; !touched {
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

// worseFirst orders findings by reason as in Reasons, then by how many pairs and pods
// they have, then by where they are.
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
