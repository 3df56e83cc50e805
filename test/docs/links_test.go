package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	makeCommand = regexp.MustCompile("`make ([a-zA-Z][^`]*)`")
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading     = regexp.MustCompile(`(?m)^#+ (.*)$`)
	quotedTest  = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`(?:\\s+\\(((?:\"[^\"]+\"(?:,\\s+)?)+)\\))?")
	quotedCase  = regexp.MustCompile(`"([^"]+)"`)
)

// anchors returns the anchors that the headings of a page get.
func (p page) anchors() map[string]bool {
	found := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(p.prose(), -1) {
		var anchor strings.Builder
		for _, r := range strings.ToLower(match[1]) {
			switch {
			case r == ' ':
				anchor.WriteRune('-')
			case r == '-' || r == '_' || ('a' <= r && r <= 'z') || ('0' <= r && r <= '9'):
				anchor.WriteRune(r)
			}
		}
		found[anchor.String()] = true
	}
	return found
}

func TestRelativeLinksLeadSomewhere(t *testing.T) {
	all := map[string]page{}
	for _, p := range pages(t) {
		all[p.path] = p
	}
	for _, p := range all {
		for _, match := range link.FindAllStringSubmatch(p.prose(), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := p.path
			if target != "" {
				to = path.Join(path.Dir(p.path), target)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: link to %s: %v", p.path, match[1], err)
				continue
			}
			if anchor != "" && !all[to].anchors()[anchor] {
				t.Errorf("%s: link to %s: no such heading", p.path, match[1])
			}
		}
	}
}

// A document that names a test as proof names one that exists, and where it goes on with
// ("a case"), the test's file has that case.
func TestTestsNamedInTheDocsExist(t *testing.T) {
	known := tests(t)
	named := 0
	for _, p := range pages(t) {
		// A name may stand at the end of a line and its case on the next one.
		text := strings.Join(strings.Fields(p.prose()), " ")
		for _, match := range quotedTest.FindAllStringSubmatch(text, -1) {
			named++
			candidates := known[match[1]]
			if len(candidates) == 0 {
				t.Errorf("%s names %s, which does not exist", p.path, match[1])
				continue
			}
			for _, quoted := range quotedCase.FindAllStringSubmatch(match[2], -1) {
				has := false
				for _, candidate := range candidates {
					has = has || candidate.strings[quoted[1]]
				}
				if !has {
					t.Errorf("%s names the case %q of %s, which does not exist", p.path, quoted[1], match[1])
				}
			}
		}
	}
	if named < 20 {
		t.Errorf("the documents name %d tests: is this test still reading them?", named)
	}
}

// Every file of the tree that a document names in backticks is there.
func TestFilesNamedInTheDocsExist(t *testing.T) {
	file := regexp.MustCompile("`((?:pkg|cmd|docs|manifests|hack|internal|test)/[A-Za-z0-9_./-]+)`")
	for _, p := range docs(t) {
		for _, match := range file.FindAllStringSubmatch(p.prose(), -1) {
			if _, err := os.Stat(filepath.Join(root, match[1])); err != nil {
				t.Errorf("%s names %v", p.path, err)
			}
		}
	}
}
