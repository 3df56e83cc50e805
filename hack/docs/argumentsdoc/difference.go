package main

import (
	"fmt"
	"strings"
)

// firstDifference shows the first line in which two texts differ, or is empty.
func firstDifference(want, got string) string {
	if want == got {
		return ""
	}
	wantLines, gotLines := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(wantLines), len(gotLines)) {
		wantLine, gotLine := lineAt(wantLines, i), lineAt(gotLines, i)
		if wantLine != gotLine {
			return fmt.Sprintf("line %d\n  want: %s\n  got:  %s", i+1, wantLine, gotLine)
		}
	}
	return ""
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end of the page)"
}
