package docs

import (
	"regexp"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// TestReasonsPageIsInStep compares docs/reference/reasons.md with the code: every reason
// has its section, in the same order, under its name, and one that denies quotes its
// sentence.
func TestReasonsPageIsInStep(t *testing.T) {
	section := regexp.MustCompile(`(?m)^### ([A-Za-z]+)\n\n(?:> (.*)\n\n)?`)
	got := section.FindAllStringSubmatch(readPage(t, "docs/reference/reasons.md").text, -1)
	reasons := isolation.Reasons()
	for i, reason := range reasons {
		if i >= len(got) {
			t.Errorf("%s has no section", reason)
			continue
		}
		if got[i][1] != reason.String() {
			t.Errorf("section %d is %s, want %s", i+1, got[i][1], reason)
		}
		if got[i][2] != reason.Sentence() {
			t.Errorf("%s: the page says\n%q, the scheduler\n%q", reason, got[i][2], reason.Sentence())
		}
	}
	for _, extra := range got[min(len(reasons), len(got)):] {
		t.Errorf("%s is no reason", extra[1])
	}
}

// Each section says what to do, and who can do it.
func TestDenialsSayWhoCanHelp(t *testing.T) {
	sections := strings.Split(readPage(t, "docs/reference/reasons.md").text, "\n### ")[1:]
	for _, section := range sections {
		name, text, _ := strings.Cut(section, "\n")
		denies := strings.HasPrefix(strings.TrimSpace(text), ">")
		if helps := strings.Contains(text, "**Who can help:**"); denies != helps {
			t.Errorf("%s: denies: %v, says who can help: %v", name, denies, helps)
		}
	}
}
