package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tenantisolation.dev/scheduler/test/performance"
)

var unexported = cmp.AllowUnexported(settings{}, figures{}, profileTop{})

func TestSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		env  map[string]string
		want settings
		err  string
	}{
		"nothing means everything": {
			want: settings{parts: parts, runs: 3},
		},
		"one part, sizes, variants and runs": {
			env:  map[string]string{"BENCH": "perf", "BENCH_NODES": "500,5000", "BENCH_VARIANTS": "none,plugin", "BENCH_RUNS": "5"},
			want: settings{parts: []string{partPerf}, nodes: []int{500, 5000}, variants: []string{"none", "plugin"}, runs: 5},
		},
		"quick is one run at 500 nodes": {
			env: map[string]string{"QUICK": "1"},
			want: settings{
				parts: []string{partPerf}, nodes: []int{500}, runs: 1, quick: true,
				variants: []string{"none", "antiAffinity", "antiAffinityFastPath", "plugin"},
			},
		},
		"quick and a part contradict":    {env: map[string]string{"QUICK": "1", "BENCH": "micro"}, err: "QUICK"},
		"a part that is not there":       {env: map[string]string{"BENCH": "speed"}, err: "BENCH=speed: want one or more of perf"},
		"a variant that is not there":    {env: map[string]string{"BENCH_VARIANTS": "kyverno"}, err: "BENCH_VARIANTS=kyverno"},
		"a number of nodes that is none": {env: map[string]string{"BENCH_NODES": "500,many"}, err: "BENCH_NODES=many"},
		"no runs":                        {env: map[string]string{"BENCH_RUNS": "0"}, err: "BENCH_RUNS=0"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(func(name string) string { return tc.env[name] })
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("want an error with %q, got %v", tc.err, err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got, unexported, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// What others read from standard output: the names, their order and nothing else.
func TestQuickLine(t *testing.T) {
	got, err := json.Marshal(line{Nodes: 500, Variant: performance.Plugin, PodsPerSecond: rounded(123.4321)})
	if want := `{"nodes":500,"variant":"plugin","podsPerSecond":123.4}`; err != nil || string(got) != want {
		t.Errorf("want %s, got %s, %v", want, got, err)
	}
	var variants []string
	quick, err := read(func(name string) string { return map[string]string{"QUICK": "1"}[name] })
	if err != nil {
		t.Fatal(err)
	}
	sizes := (&perf{settings: quick}).plain()
	for _, c := range performance.Cases() {
		if len(sizes(c)) > 0 {
			variants = append(variants, c.Variant)
		}
	}
	want := []string{"none", "antiAffinity", "antiAffinityFastPath", "plugin"}
	if diff := cmp.Diff(want, variants); diff != "" {
		t.Errorf("variants (-want +got):\n%s", diff)
	}
}

const someItems = `{"version": "v1", "dataItems": [
  {"data": {"Average": 271.4, "Perc50": 273.1}, "unit": "pods/s", "labels": {"Metric": "SchedulingThroughput", "Name": "plugin/5000Nodes/measured"}},
  {"data": {"Average": 0.5, "Perc50": 0.4, "Perc99": 1.9}, "unit": "ms", "labels": {"Metric": "scheduler_scheduling_attempt_duration_seconds", "result": "scheduled"}},
  {"data": {"Average": 9.5, "Perc50": 9.4, "Perc99": 9.9}, "unit": "ms", "labels": {"Metric": "scheduler_scheduling_attempt_duration_seconds", "result": "unschedulable"}}
]}`

func TestReadFigures(t *testing.T) {
	for name, tc := range map[string]struct {
		items string
		want  figures
		err   string
	}{
		"throughput and attempts that found a node": {items: someItems, want: figures{podsPerSecond: 271.4, attemptMedian: 0.4, attemptSlow: 1.9}},
		"no throughput is no measurement":           {items: `{"dataItems": []}`, err: "no throughput"},
		"a throughput of nothing is none either": {
			items: strings.Replace(someItems, "271.4", "0", 1), err: "no throughput",
		},
		"two throughputs": {
			items: strings.Replace(someItems, "scheduler_scheduling_attempt_duration_seconds", "SchedulingThroughput", 1), err: "another",
		},
		"another unit": {items: strings.Replace(someItems, `"ms"`, `"us"`, 1), err: `"us"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseFigures([]byte(tc.items))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("want an error with %q, got %v", tc.err, err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got, unexported, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func measured(t *testing.T, name string, nodes int, pods ...float64) []measurement {
	t.Helper()
	for _, c := range performance.Cases() {
		if c.Name != name {
			continue
		}
		var all []measurement
		for round, n := range pods {
			all = append(all, measurement{c: c, nodes: nodes, round: round, figures: figures{podsPerSecond: n, attemptMedian: 1, attemptSlow: 2}})
		}
		return all
	}
	t.Fatalf("there is no case %s", name)
	return nil
}

func TestTable(t *testing.T) {
	// The second round met a busy machine: the ratios do not show it.
	all := measured(t, "plugin", 5000, 300, 150, 310)
	all = append(all, measured(t, "none", 5000, 200, 100, 200)...)
	all = append(all, measured(t, "antiAffinity", 5000, 50, 25, 50)...)
	want := strings.TrimLeft(`
| nodes | variant | pods/s | of ~none~ | an attempt takes: median, 99th percentile |
|---|---|---|---|---|
| 5000 | ~none~ | 200 (100 to 200) | – | 1.00 ms, 2.0 ms |
| 5000 | ~antiAffinity~ | 50 (25 to 50) | 0.25 (0.25 to 0.25) | 1.00 ms, 2.0 ms |
| 5000 | ~plugin~ | 300 (150 to 310) | 1.50 (1.50 to 1.55) | 1.00 ms, 2.0 ms |

| nodes | plugin compared with | times |
|---|---|---|
| 5000 | ~none~ | 1.50 (1.50 to 1.55) |
| 5000 | ~antiAffinity~ | 6.00 (6.00 to 6.20) |
`, "\n")
	if diff := cmp.Diff(strings.ReplaceAll(want, "~", "`"), comparison(all)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMixedTable(t *testing.T) {
	all := append(measured(t, "kata-none", 500, 200), measured(t, "kata-plugin", 500, 210)...)
	all = append(all, measured(t, "churn-plugin", 500, 100)...)
	want := strings.TrimLeft(`
| workload | nodes | ~none~, pods/s | ~antiAffinity~, pods/s | ~plugin~, pods/s | plugin of ~none~ | an attempt takes, with the plugin |
|---|---|---|---|---|---|---|
| ~kata~ | 500 | 200 | – | 210 | 1.05 | 1.00 ms, 2.0 ms |
| ~churn~ | 500 | – | – | 100 | – | 1.00 ms, 2.0 ms |
`, "\n")
	if diff := cmp.Diff(strings.ReplaceAll(want, "~", "`"), mixedTable(all)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUpdatePage(t *testing.T) {
	page := "# P\n\n<!-- make bench writes perf from here -->\nold\n<!-- to here: perf -->\n\nend\n"
	got, err := replaced(page, partPerf, "new\n")
	want := "# P\n\n<!-- make bench writes perf from here -->\n\nnew\n\n<!-- to here: perf -->\n\nend\n"
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := replaced(page, partMicro, "new"); err == nil {
		t.Error("a page without the marks was changed")
	}
}

const someTop = `File: performance.test
Type: cpu
Duration: 8.55s, Total samples = 9480ms (110.89%)
Showing nodes accounting for 9480ms, 100% of 9480ms total
      flat  flat%   sum%        cum   cum%
         0     0%     0%      330ms  3.48%  k8s.io/kubernetes/pkg/scheduler.(*Scheduler).ScheduleOne
         0     0%  0.32%       70ms  0.74%  tenantisolation.dev/scheduler/pkg/plugins/tenantisolation.(*Plugin).PreFilter
         0     0%  0.32%       20ms  0.21%  tenantisolation.dev/scheduler/pkg/plugins/tenantisolation.(*Plugin).Reserve
      10ms  0.10%  0.42%       40ms  0.42%  k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources.(*Fit).Filter
         0     0%  0.42%       40ms  0.42%  k8s.io/kubernetes/pkg/scheduler/framework/runtime.(*instrumentedFilterPlugin).Filter
`

func TestProfileTable(t *testing.T) {
	top, err := parseTop(someTop)
	if err != nil {
		t.Fatal(err)
	}
	scheduler, ours := top, top
	scheduler.total, ours.total = top.total/4, top.total/80
	want := strings.TrimLeft(`
| processor time | |
|---|---|
| the process: API server, scheduler, what creates the pods | 9480 ms |
| of it in the scheduler, its event handlers and plugins, calls of the API aside | 2370 ms (25.0 %) |
| of that in this plugin and its event handlers | 118 ms (5.0 %) |

| part of the scheduler | with what it calls |
|---|---|
| k8s.io/kubernetes/pkg/scheduler.(*Scheduler).ScheduleOne | 330 ms (13.9 %) |

| plugin | in all | ms by extension point |
|---|---|---|
| TenantIsolation | 90 ms | PreFilter 70, Reserve 20 |
| Fit | 40 ms | Filter 40 |
`, "\n")
	if diff := cmp.Diff(want, profileTable(top, scheduler, ours)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := parseTop("nothing"); err == nil {
		t.Error("a profile without a total was read")
	}
}

func TestMedian(t *testing.T) {
	for name, tc := range map[string]struct {
		of   sample
		want float64
	}{
		"of an odd number":  {sample{3, 1, 2}, 2},
		"of an even number": {sample{4, 1, 2, 3}, 2.5},
	} {
		if diff := cmp.Diff(tc.want, tc.of.median(), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
