package audit

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Engine holds a cluster's objects and knows what in it breaks the rule. It is not safe
// for concurrent use.
//
// It is the podfacts.Surroundings and podfacts.Storage of the objects that it holds.
type Engine struct {
	rules    *podfacts.Rules
	gatherer *podfacts.Gatherer

	objects
	pods  map[string]*pod
	nodes map[string]*node
	files map[string]*file
	by    podIndex

	// What the next look has to look at.
	changedNodes, changedFiles sets.Set[string]

	// What the last look found.
	findings map[Key]*Finding
	counts   map[Reason]int
	summary  Summary
	// before has the findings that were touched since the last call of Changes, as they
	// were then; nil if there was none.
	before map[Key]*Finding
}

// New returns an engine that knows of no object yet.
func New(rules *podfacts.Rules, gatherer *podfacts.Gatherer) *Engine {
	return &Engine{
		rules:        rules,
		gatherer:     gatherer,
		objects:      newObjects(),
		pods:         map[string]*pod{},
		nodes:        map[string]*node{},
		files:        map[string]*file{},
		by:           newPodIndex(),
		changedNodes: sets.Set[string]{},
		changedFiles: sets.Set[string]{},
		findings:     map[Key]*Finding{},
		counts:       map[Reason]int{},
		before:       map[Key]*Finding{},
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

// Subject returns what a pod was judged to be, false if no such pod is on a node.
func (e *Engine) Subject(namespace, name string) (isolation.Subject, bool) {
	if p := e.pods[namespace+"/"+name]; p != nil {
		return p.subject, true
	}
	return isolation.Subject{}, false
}

// Node returns what the rule reads of a node, false if it does not exist.
func (e *Engine) Node(name string) (isolation.Node, bool) {
	n := e.nodes[name]
	if n == nil || n.object == nil {
		return isolation.Node{}, false
	}
	residents := make([]isolation.Resident, 0, len(n.pods))
	for _, p := range n.pods {
		residents = append(residents, isolation.Resident{UID: string(p.object.UID), Subject: p.subject})
	}
	handlers := podfacts.ReportedHandlers(n.object)
	return isolation.Node{
		Occupancy: isolation.NewOccupancy(residents),
		Handlers:  handlers,
		VMCapable: e.rules.VMCapable(n.object, handlers, e.runtimeClasses()),
	}, true
}

// look brings the findings up to date.
func (e *Engine) look() {
	for name := range e.changedNodes {
		e.lookAtNode(name)
	}
	clear(e.changedNodes)
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
