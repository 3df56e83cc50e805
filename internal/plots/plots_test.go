package plots_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/plots"
)

// Every figure and every name of the data is in the picture, and dark is not light.
func TestPicturesShowTheData(t *testing.T) {
	throughput := []plots.Throughput{
		{Nodes: 500, Variant: "none", PodsPerSecond: plots.Measured{Median: 200, Lowest: 190, Highest: 210}},
		{Nodes: 5000, Variant: "none", PodsPerSecond: plots.Measured{Median: 100, Lowest: 90, Highest: 110}},
		{Nodes: 500, Variant: "plugin", PodsPerSecond: plots.Measured{Median: 220, Lowest: 190, Highest: 230}},
	}
	simulation := &plots.Simulation{Variants: []plots.Density{{ID: "plugin", Title: "ours", Nodes: 1234}, {ID: "stock", Title: "theirs", Nodes: 77, Unplaced: 3}}}
	for name, tc := range map[string]struct {
		draw func(plots.Theme) ([]byte, error)
		says []string
	}{
		"throughput": {func(t plots.Theme) ([]byte, error) { return plots.DrawThroughput(throughput, t) }, []string{"none", "plugin", "500 nodes", "5000 nodes"}},
		"growth":     {func(t plots.Theme) ([]byte, error) { return plots.DrawGrowth(throughput, t) }, []string{"none", "500", "5000"}},
		"density":    {func(t plots.Theme) ([]byte, error) { return plots.DrawDensity(simulation, t) }, []string{"ours", "theirs (3 pods left out)", "1234", "77"}},
		"placement":  {plots.DrawPlacement, []string{"node 3, with Kata", "kernel of the node"}},
	} {
		var pictures [][]byte
		for _, theme := range plots.Themes() {
			svg, err := tc.draw(theme)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, text := range tc.says {
				if !strings.Contains(string(svg), fmt.Sprintf(">%s<", text)) {
					t.Errorf("%s: %q is not in the picture:\n%.2000s", name, text, svg)
				}
			}
			pictures = append(pictures, svg)
		}
		if bytes.Equal(pictures[0], pictures[1]) {
			t.Errorf("%s: light and dark are the same", name)
		}
	}
}
