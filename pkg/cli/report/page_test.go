package report_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/pkg/cli/report"
)

// data is a report of so many nodes: every tenth is shared by VMs of two trust domains,
// every eleventh has a finding.
func data(nodes int) *report.Data {
	d := &report.Data{
		Format: report.Format, Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Tool: "kubectl-isolation v1", Source: "cluster",
		Policy:   []report.Setting{{Name: "minimumBoundary", Value: `"vm"`}},
		Summary:  report.Summary{Nodes: nodes, Pods: 3 * nodes, PairsChecked: 3 * nodes, PairsBreaking: nodes / 11},
		Domains:  []report.Domain{{Name: "tenant=acme", Short: "acme/x/baseline", Pods: 2, Nodes: 1}, {Name: "tenant=globex", Short: "globex/x/baseline"}},
		Evidence: report.Evidence{Digest: "abc", Objects: 4 * nodes},
	}
	for i := range nodes {
		n := report.Node{Name: fmt.Sprintf("node-%04d", i), Groups: []report.Group{{Domain: i % 2, Pods: 3}}}
		if i%10 == 1 {
			n.Groups = []report.Group{{Domain: 0, Pods: 1, Isolated: true}, {Domain: 1, Pods: 2, Isolated: true}}
		}
		if i%11 == 0 {
			n.Findings, n.Others = 1, 1
			d.Findings = append(d.Findings, report.Finding{
				Node: n.Name, Reason: "UnmanagedResident", Means: "means", Fix: "fix", Conflicts: [][2]int{{0, 1}}, Pairs: 1,
				Sides: []report.Side{{TrustDomain: "acme", Pods: []string{"a/b"}}, {TrustDomain: "unmanaged", Pods: []string{"c/d"}}},
			})
		}
		d.Nodes = append(d.Nodes, n)
	}
	return d
}

func html(t *testing.T, d *report.Data) string {
	t.Helper()
	var out bytes.Buffer
	if err := d.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPageNeedsNoNetwork(t *testing.T) {
	page := html(t, data(20))
	if found := regexp.MustCompile(`(?i)(src|href|url\()\s*=?\s*["']?\s*(https?:)?//`).FindString(page); found != "" {
		t.Errorf("the page refers to %q", found)
	}
	if !strings.Contains(page, "default-src &#39;none&#39;") {
		t.Error("the page does not forbid the browser to load anything")
	}
}

func TestPageInWords(t *testing.T) {
	for _, nodes := range []int{10, 5000} {
		page := html(t, data(nodes))
		if got := strings.Count(page, `<a class="tile`); got != nodes {
			t.Errorf("%d nodes: %d tiles", nodes, got)
		}
		if got := strings.Count(page, `aria-label="node-`); got != nodes {
			t.Errorf("%d nodes: %d tiles say what they are", nodes, got)
		}
		if got := strings.Count(page, `<tr id="n-node-`); got != nodes {
			t.Errorf("%d nodes: %d rows, which the tiles lead to", nodes, got)
		}
		for _, text := range []string{`lang="en"`, "UnmanagedResident", "each behind a boundary of its own", `<a class="skip"`, "<caption>"} {
			if !strings.Contains(page, text) {
				t.Errorf("%d nodes: %q is missing", nodes, text)
			}
		}
	}
}

// Names come from a file, and may be anything.
func TestPageEscapesData(t *testing.T) {
	d := data(3)
	evil := `</script><script>alert(1)</script>"><img src=x onerror=alert(1)>`
	d.Source, d.Nodes[0].Name, d.Domains[0].Name, d.Findings[0].Sides[0].Pods[0] = evil, evil, evil, evil
	page := html(t, d)
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img src=x") {
		t.Error("text of a cluster became part of the page")
	}
	earlier, err := report.Earlier([]byte(page))
	if err != nil {
		t.Fatal(err)
	}
	if earlier.Source != evil {
		t.Errorf("source %q, want %q", earlier.Source, evil)
	}
}

func TestCompare(t *testing.T) {
	before := data(23)
	earlier, err := report.Earlier([]byte(html(t, before)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, earlier); diff != "" {
		t.Errorf("the page does not hold its own data (-was +read):\n%s", diff)
	}
	now := data(23)
	now.Findings = append(now.Findings[1:], report.Finding{Node: "node-0005", Reason: "ForeignResident", Sides: []report.Side{{TrustDomain: "acme", Pods: []string{"e/f"}}}})
	now.Policy = []report.Setting{{Name: "minimumBoundary", Value: `"sandbox"`}}
	now.Evidence.Digest = "def"
	now.Nodes = slices.Clone(now.Nodes[1:])
	now.Nodes[0].Digest = "other pods"
	c := report.Compare(earlier, now)
	if len(c.Began) != 1 || c.Began[0].Node != "node-0005" || len(c.Ended) != 1 || c.Ended[0].Node != "node-0000" || c.SameObjects || len(c.PolicyChanged) != 1 {
		t.Errorf("comparison %+v", c)
	}
	if !slices.Equal(c.NodesRemoved, []string{"node-0000"}) || !slices.Equal(c.NodesChanged, []string{"node-0001"}) || len(c.NodesAdded) > 0 {
		t.Errorf("nodes %+v", c)
	}
	if err := now.Follow(earlier); err != nil || len(now.Past) != 1 || now.Past[0].Findings != len(earlier.Findings) {
		t.Errorf("%v: past %+v", err, now.Past)
	}
	other := data(23)
	other.Cluster.UID = "another"
	if err := other.Follow(earlier); err == nil {
		t.Error("a report follows one of another cluster")
	}
	if page := html(t, now); !strings.Contains(page, "Since the last report") || !strings.Contains(page, "The policy has changed") {
		t.Error("the page does not show what has changed")
	}
	if same := report.Compare(earlier, before); !same.SameObjects || len(same.Began)+len(same.Ended) > 0 {
		t.Errorf("a report compared with itself: %+v", same)
	}
	for _, text := range []string{"", "{}", "<html>", `<script type="application/json" id="data">{"format":1`} {
		if _, err := report.Earlier([]byte(text)); err == nil {
			t.Errorf("%q is taken for a report", text)
		}
	}
}
