package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/internal/checker"
)

// Report is the outcome for people to read.
func (o *Outcome) Report() string {
	var b strings.Builder
	o.writeNodes(&b)
	o.writePending(&b)
	o.writeRefused(&b)
	o.writeWrong(&b)
	fmt.Fprintf(&b, "\n%s\n", o.Verdict)
	fmt.Fprintf(&b, "placed %d of %d pods\n", o.Placed, o.Pods)
	fmt.Fprintf(&b, "nodes that hold pods of tenants: %d; with a static pool for each trust domain: at least %d\n", o.NodesUsed, o.StaticPools)
	b.WriteString("(first-fit-decreasing by cpu, memory and number of pods, without a spare node in any pool)\n")
	return b.String()
}

func (o *Outcome) writeNodes(b *strings.Builder) {
	b.WriteString("\n")
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tKIND\tTRUST DOMAINS (tenant/data class/privilege/users)\tBOUNDARY\tHOLDS")
	empty := 0
	for i := range o.cluster.Nodes {
		node := &o.cluster.Nodes[i]
		rows := o.rows(node)
		if len(rows) == 0 {
			empty++
			continue
		}
		name, kind := node.Name, kindOf(node)
		for _, row := range rows {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", name, kind, row.domain, row.boundary, row.holds)
			name, kind = "", ""
		}
	}
	_ = table.Flush() // a strings.Builder takes everything
	if empty > 0 {
		fmt.Fprintf(b, "%d more are empty (the platform's own pods are not shown)\n", empty)
	}
}

type row struct{ domain, boundary, holds string }

// rows has a line for each trust domain on a node. The platform's pods are on every node
// and concern no trust domain.
func (o *Outcome) rows(node *corev1.Node) []row {
	holds := map[row]tally{}
	for _, pod := range o.cluster.PodsOn(node.Name) {
		id := o.cluster.Identify(pod)
		if id.Platform {
			continue
		}
		key := row{domain: domainText(id), boundary: id.Boundary}
		if holds[key] == nil {
			holds[key] = tally{}
		}
		holds[key].add(pod)
	}
	var rows []row
	for key, pods := range holds {
		key.holds = pods.String()
		rows = append(rows, key)
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.domain+a.boundary, b.domain+b.boundary) })
	return rows
}

func domainText(id checker.Identity) string {
	switch {
	case !id.Managed:
		return "(no tenant)"
	case id.Unknown != "":
		return "(unknown: " + id.Unknown + ")"
	case id.Demand == "node":
		return id.Domain.String() + " alone"
	default:
		return id.Domain.String()
	}
}

// workloadOf is the name of what a pod belongs to, without what its controllers append.
func workloadOf(pod *corev1.Pod) string {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return pod.Name
	}
	return strings.TrimSuffix(owner.Name, "-"+pod.Labels["pod-template-hash"])
}

// tally counts pods by namespace and workload.
type tally map[string]map[string]int

func (t tally) add(pod *corev1.Pod) { t.addNamed(pod.Namespace, workloadOf(pod)) }

func (t tally) addNamed(namespace, name string) {
	if t[namespace] == nil {
		t[namespace] = map[string]int{}
	}
	t[namespace][name]++
}

func (t tally) String() string {
	var namespaces []string
	for _, namespace := range slices.Sorted(maps.Keys(t)) {
		var workloads []string
		for _, name := range slices.Sorted(maps.Keys(t[namespace])) {
			if n := t[namespace][name]; n > 1 {
				name = fmt.Sprintf("%s x%d", name, n)
			}
			workloads = append(workloads, name)
		}
		namespaces = append(namespaces, namespace+": "+strings.Join(workloads, ", "))
	}
	return strings.Join(namespaces, "; ")
}

// writeRefused prints what the admission policies have refused.
func (o *Outcome) writeRefused(b *strings.Builder) {
	if len(o.Refused) > 0 {
		b.WriteString("\nadmission refused the pods of:\n")
	}
	for _, why := range slices.Sorted(maps.Keys(o.Refused)) {
		fmt.Fprintf(b, "  %s\n    %s\n", o.Refused[why], why)
	}
	if len(o.attacks) > 0 {
		fmt.Fprintf(b, "\nthe owner of namespace %s (tenant %s), with all rights in it, tried to:\n", attackersNamespace, attackersTenant)
	}
	for _, a := range o.attacks {
		answer := "SUCCEEDED"
		if a.refusal != "" {
			answer = "refused: " + words(a.refusal)
		}
		fmt.Fprintf(b, "  %s\n    %s\n", a.what, answer)
	}
}

// writePending groups the pods without a node by what their own condition says, which is
// all that their owners get to read.
func (o *Outcome) writePending(b *strings.Builder) {
	pending := o.Pending()
	if len(pending) == 0 {
		return
	}
	groups := map[string]tally{}
	for _, pod := range pending {
		why := refusal(pod)
		switch {
		case why != "":
		case ours(pod):
			why = "(the scheduler has not said anything)"
		default:
			why = fmt.Sprintf("(waits for the scheduler %q, which does not run here)", pod.Spec.SchedulerName)
		}
		if groups[why] == nil {
			groups[why] = tally{}
		}
		groups[why].add(pod)
	}
	fmt.Fprintf(b, "\n%d pods are Pending:\n", len(pending))
	for _, why := range slices.Sorted(maps.Keys(groups)) {
		fmt.Fprintf(b, "  %s\n    %s\n", groups[why], why)
	}
}

func (o *Outcome) writeWrong(b *strings.Builder) {
	if len(o.Wrong) == 0 {
		return
	}
	fmt.Fprintf(b, "\nNot as it should be (%d):\n", len(o.Wrong))
	for _, line := range o.Wrong {
		fmt.Fprintf(b, "  %s\n", line)
	}
}
