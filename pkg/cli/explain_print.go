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
	printFolded(out, "", "  ", fmt.Sprintf("%s in namespace %s, %s (rule: %s)", paint.bold(x.Name), x.Namespace, where, c.policyFrom))
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
	case x.OfAnotherScheduler:
		printFolded(out, "", "  ", "Trust domain: none: its namespace has no tenant, and another scheduler places it. The rule does not judge it, and keeps pods of tenants off its node")
	case x.TrustDomain == "platform":
		fmt.Fprintf(out, "Trust domain: none, a platform pod: trusted by all and never judged\n")
	default:
		// In one piece, as the annotation of the pod has it.
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
			printFolded(out, fmt.Sprintf("  %-24s ", label), strings.Repeat(" ", 29), fmt.Sprintf("%s %s: %s", verb, source.What, source.Value))
		}
	}
	printRaised(out, paint, x)
	if x.MissedLabels != "" {
		printFolded(out, "  ", "    ", fmt.Sprintf("%s: its required node affinity is not for nodes labelled %s: it was written before its namespace or the policy changed. Recreate the pod",
			paint.warn("outdated"), x.MissedLabels))
	}
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
		because := fmt.Sprintf("%s because of %s", paint.warn(raised.Level), raised.Reason)
		if raised.Detail != "" {
			because += fmt.Sprintf(" (%s)", raised.Detail)
		}
		printFolded(out, "  ", "    ", because)
		if len(raised.Fields) > 0 {
			printFolded(out, "    ", "      ", "at "+strings.Join(raised.Fields, ", "))
		}
	}
	if others > 0 {
		printFolded(out, "  ", "    ", fmt.Sprintf("without these it is still %s, because of %s (-o json lists them)", isolation.PrivilegeBaseline, count(others, "other check")))
	}
}

func printBoundary(out io.Writer, paint colour, x *explain.Explanation) {
	b := x.Boundary
	from := fmt.Sprintf(": handler %s of RuntimeClass %s would give %s, and it is voided", b.Handler, b.RuntimeClass, b.HandlerGives)
	switch {
	case b.RuntimeClass == "":
		from = ", the pod names no RuntimeClass"
	case b.Handler == "":
		from = ", RuntimeClass " + b.RuntimeClass
	case b.HandlerGives == b.Value:
		from = fmt.Sprintf(", from RuntimeClass %s (handler %s)", b.RuntimeClass, b.Handler)
	}
	printFolded(out, "", "  ", "Boundary: "+b.Value+from)
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
		printFolded(out, "", "  ", x.Of)
	}
	if len(x.Admission) > 0 {
		printFolded(out, "", "  ", "Admission adds: "+strings.Join(x.Admission, ", "))
	}
	for _, why := range x.Refused {
		printFolded(out, "", "  ", paint.bad("It would be refused")+": "+why)
	}
	if x.SchedulerSays != "" {
		fmt.Fprintf(out, "The scheduler says: %s\n", x.SchedulerSays)
	}
}

func printNodes(out io.Writer, paint colour, x *explain.Explanation) {
	defer func() {
		for _, what := range x.NotCounted {
			printFolded(out, "", "  ", paint.warn("note:")+" "+what)
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
		if x.OfAnotherScheduler {
			break // the line above says all
		}
		verdict := paint.bad("denied")
		if v.Admits {
			verdict = paint.good("admitted")
		}
		printNodesOf(out, v.Count, verdict, v.Reason, meaning(v), v.Example)
	}
	for _, v := range x.Excluded {
		printNodesOf(out, v.Count, paint.bad("denied"), v.By, v.Why, v.Example)
	}
	if x.OnNode != "" {
		printFolded(out, "  ", "    ", fmt.Sprintf("its own node %s, without it: %s", x.Node, x.OnNode))
	}
}

func printNodesOf(out io.Writer, n int, verdict, reason, means, example string) {
	printFolded(out, fmt.Sprintf("  %5d  ", n), strings.Repeat(" ", 9), fmt.Sprintf("%s %s: %s, for example %s", verdict, reason, means, example))
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
		printFolded(out, "  ", "    ", line)
	}
}
