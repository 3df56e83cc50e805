package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The log lines that docs/operations.md explains are written, at that level.
func TestLogLinesInOperationsAreWritten(t *testing.T) {
	written := map[string]string{}
	statement := regexp.MustCompile(`(?:\.V\(([0-9])\))?\.Info\("([^"]+)"`)
	walk(t, ".go", func(path, text string) {
		if !strings.HasPrefix(path, "pkg/plugins/tenantisolation/") || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, match := range statement.FindAllStringSubmatch(text, -1) {
			level := match[1]
			if level == "" {
				level = "0"
			}
			written[match[2]] = level
		}
	})
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([0-9]) \\|")
	rows := row.FindAllStringSubmatch(readPage(t, "docs/operations.md").text, -1)
	if len(rows) == 0 {
		t.Fatal("no log lines were found")
	}
	for _, r := range rows {
		if level, ok := written[r[1]]; !ok || level != r[2] {
			t.Errorf("the page says %q at level %s; written: %v, at level %q", r[1], r[2], ok, level)
		}
	}
}

// The metrics that the documents name are those of the kube-scheduler that we are built on.
func TestMetricsInTheDocsExist(t *testing.T) {
	// Asked for a package and not for its module, go list downloads what is missing.
	const metrics = "k8s.io/kubernetes/pkg/scheduler/metrics"
	list := exec.Command("go", "list", "-f", "{{.Dir}}", metrics)
	list.Dir, list.Stderr = root, os.Stderr
	dir, err := list.Output()
	if err != nil || len(dir) == 0 {
		t.Fatalf("go list names no folder of %s: %q, %v", metrics, dir, err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "metrics.go"))
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for _, match := range regexp.MustCompile(`Name: +"([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		exists["scheduler_"+match[1]] = true
	}
	named := 0
	for _, p := range docs(t) {
		for _, match := range regexp.MustCompile("`(scheduler_[a-z_]+_[a-z_]+)[`{]").FindAllStringSubmatch(p.text, -1) {
			named++
			if !exists[match[1]] {
				t.Errorf("%s names the metric %s, which kube-scheduler does not have", p.path, match[1])
			}
		}
	}
	if named == 0 {
		t.Error("no metrics were found")
	}
}
