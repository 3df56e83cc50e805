package integration

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/metricinfo"
)

// ownSeries returns the project's series of a scrape, each with its labels.
func (c *fixture) ownSeries(token string) map[string]map[string]string {
	c.Helper()
	status, text := c.fetch(token)
	if status != http.StatusOK {
		c.Fatalf("status %d: %s", status, text)
	}
	own := map[string]map[string]string{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "tenant_isolation_") {
			continue
		}
		labels := map[string]string{}
		for _, label := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(line, -1) {
			labels[label[1]] = label[2]
		}
		own[line[:strings.LastIndex(line, " ")]] = labels
	}
	return own
}

// A scrape of the real scheduler has exactly the metrics of the reference page, and no label
// has a value that a user can choose or that grows with the cluster.
func TestMetricsAreDocumentedAndBounded(t *testing.T) {
	c := newFixture(t)
	token := c.scraper()
	c.auditing(token)
	node := c.node()
	busy := func() {
		t.Helper()
		acme := c.pod(c.namespace(tenant("acme-"+c.name("t"))), onlyOn(node))
		c.placed(acme)
		c.refused(c.pod(c.namespace(tenant("globex-"+c.name("t"))), onlyOn(node)), foreignThere)
		c.refused(c.pod(c.namespace(tenant("odd"), dataClass("top-secret")), onlyOn(node)), classUnknown)
		c.remove(acme)
	}
	busy()
	before := c.ownSeries(token)
	node = c.node()
	busy()
	after := c.ownSeries(token)
	for name := range after {
		if _, known := before[name]; !known {
			t.Errorf("a new series for other tenants and nodes: %s", name)
		}
	}

	groups, err := metricinfo.Groups()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]metricinfo.Metric{}
	for _, group := range groups {
		for _, s := range group.Metrics {
			known[s.Name] = s
		}
	}
	seen := map[string]bool{}
	for name, labels := range after {
		base, _, _ := strings.Cut(name, "{")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if trimmed, ok := strings.CutSuffix(base, suffix); ok && known[trimmed].Type == "histogram" {
				base = trimmed
			}
		}
		s, ok := known[base]
		if !ok {
			t.Errorf("%s is not documented", base)
			continue
		}
		seen[base] = true
		for label, value := range labels {
			switch {
			case label == "le" && s.Type == "histogram":
				if _, err := strconv.ParseFloat(value, 64); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			case !slices.Contains(s.Labels, label):
				t.Errorf("%s: the label %s is not documented", name, label)
			case !regexp.MustCompile(`^[A-Za-z_]+$`).MatchString(value):
				t.Errorf("%s: %q is not one of a closed set", name, value)
			}
		}
	}
	for _, name := range []string{"audit_findings", "audit_pairs", "audit_last_sweep_timestamp_seconds", "audit_sweep_duration_seconds", "placements_total", "resolutions_total"} {
		if !seen["tenant_isolation_"+name] {
			t.Errorf("tenant_isolation_%s is not there", name)
		}
	}
}
