package audit

import (
	"iter"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Key identifies a finding for as long as it lasts. It is comparable.
type Key struct {
	Reason Reason
	// Node is the node of the finding, empty if its pods may be on several.
	Node string
	// Volume is the shared storage: a PVC ("namespace/name"), the storage of several PVCs, or
	// a directory of the node. It is empty if the pods share a kernel.
	Volume string
}

// Finding is a violation of the rule by running pods: everything on one node, or about one volume,
// for one reason.
type Finding struct {
	Key
	// Parties are the pods of the finding, grouped by trust domain and boundary, in a fixed
	// order.
	Parties []Party
	// Conflicts are the parties that may not share: every pod of one with every pod of the
	// other. It is empty if each pod breaks the rule by itself.
	Conflicts []Conflict
	// Pairs is the number of pairs of pods in Conflicts.
	Pairs int
	// Last is the pod of the finding that came to its node last.
	Last Pod
}

// Conflict is two parties by their index in Finding.Parties, the same one twice if its pods may not
// share with each other.
type Conflict struct{ A, B int }

// Party is pods of one kind.
type Party struct {
	// Subject is the judged subject of one of them; the rule treats all of them alike.
	Subject isolation.Subject
	// Pods are all of them, by namespace and name.
	Pods []Pod
}

// Pod is a pod in a finding.
type Pod struct {
	Namespace, Name string
	UID             types.UID
	Node            string
	// Since is when it came to its node, by the best time that the API has.
	Since time.Time
}

// String returns "namespace/name".
func (p Pod) String() string { return p.Namespace + "/" + p.Name }

// EachPair returns the pairs of pods that break the rule, in a fixed order. There may be
// many more of them than pods.
func (f *Finding) EachPair() iter.Seq2[Pod, Pod] {
	return func(yield func(Pod, Pod) bool) {
		for _, c := range f.Conflicts {
			a, b := f.Parties[c.A].Pods, f.Parties[c.B].Pods
			for i := range a {
				others := b
				if c.A == c.B {
					others = a[i+1:]
				}
				for j := range others {
					if !yield(a[i], others[j]) {
						return
					}
				}
			}
		}
	}
}

// size returns how many pods the finding has.
func (f *Finding) size() int {
	size := 0
	for i := range f.Parties {
		size += len(f.Parties[i].Pods)
	}
	return size
}

// same reports whether both have the same pods, judged alike.
func (f *Finding) same(other *Finding) bool {
	return f.Key == other.Key && slices.Equal(f.Conflicts, other.Conflicts) &&
		slices.EqualFunc(f.Parties, other.Parties, func(a, b Party) bool {
			return a.Subject.Equivalent(b.Subject) && slices.Equal(a.Pods, b.Pods)
		})
}

// Summary is how much was checked: no findings mean little if there was nothing to check.
type Summary struct {
	// Nodes is the number of Nodes, Pods that of pods that are bound to a node and have not
	// ended, platform pods included.
	Nodes, Pods int
	// PairsChecked is the number of pairs of pods on one node, without platform pods.
	PairsChecked int
	// PairsBreaking is the number of those that may not share a kernel.
	PairsBreaking int
}

// Report is the result of the audit for the whole cluster.
type Report struct {
	Summary
	// Findings are in a fixed order, worst first.
	Findings []Finding
}
