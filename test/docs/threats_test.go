package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatsHaveAStatus: the threat model has its twenty rows, each with a status, and
// a row that is said to be covered names the test that attacks it.
func TestThreatsHaveAStatus(t *testing.T) {
	model := readPage(t, "docs/threat-model.md").text
	sections := regexp.MustCompile(`(?m)^### T([0-9]+) .*$`).FindAllStringSubmatchIndex(model, -1)
	if len(sections) != 20 {
		t.Errorf("%d threats, want 20", len(sections))
	}
	status := regexp.MustCompile("(?m)^Status: (.*)$")
	for i, at := range sections {
		end := len(model)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		} else if next := strings.Index(model[at[1]:], "\n## "); next >= 0 {
			end = at[1] + next
		}
		number, text := model[at[2]:at[3]], model[at[0]:end]
		if number != fmt.Sprint(i+1) {
			t.Errorf("threat %s is in place %d", number, i+1)
		}
		match := status.FindStringSubmatch(text)
		if match == nil {
			t.Errorf("T%s has no status", number)
			continue
		}
		for one := range strings.SplitSeq(match[1], ", ") {
			switch one {
			case "`covered`":
				if !quotedTest.MatchString(text) {
					t.Errorf("T%s is covered and names no test", number)
				}
			case "`planned`":
				if !strings.Contains(text, "**Planned:**") {
					t.Errorf("T%s is planned and does not say what is", number)
				}
			case "`residual`":
				if !strings.Contains(text, "**Residual:**") {
					t.Errorf("T%s is residual and does not say what is left", number)
				}
			default:
				t.Errorf("T%s: unknown status %s", number, one)
			}
		}
		for _, word := range []string{"covered", "planned", "residual"} {
			said := strings.Contains(text, "**"+strings.ToUpper(word[:1])+word[1:]+":**")
			if said != strings.Contains(match[1], "`"+word+"`") {
				t.Errorf("T%s: the status %s and the text do not agree on %q", number, match[1], word)
			}
		}
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| \[T%s\]\(#[a-z0-9-]+\) \|.*\| (.*) \|$`, number)).FindStringSubmatch(model)
		if row == nil || row[1] != match[1] {
			t.Errorf("the overview's row of T%s does not say %s", number, match[1])
		}
	}
}

func TestDecisionsHaveTheirParts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs", "decisions", "*.md"))
	if err != nil || len(files) < 11 {
		t.Fatalf("found the decisions %v (%v)", files, err)
	}
	index := readPage(t, "docs/README.md").text
	for i, file := range files {
		name := filepath.Base(file)
		if !strings.HasPrefix(name, fmt.Sprintf("%04d-", i+1)) {
			t.Errorf("%s is in place %d", name, i+1)
		}
		if !strings.Contains(index, "(decisions/"+name+")") {
			t.Errorf("docs/README.md does not list %s", name)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rest := string(text)
		for _, part := range []string{"Context", "Decision", "Rejected", "Must not", "Consequences", "How we would know we are wrong"} {
			_, after, ok := strings.Cut(rest, "\n## "+part+"\n")
			if !ok {
				t.Errorf("%s has no section %q, or not in its place", name, part)
				continue
			}
			rest = after
		}
		if lines := strings.Count(string(text), "\n"); lines > 75 {
			t.Errorf("%s has %d lines: a decision is a page", name, lines)
		}
	}
}
