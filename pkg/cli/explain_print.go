package cli

import (
	"fmt"
	"io"
	"strings"

	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cli/explain"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

func printExplanation(out io.Writer, c *judgedCluster, x *explain.Explanation) {
	paint := newColour(out)
	where := "not on a node"
	if x.Node != "" {
		where = "on node " + x.Node
	}
	fmt.Fprintf(out, "%s in namespace %s, %s (rule: %s)\n", paint.bold(x.Name), x.Namespace, where, c.policyFrom)
	printMaking(out, paint, x)
	fmt.Fprintln(out)
	printDomain(out, paint, x)
	printBoundary(out, paint, x)
	printNodes(out, paint, x)
	printChanges(out, paint, x)
}

func printDomain(out io.Writer, paint colour, x *explain.Explanation) {
	switch {
	case x.Denied != "":
		fmt.Fprintf(out, "Trust domain: %s\n", paint.bad(x.TrustDomain))
	case x.TrustDomain == "platform":
		fmt.Fprintf(out, "Trust domain: none, a platform pod: trusted by all and never judged\n")
	default:
		fmt.Fprintf(out, "Trust domain: %s\n", x.TrustDomain)
	}
	for _, part := range x.Parts {
		for i, source := range part.From {
			label := ""
			if i == 0 {
				label = part.Axis + ": " + part.Value
			}
			verb := "from"
			if !source.Decided {
				verb = "also"
			}
			fmt.Fprintf(out, "  %-28s %s %s: %s\n", label, verb, source.What, source.Value)
		}
	}
	printRaised(out, paint, x)
	fmt.Fprintln(out)
}

// printRaised lists what makes the pod this privileged. It only counts the checks that
// would keep it from the next level.
func printRaised(out io.Writer, paint colour, x *explain.Explanation) {
	if len(x.Raised) == 0 {
		return
	}
	highest := x.Raised[0].Level
	others := 0
	for _, raised := range x.Raised {
		if raised.Level != highest {
			others++
			continue
		}
		fmt.Fprintf(out, "  %s because of %s", paint.warn(raised.Level), raised.Reason)
		if raised.Detail != "" {
			fmt.Fprintf(out, " (%s)", raised.Detail)
		}
		fmt.Fprintln(out)
		if len(raised.Fields) > 0 {
			fmt.Fprintf(out, "    at %s\n", strings.Join(raised.Fields, ", "))
		}
	}
	if others > 0 {
		fmt.Fprintf(out, "  without these it is still %s, because of %s (-o json lists them)\n", isolation.PrivilegeBaseline, count(others, "other check"))
	}
}

func printBoundary(out io.Writer, paint colour, x *explain.Explanation) {
	b := x.Boundary
	fmt.Fprintf(out, "Boundary: %s", b.Value)
	switch {
	case b.RuntimeClass == "":
		fmt.Fprint(out, ", the pod names no RuntimeClass")
	case b.Handler == "":
		fmt.Fprintf(out, ", RuntimeClass %s", b.RuntimeClass)
	case b.HandlerGives == b.Value:
		fmt.Fprintf(out, ", from RuntimeClass %s (handler %s)", b.RuntimeClass, b.Handler)
	default:
		fmt.Fprintf(out, ": handler %s of RuntimeClass %s would give %s, and it is voided", b.Handler, b.RuntimeClass, b.HandlerGives)
	}
	fmt.Fprintln(out)
	for _, field := range b.Voided {
		fmt.Fprintf(out, "  %s by %s\n", paint.warn("voided"), field)
	}
	if b.Demanded != "" {
		fmt.Fprintf(out, "  the namespace demands: %s\n", b.Demanded)
	}
	fmt.Fprintln(out)
}

// printMaking says how the workload is doing, and what admission makes of a pod.
func printMaking(out io.Writer, paint colour, x *explain.Explanation) {
	if x.Of != "" {
		fmt.Fprintf(out, "%s\n", x.Of)
	}
	if len(x.Admission) > 0 {
		fmt.Fprintf(out, "Admission adds: %s\n", strings.Join(x.Admission, ", "))
	}
	for _, why := range x.Refused {
		fmt.Fprintf(out, "%s: %s\n", paint.bad("It would be refused"), why)
	}
	if x.SchedulerSays != "" {
		fmt.Fprintf(out, "The scheduler says: %s\n", x.SchedulerSays)
	}
}

func printNodes(out io.Writer, paint colour, x *explain.Explanation) {
	defer func() {
		for _, what := range x.NotCounted {
			fmt.Fprintf(out, "%s %s\n", paint.warn("note:"), what)
		}
		fmt.Fprintln(out)
	}()
	if x.Total == 0 {
		fmt.Fprint(out, "Nodes: none known\n")
		return
	}
	admitting := fmt.Sprintf("%d of %d admit it", x.Admitting, x.Reachable)
	switch {
	case x.Reachable == 0:
		admitting = fmt.Sprintf("0 of %d admit it, as it can reach none of them", x.Total)
	case x.Reachable < x.Total:
		admitting = fmt.Sprintf("%d of the %d that it can reach admit it, of %d in all", x.Admitting, x.Reachable, x.Total)
	}
	if x.Admitting == 0 {
		admitting = paint.bad(admitting)
	}
	fmt.Fprintf(out, "Nodes: %s\n", admitting)
	for _, v := range x.Nodes {
		verdict := paint.bad("denied")
		if v.Admits {
			verdict = paint.good("admitted")
		}
		fmt.Fprintf(out, "  %5d  %s  %s: %s, for example %s\n", v.Count, verdict, v.Reason, meaning(v), v.Example)
	}
	for _, v := range x.Excluded {
		fmt.Fprintf(out, "  %5d  %s  %s: %s, for example %s\n", v.Count, paint.bad("denied"), v.By, v.Why, v.Example)
	}
	if x.OnNode != "" {
		fmt.Fprintf(out, "  its own node %s, without it: %s\n", x.Node, x.OnNode)
	}
}

func moreNodes(n int) string {
	if n == 1 {
		return "1 more node"
	}
	return fmt.Sprintf("%d more nodes", n)
}

// meanings of the verdicts on a node, where the sentence for the pod would mislead.
var meanings = map[isolation.Reason]string{
	isolation.ForeignDedication: "the node is dedicated to others",
	isolation.KeptForVMs:        "the node can start VMs and is kept for them, while others can take the pod",
	isolation.UnmanagedResident: "it holds pods without a tenant",
	isolation.UnknownResident:   "it holds a pod whose tenant is unknown",
	isolation.ForeignResident:   "it holds pods of another trust domain, and not every pod is in a VM",
	isolation.DemandedNode:      "a namespace demands the machine for itself",
	isolation.Undecided:         "not judged",
	isolation.PlatformPod:       "platform pods run everywhere",
	isolation.DedicatedNode:     "it holds platform pods at most, and is dedicated to this pod's trust domain",
	isolation.EmptyNode:         "it holds platform pods at most",
	isolation.SameTrustDomain:   "it holds pods of the same trust domain",
	isolation.SeparateKernels:   "it holds pods of others, each in a VM of its own",
}

// meaning says what a verdict on a node means.
func meaning(v explain.Verdicts) string {
	if text, ok := meanings[v.Why]; ok {
		return text
	}
	return v.Why.Sentence()
}

func printChanges(out io.Writer, paint colour, x *explain.Explanation) {
	var lines []string
	switch {
	case len(x.Boundary.Voided) > 0 && x.Denied == isolation.WeakBoundary.String():
		lines = append(lines, "remove what voids the boundary: "+strings.Join(x.Boundary.Voided, ", "))
	case x.Denied != "":
		if a := adviceOn(audit.Reason(x.Denied)); a.fix != "" {
			lines = append(lines, a.fix)
		} else {
			lines = append(lines, "an administrator has to give the namespace a tenant label")
		}
	}
	for _, w := range x.WhatIf {
		lines = append(lines, fmt.Sprintf("%s %s (%d in all)", paint.good(moreNodes(w.More)), w.Change, w.Admitting))
	}
	if len(lines) == 0 && x.Reachable == 0 && x.Total > 0 {
		lines = append(lines, "the rule keeps it off no node: see what excludes them")
	}
	if len(lines) == 0 && x.Admitting == 0 && x.Total > 0 {
		lines = append(lines, "it needs an empty node, or one of its own trust domain with room: add a node, or remove from one the pods that break the rule (audit)")
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(out, "What would have to change:")
	for _, line := range lines {
		fmt.Fprintf(out, "  %s\n", line)
	}
}
