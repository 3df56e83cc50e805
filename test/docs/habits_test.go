package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table in test/README.md has a row for every folder beside it, and says of each
// whether make test-unit leaves it out.
func TestTestFoldersAreExplained(t *testing.T) {
	rows := map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)^\| \[([a-z0-9]+)\]\(([a-z0-9]+)/\) \|.*\| (yes|no) \|$`).FindAllStringSubmatch(readPage(t, "test/README.md").text, -1) {
		if match[1] != match[2] {
			t.Errorf("the row of %s leads to %s", match[1], match[2])
		}
		rows[match[1]] = match[3]
	}
	entries, err := os.ReadDir(filepath.Join(root, "test"))
	if err != nil {
		t.Fatal(err)
	}
	imported := regexp.MustCompile(`(?m)^\t(?:[a-z]+ )?"tenantisolation\.dev/scheduler/internal/controlplane`)
	cluster := map[string]bool{}
	walk(t, "_test.go", func(path, text string) {
		parts := strings.Split(path, "/")
		if parts[0] == "test" && imported.MatchString(text) {
			cluster[parts[1]] = true
		}
	})
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		want := "no"
		if cluster[entry.Name()] {
			want = "yes"
		}
		if got := rows[entry.Name()]; got != want {
			t.Errorf("test/README.md: test/%s needs a cluster: %q, want %q", entry.Name(), got, want)
		}
	}
}

// What make help does not list is known to nobody.
func TestMakeTargetsAreListed(t *testing.T) {
	makefile := readPage(t, "Makefile").text
	targets := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindAllStringSubmatch(makefile, -1)
	if len(targets) == 0 {
		t.Fatal("no targets were found")
	}
	for _, match := range targets {
		if !regexp.MustCompile(`(?m)^` + match[1] + `:.*## .`).MatchString(makefile) {
			t.Errorf("the Makefile does not say what %s does", match[1])
		}
	}
}
