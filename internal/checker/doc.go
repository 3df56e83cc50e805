// Package checker judges where pods are, after the fact: it reads a cluster through
// its API and says which pairs of pods break the rule of tenant isolation, and which
// Pending pods some node could take.
//
// It is there to find mistakes of the scheduler, and so shares no code with it
// (a test holds that) and not its shape either: it was written from the rule's text,
// looks at every pair of pods on every node, remembers nothing and makes no attempt to
// be fast. Where the text leaves a choice it takes the stricter one, so that a
// disagreement shows.
//
// It knows the rule with its default arguments only.
package checker
