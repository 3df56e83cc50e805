package cli

import (
	"fmt"
	"strings"

	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cli/report"
)

// sidesOf returns the pods of a finding by trust domain and boundary.
func sidesOf(f *audit.Finding) []report.Side {
	sides := make([]report.Side, 0, len(f.Parties))
	for i := range f.Parties {
		side := report.Side{TrustDomain: describe(f.Parties[i].Subject)}
		for _, pod := range f.Parties[i].Pods {
			side.Pods = append(side.Pods, pod.String())
		}
		sides = append(sides, side)
	}
	return sides
}

// conflictsOf returns the sides that may not share, by index.
func conflictsOf(f *audit.Finding) [][2]int {
	var conflicts [][2]int
	for _, c := range f.Conflicts {
		conflicts = append(conflicts, [2]int{c.A, c.B})
	}
	return conflicts
}

// briefly names one pod of a side, and counts the others.
func briefly(side *report.Side) string {
	text := side.Pods[0]
	if len(side.Pods) > 1 {
		text += fmt.Sprintf(" (+%d)", len(side.Pods)-1)
	}
	return text
}

// sidesInWords names each side with its trust domain.
func sidesInWords(sides []report.Side) string {
	named := make([]string, 0, len(sides))
	for i := range sides {
		named = append(named, briefly(&sides[i])+" of "+sides[i].TrustDomain)
	}
	if len(named) > fewPods {
		return fewOf(named)
	}
	return strings.Join(named, " | ")
}
