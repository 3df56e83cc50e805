package cli

import (
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/cli-runtime/pkg/printers"

	"tenantisolation.dev/scheduler/pkg/cli/explain"
	"tenantisolation.dev/scheduler/pkg/cli/plan"
)

// maxListed is the length of a list for people.
const maxListed = 15

func printPlan(out io.Writer, c *judgedCluster, in plan.Input, made *plan.Plan) error {
	paint := newColour(out)
	printFolded(out, "", "  ", fmt.Sprintf("%s to place (rule: %s), on nodes of %s CPU and %s, DaemonSets deducted",
		count(made.Pods, "pod"), c.policyFrom,
		resource.NewMilliQuantity(in.More.MilliCPU, resource.DecimalSI), resource.NewQuantity(in.More.Memory, resource.BinarySI)))
	fmt.Fprintln(out)
	table := printers.GetNewTabWriter(out)
	fmt.Fprintln(table, "NODES\tFOR")
	if made.Today > 0 {
		fmt.Fprintf(table, "%d\tin use now\n", made.Today)
	}
	fmt.Fprintf(table, "%d\twithout the rule, the same pods packed wherever there is room\n", made.WithoutRule)
	fmt.Fprintf(table, "%s\twith the rule, each trust domain on nodes of its own\n", paint.bold(fmt.Sprint(made.WithRule)))
	if made.WithVMs > 0 {
		fmt.Fprintf(table, "%s\twith the rule, and VMs (RuntimeClass %s) where they save nodes\n", paint.bold(fmt.Sprint(made.WithVMs)), made.VMClass)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if made.WithVMs == 0 {
		fmt.Fprintln(out, "\nThere is no RuntimeClass for VMs, so there is no plan with VMs.")
	}
	printDomains(out, made)
	printMoves(out, made)
	printRaising(out, in, made)
	for _, l := range made.Limited {
		fmt.Fprintln(out)
		printFolded(out, "", "  ", fmt.Sprintf("%s tenant %s may have %s (maxNodesPerTenant), and %s of it stay Pending", paint.warn("note:"), l.Tenant, count(l.Nodes, "node"), count(l.Pods, "pod")))
	}
	for _, u := range made.Unplaceable {
		fmt.Fprintln(out)
		printFolded(out, "", "  ", fmt.Sprintf("%s %s (%s) is left out: %s", paint.warn("note:"), u.Workload, count(u.Pods, "pod"), u.Why))
	}
	return nil
}

func printDomains(out io.Writer, made *plan.Plan) {
	fmt.Fprintf(out, "\n%s:\n", count(len(made.TrustDomains), "trust domain"))
	for i, d := range made.TrustDomains {
		if i == maxListed {
			fmt.Fprintf(out, "  and %d more\n", len(made.TrustDomains)-maxListed)
			break
		}
		printFolded(out, "  ", "    ", fmt.Sprintf("%s: %s, %s", d.Name, count(d.Pods, "pod"), count(d.Nodes, "node")))
	}
}

func printMoves(out io.Writer, made *plan.Plan) {
	switch {
	case made.Today == 0:
	case len(made.Moves) == 0:
		fmt.Fprintln(out, "\nNo workload would have to move: no node has more than one trust domain.")
	default:
		fmt.Fprintln(out)
		printFolded(out, "", "", count(len(made.Moves), "workload")+" would move, away from nodes where another trust domain has more pods:")
		for i, m := range made.Moves {
			if i == maxListed {
				fmt.Fprintf(out, "  and %d more\n", len(made.Moves)-maxListed)
				break
			}
			printFolded(out, "  ", "    ", fmt.Sprintf("%s: %s on %s", m.Workload, count(m.Pods, "pod"), fewOf(m.Nodes)))
		}
	}
}

func printRaising(out io.Writer, in plan.Input, made *plan.Plan) {
	if len(made.Raising) == 0 {
		return
	}
	fmt.Fprintln(out)
	printFolded(out, "", "", count(len(made.Raising), "workload")+" in a trust domain of its own only because of its privilege; lowering it saves:")
	for i, r := range made.Raising {
		if i == maxListed {
			fmt.Fprintf(out, "  and %d more\n", len(made.Raising)-maxListed)
			break
		}
		printFolded(out, "  ", "    ", fmt.Sprintf("%s: %s, %s where %s is usual, because of %s", r.Workload, count(r.Saves, "node"), r.Privilege, r.Instead, whyRaised(in, r)))
	}
}

// whyRaised names the fields that raise the privilege of a workload.
func whyRaised(in plan.Input, r plan.Raising) string {
	for i := range in.Pods {
		if in.Pods[i].Workload != r.Workload {
			continue
		}
		raised, err := explain.RaisedBy(in.Pods[i].Object, r.Privilege)
		if err != nil || len(raised) == 0 {
			break
		}
		var texts []string
		for _, x := range raised {
			text := x.Reason
			if len(x.Fields) > 0 {
				text += " (" + strings.Join(x.Fields, ", ") + ")"
			}
			texts = append(texts, text)
		}
		return fewOf(texts)
	}
	return "its spec"
}
