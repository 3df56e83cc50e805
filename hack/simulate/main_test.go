package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/demo"
	"tenantisolation.dev/scheduler/internal/simulation"
)

// The default of make simulate, with the results that docs/density.md states.
func TestSimulateDemo(t *testing.T) {
	folder := t.TempDir()
	s := settings{nodes: demo.DefaultNodes, output: "nothing", out: filepath.Join(folder, "report.json"), html: filepath.Join(folder, "report.html")}
	s.Seed, s.Small = 1, 0.5
	if err := simulate(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.out)
	if err != nil {
		t.Fatal(err)
	}
	report := &simulation.Report{}
	if err := json.Unmarshal(text, report); err != nil {
		t.Fatal(err)
	}
	if len(report.Variants) != 9 {
		t.Fatalf("want 9 variants, got %d", len(report.Variants))
	}
	plugin, sharing, apart := report.Result("plugin"), report.Result("plugin-vm"), report.Result("anti-affinity")
	if plugin.Unplaced != 0 || sharing.Unplaced != 0 || plugin.PairsBroken != 0 || sharing.PairsBroken != 0 {
		t.Errorf("left out %d and %d pods, %d and %d pairs break the rule", plugin.Unplaced, sharing.Unplaced, plugin.PairsBroken, sharing.PairsBroken)
	}
	for name, met := range map[string]*bool{
		"within 5 % of the offline packing": report.Verdict.WithinFivePercent,
		"no more nodes than static pools":   report.Verdict.NeverMoreThanPools,
		"anti-affinity is left behind":      report.Verdict.AntiAffinityLeft20,
	} {
		if met == nil || !*met {
			t.Errorf("%s: not met", name)
		}
	}
	if apart.Unplaced <= plugin.Unplaced {
		t.Errorf("anti-affinity leaves out %d pods", apart.Unplaced)
	}
	page, err := os.ReadFile(s.html)
	if err != nil || !strings.Contains(string(page), "this plugin, VMs for small trust domains") {
		t.Errorf("the page says nothing of the plugin (%v)", err)
	}
}

func TestWrongOptions(t *testing.T) {
	for name, s := range map[string]settings{
		"a cluster that does not exist": {cluster: "nowhere"},
		"no tenants":                    {tenants: "0"},
		"names with blanks":             {tenants: "a, b"},
		"a profile that does not exist": {profile: "nowhere.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			s.nodes = demo.DefaultNodes
			if err := simulate(t.Context(), s); err == nil {
				t.Error("it is accepted")
			}
		})
	}
}

// The program is all that is needed: no file of the repository.
func TestSimulateOutsideOfTheRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	s := settings{nodes: demo.DefaultNodes, output: "nothing", only: "plugin", out: "report.json"}
	s.Seed, s.Small = 1, 0.5
	if err := simulate(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("report.json"); err != nil {
		t.Error(err)
	}
}
