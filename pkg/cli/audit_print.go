package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"

	"tenantisolation.dev/scheduler/pkg/audit"
	reports "tenantisolation.dev/scheduler/pkg/cli/report"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// fewPods is how many pods of a finding are named.
const fewPods = 4

func printFindings(out io.Writer, c *judgedCluster, report audit.Report, j *judgement, wide bool) error {
	paint := newColour(out)
	if len(report.Findings) > 0 {
		table := findingsTable(paint, report.Findings, wide)
		if !wide && slices.ContainsFunc(strings.Split(table, "\n"), func(line string) bool { return visible(line) > columns }) {
			table = findingsList(paint, report.Findings)
		}
		fmt.Fprintln(out, table)
		printAdvice(out, paint, report)
		for _, sentence := range sentencesOfRecreated(c.recreated(report.Findings)) {
			printFolded(out, "", "", fmt.Sprintf("%s %s.", paint.warn("note:"), sentence))
			fmt.Fprintln(out)
		}
	}
	printNotJudged(out, paint, j)
	printFolded(out, "", "", conclusion(paint, report, j))
	printFolded(out, "", "", "(rule: "+j.Policy+")")
	return nil
}

func findingsTable(paint colour, findings []audit.Finding, wide bool) string {
	var text strings.Builder
	table := printers.GetNewTabWriter(&text)
	fmt.Fprint(table, "NODE\tREASON\tPAIRS\tPODS")
	if wide {
		fmt.Fprint(table, "\tVOLUME\tLAST TO COME\tTRUST DOMAINS")
	}
	fmt.Fprintln(table)
	for i := range findings {
		printFinding(table, paint, &findings[i], wide)
	}
	// A strings.Builder returns no error.
	_ = table.Flush()
	return text.String()
}

// findingsList has what the table has, for names with which it would be too wide for a terminal.
func findingsList(paint colour, findings []audit.Finding) string {
	var text strings.Builder
	for i := range findings {
		f := &findings[i]
		printFolded(&text, "", "  ", fmt.Sprintf("%s on %s, pairs: %s", paint.bad(string(f.Reason)), orDash(f.Node), pairs(f)))
		sides, more := fewSides(f)
		for j := range sides {
			printFolded(&text, "  ", "    ", briefly(&sides[j]))
		}
		if more > 0 {
			fmt.Fprintf(&text, "  and pods of %d more\n", more)
		}
	}
	return text.String()
}

// fewSides returns the first sides of a finding, and how many more there are.
func fewSides(f *audit.Finding) (sides []reports.Side, more int) {
	all := sidesOf(f)
	sides = all[:min(len(all), fewPods)]
	return sides, len(all) - len(sides)
}

// conclusion also says how much was examined: "no findings" means little for an empty
// cluster.
func conclusion(paint colour, report audit.Report, j *judgement) string {
	examined := fmt.Sprintf("%s, %s, %s on one node",
		count(report.Nodes, "node"), count(report.Pods, "pod"), count(report.PairsChecked, "pair"))
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
		printFolded(out, "", "", fmt.Sprintf("%s: %s.", paint.bold(string(reason)), a.means))
		printFolded(out, "  ", "  ", fmt.Sprintf("Fix: %s.", a.fix))
	}
	fmt.Fprintln(out)
}

func pairs(f *audit.Finding) string {
	if f.Pairs == 0 {
		return "-"
	}
	return fmt.Sprint(f.Pairs)
}

// printFinding prints a line for each of the sides, so that both are seen on a narrow terminal.
func printFinding(table io.Writer, paint colour, f *audit.Finding, wide bool) {
	shown, more := fewSides(f)
	for i := range shown {
		if i == 0 {
			fmt.Fprintf(table, "%s\t%s\t%s\t", orDash(f.Node), paint.bad(string(f.Reason)), pairs(f))
		} else {
			fmt.Fprint(table, "\t\t\t")
		}
		fmt.Fprint(table, briefly(&shown[i]))
		switch {
		case wide && i == 0:
			fmt.Fprintf(table, "\t%s\t%s\t%s", orDash(f.Volume), f.Last, shown[i].TrustDomain)
		case wide:
			fmt.Fprintf(table, "\t\t\t%s", shown[i].TrustDomain)
		}
		fmt.Fprintln(table)
	}
	if more > 0 {
		fmt.Fprintf(table, "\t\t\tand pods of %d more\n", more)
	}
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
