package monitoring

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

func readDashboard(t *testing.T) dashboard.Dashboard {
	t.Helper()
	// The schema of a panel's options and of a query is its plugin's.
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(component + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard.Dashboard
	if err := d.UnmarshalJSONStrict(text); err != nil {
		t.Fatalf("Grafana's schema: %v", err)
	}
	if err := d.Validate(); err != nil {
		t.Fatalf("Grafana's schema: %v", err)
	}
	return d
}

func TestDashboardFitsGrafanasSchema(t *testing.T) {
	d := readDashboard(t)
	if d.Uid == nil || *d.Uid != "tenant-isolation" || len(d.Panels) == 0 {
		t.Errorf("want the dashboard tenant-isolation with panels, got %v with %d", d.Uid, len(d.Panels))
	}
}

func TestPanelsAskForExistingMetrics(t *testing.T) {
	known := knownSeries(t)
	ids := map[uint32]bool{}
	shown := ""
	for _, each := range readDashboard(t).Panels {
		if each.Panel == nil {
			continue
		}
		panel := each.Panel
		if panel.Id == nil || ids[*panel.Id] {
			t.Errorf("%s: want an id of its own", *panel.Title)
			continue
		}
		ids[*panel.Id] = true
		if len(panel.Targets) == 0 {
			t.Errorf("%s asks for nothing", *panel.Title)
		}
		for _, target := range panel.Targets {
			query, ok := target.(*prometheus.Dataquery)
			if !ok {
				t.Errorf("%s: a query of type %T", *panel.Title, target)
				continue
			}
			if query.Datasource == nil || query.Datasource.Uid == nil || *query.Datasource.Uid != "${datasource}" {
				t.Errorf("%s: the data source is not the one that the dashboard lets choose", *panel.Title)
			}
			t.Run(*panel.Title, func(t *testing.T) { checkExpression(t, known, query.Expr) })
			shown += query.Expr + "\n"
			// A legend takes the value of a label that the expression leaves.
			if query.LegendFormat != nil {
				for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(*query.LegendFormat, -1) {
					if !strings.Contains(query.Expr, label[1]) {
						t.Errorf("%s: the legend shows %s, which is not in %s", *panel.Title, label[1], query.Expr)
					}
				}
			}
		}
	}
	for _, name := range []string{"audit_findings", "audit_pairs", "audit_last_sweep", "placements", "resolutions", "dedicated_nodes", "dedication_opening"} {
		if !strings.Contains(shown, "tenant_isolation_"+name) {
			t.Errorf("no panel shows tenant_isolation_%s", name)
		}
	}
}
