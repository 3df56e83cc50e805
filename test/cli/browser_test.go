package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tenantisolation.dev/scheduler/internal/clusterfile"
)

// page is the report of a cluster in a file, with findings on every twentieth node.
func page(t *testing.T, nodes int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cluster := clusterfile.Generator{Nodes: nodes, PodsPerNode: 3, Tenants: 7, MixedNodes: 1 + nodes/20}
	if err := cluster.Write(file, true); err != nil {
		t.Fatal(err)
	}
	got := (&environment{}).run(t, filepath.Join(t.TempDir(), "none"), "report", "--html", "-f", path)
	// It has findings.
	if got.status != 1 {
		t.Fatalf("status %d: %s", got.status, got.errOut)
	}
	return got.out
}

// In a real browser, without network: the script runs under the page's own policy, only one tile
// is a stop of the Tab key, and the dark theme differs from the light one.
func TestReportPageInABrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium is installed")
	}
	for _, nodes := range []int{10, 5000} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "page.html")
			if err := os.WriteFile(path, []byte(page(t, nodes)), 0o600); err != nil {
				t.Fatal(err)
			}
			dom, log := browse(t, browser, path, "--dump-dom", "--enable-logging=stderr")
			// The script shows the first page of the table of nodes.
			shown := len(regexp.MustCompile(`<tr id="n-`).FindAllString(dom, -1)) - len(regexp.MustCompile(`<tr id="n-[^>]*class="off"`).FindAllString(dom, -1))
			if want := min(nodes, 50); shown != want {
				t.Errorf("%d rows of nodes are shown, want %d", shown, want)
			}
			if got := strings.Count(dom, `tabindex="0"`); got != 1 {
				t.Errorf("%d tiles are stops of the Tab key, want 1", got)
			}
			if got := strings.Count(dom, `tabindex="-1"`); got != nodes-1 {
				t.Errorf("%d tiles are reached by arrow keys, want %d", got, nodes-1)
			}
			for line := range strings.Lines(log) {
				if strings.Contains(line, "CONSOLE") {
					t.Errorf("the browser complains: %s", line)
				}
			}
			var pictures [2][]byte
			for i, scheme := range []string{"0", "1"} {
				picture := filepath.Join(dir, scheme+".png")
				browse(t, browser, path, "--screenshot="+picture, "--window-size=1300,1900", "--hide-scrollbars", "--blink-settings=preferredColorScheme="+scheme)
				var err error
				if pictures[i], err = os.ReadFile(picture); err != nil {
					t.Fatal(err)
				}
				if keep := os.Getenv("TENANTISOLATION_SCREENSHOTS"); keep != "" {
					name := filepath.Join(keep, fmt.Sprintf("report-%d-%s.png", nodes, []string{"dark", "light"}[i]))
					if err := os.WriteFile(name, pictures[i], 0o600); err != nil {
						t.Error(err)
					}
				}
			}
			if bytes.Equal(pictures[0], pictures[1]) {
				t.Error("light and dark look the same")
			}
		})
	}
}

// browse opens a page, and returns what the browser prints on both streams.
func browse(t *testing.T, browser, path string, args ...string) (out, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	common := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir=" + t.TempDir(),
	}
	cmd := exec.CommandContext(ctx, browser, append(append(common, args...), "file://"+path)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return stdout.String(), stderr.String()
}
