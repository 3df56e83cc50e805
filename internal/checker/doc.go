// Package checker judges where pods were placed: it reads a cluster through its API and
// reports which pairs of pods break the rule of tenant isolation, and which Pending pods some
// node could run.
//
// It exists to find mistakes of the scheduler, so it shares neither code (a test checks
// that) nor structure with it. It was written from the text of the rule, checks every pair
// of pods on every node, keeps no state and is not optimized. Where the text leaves a choice
// it takes the stricter one, so that a disagreement shows.
//
// It knows the rule with its default arguments, but for the minimum and further handlers of virtual machines.
package checker
