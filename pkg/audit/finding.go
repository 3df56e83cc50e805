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
	// Node is where it is, empty if the pods need not share a node.
	Node string
	// Volume is what is shared, empty if it is a kernel: a PVC ("namespace/name"), what
	// is behind several PVCs, or a directory of the node.
	Volume string
}

// Finding is something that runs and breaks the rule: everything on one node, or about one
// volume, for one reason.
type Finding struct {
	Key
	// Parties are the pods concerned by trust domain and boundary, in a fixed order.
	Parties []Party
	// Conflicts are the parties that may not share: all pods of the one with all of the
	// other. It is empty if each pod is a finding by itself.
	Conflicts []Conflict
	// Pairs is how many pairs of pods that makes.
	Pairs int
	// Last is the pod of the finding that came last.
	Last Pod
}

// Conflict is two parties by their index in Finding.Parties, the same one twice if its
// pods may not even share with each other.
type Conflict struct{ A, B int }

// Party is pods of one kind.
type Party struct {
	// Subject is what one of them was judged to be; the others stand alike to the rule.
	Subject isolation.Subject
	// Pods are all of them, by namespace and name.
	Pods []Pod
}

// Pod is a pod in a finding.
type Pod struct {
	Namespace, Name string
	UID             types.UID
	Node            string
	// Since is when it came to its node, as well as the API knows.
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

// same reports whether both name the same pods, judged alike.
func (f *Finding) same(other *Finding) bool {
	return f.Key == other.Key && slices.Equal(f.Conflicts, other.Conflicts) &&
		slices.EqualFunc(f.Parties, other.Parties, func(a, b Party) bool {
			return a.Subject.Equivalent(b.Subject) && slices.Equal(a.Pods, b.Pods)
		})
}

// Summary is how much was looked at: finding nothing means little where there was nothing.
type Summary struct {
	// Nodes that exist, and Pods bound to a node that have not ended, the platform's
	// included.
	Nodes, Pods int
	// PairsChecked counts the pairs of pods that share a node, the platform's left out.
	PairsChecked int
	// PairsBreaking counts those of them that may not share a kernel.
	PairsBreaking int
}

// Report is what the audit has to say about the whole cluster.
type Report struct {
	Summary
	// Findings are in a fixed order, worst first.
	Findings []Finding
}
