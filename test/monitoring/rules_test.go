// Package monitoring tests the alerts and the dashboard of manifests/components/monitoring:
// that they are what Prometheus and Grafana read, and that every metric and label in them
// is one that the code has.
package monitoring

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/audit"
)

const (
	repository = "../.."
	component  = repository + "/manifests/components/monitoring/"
)

// prometheusRule is as much of the operator's type as the file uses.
type prometheusRule struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []rule `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func readRules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile(component + "prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file prometheusRule
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		t.Fatal(err)
	}
	var rules []rule
	for _, group := range file.Spec.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("the file has no rules")
	}
	return rules
}

func TestAlertsAskForExistingMetrics(t *testing.T) {
	known := knownSeries(t)
	for _, r := range readRules(t) {
		t.Run(r.Alert, func(t *testing.T) { checkExpression(t, known, r.Expr) })
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range readRules(t) {
		if seen[r.Alert] || !strings.HasPrefix(r.Alert, "TenantIsolation") {
			t.Errorf("%q: want a name of its own that begins with TenantIsolation", r.Alert)
		}
		seen[r.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		for _, annotation := range []string{"summary", "description"} {
			if r.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", r.Alert, annotation)
			}
		}
		page, section, _ := strings.Cut(r.Annotations["runbook"], "#")
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Errorf("%s: runbook: %v", r.Alert, err)
			continue
		}
		if section != strings.ToLower(r.Alert) || !strings.Contains(string(text), "\n### "+r.Alert+"\n") {
			t.Errorf("%s: runbook %q, want the section of that name", r.Alert, r.Annotations["runbook"])
		}
	}
	text, err := os.ReadFile(repository + "/docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (TenantIsolation\w+)$`).FindAllStringSubmatch(string(text), -1) {
		if !seen[heading[1]] {
			t.Errorf("docs/observability.md has a runbook for %s, which is no alert", heading[1])
		}
	}
}

// A new reason belongs to an alert, or no one is notified of it.
func TestAlertsCoverEveryReasonOnce(t *testing.T) {
	for _, reason := range audit.Reasons() {
		var alerts []string
		for _, r := range readRules(t) {
			for _, selector := range selectors(t, r.Expr) {
				if selector.Name == "tenant_isolation_audit_findings" && matches(selector.LabelMatchers, "reason", string(reason)) {
					alerts = append(alerts, r.Alert)
				}
			}
		}
		if len(alerts) != 1 {
			t.Errorf("%s belongs to the alerts %v, want one", reason, alerts)
		}
	}
}

func matches(matchers []*labels.Matcher, name, value string) bool {
	return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return m.Name == name && !m.Matches(value) })
}
