package monitoring

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"tenantisolation.dev/scheduler/internal/metricinfo"
	"tenantisolation.dev/scheduler/pkg/audit"
)

// knownSeries has the labels of every metric that an expression may name: the project's,
// and those of kube-scheduler that are used here.
func knownSeries(t *testing.T) map[string][]string {
	t.Helper()
	groups, err := metricinfo.Groups()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{
		"leader_election_master_status": {"name"},
		"scheduler_unschedulable_pods":  {"plugin", "profile"},
	}
	for _, group := range groups {
		for _, s := range group.Metrics {
			if s.Type != "histogram" {
				known[s.Name] = s.Labels
				continue
			}
			known[s.Name+"_bucket"] = append(slices.Clone(s.Labels), "le")
			known[s.Name+"_sum"], known[s.Name+"_count"] = s.Labels, s.Labels
		}
	}
	return known
}

func selectors(t *testing.T, expr string) []*parser.VectorSelector {
	t.Helper()
	parsed, err := parser.ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return within(parsed)
}

func within(node parser.Node) []*parser.VectorSelector {
	var found []*parser.VectorSelector
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		if selector, ok := n.(*parser.VectorSelector); ok {
			found = append(found, selector)
		}
		return nil
	})
	return found
}

// checkExpression checks an expression against the existing metrics: their names, the labels by
// which it selects and groups, and the values that labels can have.
func checkExpression(t *testing.T, known map[string][]string, expr string) {
	t.Helper()
	all := selectors(t, expr)
	if len(all) == 0 {
		t.Errorf("%s: asks for no metric", expr)
	}
	for _, selector := range all {
		has, ok := known[selector.Name]
		if !ok {
			t.Errorf("%s: there is no metric %s", expr, selector.Name)
			continue
		}
		for _, m := range selector.LabelMatchers {
			if m.Name == labels.MetricName {
				continue
			}
			if !slices.Contains(has, m.Name) {
				t.Errorf("%s: %s has the labels %v and no %s", expr, selector.Name, has, m.Name)
			}
			if selector.Name == "tenant_isolation_audit_findings" && m.Name == "reason" {
				for value := range strings.SplitSeq(m.Value, "|") {
					if !slices.Contains(audit.Reasons(), audit.Reason(value)) {
						t.Errorf("%s: %q is no reason of the audit", expr, value)
					}
				}
			}
		}
	}
	parsed, err := parser.ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		aggregate, ok := n.(*parser.AggregateExpr)
		if !ok {
			return nil
		}
		for _, label := range aggregate.Grouping {
			for _, selector := range within(aggregate.Expr) {
				if !slices.Contains(known[selector.Name], label) {
					t.Errorf("%s: %s has no label %s to group by", expr, selector.Name, label)
				}
			}
		}
		return nil
	})
}
