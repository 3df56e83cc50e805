package cli

import (
	"fmt"
	"io"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"

	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// fewPods is how many pods of a finding are named.
const fewPods = 4

func printFindings(out io.Writer, c *judgedCluster, report audit.Report, j *judgement, wide bool) error {
	paint := newColour(out)
	if len(report.Findings) > 0 {
		table := printers.GetNewTabWriter(out)
		fmt.Fprint(table, "NODE\tREASON\tPAIRS\tPODS")
		if wide {
			fmt.Fprint(table, "\tVOLUME\tTRUST DOMAINS\tLAST TO COME")
		}
		fmt.Fprintln(table)
		for i := range report.Findings {
			f := &report.Findings[i]
			fmt.Fprintf(table, "%s\t%s\t%s\t%s", orDash(f.Node), paint.bad(string(f.Reason)), pairs(f), parties(f))
			if wide {
				fmt.Fprintf(table, "\t%s\t%s\t%s", orDash(f.Volume), trustDomains(f), f.Last)
			}
			fmt.Fprintln(table)
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
		printAdvice(out, paint, report)
		for _, sentence := range sentencesOfRecreated(c.recreated(report.Findings)) {
			fmt.Fprintf(out, "%s %s.\n\n", paint.warn("note:"), sentence)
		}
	}
	printNotJudged(out, paint, j)
	_, err := fmt.Fprint(out, conclusion(paint, report, j))
	return err
}

// conclusion also says how much was examined: "no findings" means little for an empty
// cluster.
func conclusion(paint colour, report audit.Report, j *judgement) string {
	examined := fmt.Sprintf("%s, %s, %s on one node (rule: %s)\n",
		count(report.Nodes, "node"), count(report.Pods, "pod"), count(report.PairsChecked, "pair"), j.Policy)
	switch {
	case len(report.Findings) == 0 && !j.Judged:
		return "No finding in what was judged: " + examined
	case len(report.Findings) == 0:
		return paint.good("Nothing breaks the rule") + ": " + examined
	}
	return paint.bad(count(len(report.Findings), "finding")) + ", " +
		fmt.Sprintf("%s of pods share a kernel against the rule: ", count(report.PairsBreaking, "pair")) + examined
}

// printAdvice explains each reason once.
func printAdvice(out io.Writer, paint colour, report audit.Report) {
	seen := map[audit.Reason]bool{}
	for i := range report.Findings {
		reason := report.Findings[i].Reason
		if seen[reason] {
			continue
		}
		seen[reason] = true
		a := adviceOn(reason)
		fmt.Fprintf(out, "%s: %s.\n  Fix: %s.\n", paint.bold(string(reason)), a.means, a.fix)
	}
	fmt.Fprintln(out)
}

func pairs(f *audit.Finding) string {
	if f.Pairs == 0 {
		return "-"
	}
	return fmt.Sprint(f.Pairs)
}

// parties names one pod of each side, and counts the others.
func parties(f *audit.Finding) string {
	var all []string
	for i := range f.Parties {
		pods := f.Parties[i].Pods
		text := pods[0].String()
		if len(pods) > 1 {
			text += fmt.Sprintf(" (+%d)", len(pods)-1)
		}
		all = append(all, text)
	}
	return fewOf(all)
}

func trustDomains(f *audit.Finding) string {
	var all []string
	seen := map[string]bool{}
	for i := range f.Parties {
		if s := describe(f.Parties[i].Subject); !seen[s] {
			seen[s] = true
			all = append(all, s)
		}
	}
	return strings.Join(all, " | ")
}

// describe is the short name of a trust domain and boundary.
func describe(s isolation.Subject) string {
	d, managed := s.TrustDomain()
	if !managed {
		return s.String()
	}
	text := shortDomain(d)
	if s.Boundary() != isolation.BoundaryContainer {
		text += " in a " + s.Boundary().String()
	}
	return text
}

// shortDomain is the short name of a trust domain.
func shortDomain(d isolation.TrustDomain) string {
	text := fmt.Sprintf("%s/%s/%s", d.Tenant, d.DataClass, d.Privilege)
	if d.UserNamespace == isolation.UserNamespacePod {
		text += "/userns"
	}
	return text
}

// fewOf names the first few, and counts the others.
func fewOf(names []string) string {
	if len(names) <= fewPods {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:fewPods-1], ", "), len(names)-fewPods+1)
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
