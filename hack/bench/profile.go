package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tenantisolation.dev/scheduler/test/performance"
)

// profile runs the stock scheduler and the plugin at the largest size of the comparison with
// a CPU profile, and returns the cost of each plugin of the scheduler.
func (p *perf) profile(ctx context.Context) (string, error) {
	nodes := 5000
	if len(p.nodes) > 0 {
		nodes = slices.Max(p.nodes)
	}
	var b strings.Builder
	for _, c := range performance.Cases() {
		if c.Workload != "" || (c.Variant != performance.None && c.Variant != performance.Plugin) {
			continue
		}
		dir, err := os.MkdirTemp("", "bench-")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(dir)
		f, err := p.measureInto(ctx, dir, c, nodes, "-perf-cpuprofile")
		if err != nil {
			return "", err
		}
		profiles, err := filepath.Glob(filepath.Join(dir, "*-cpu.prof"))
		if err != nil || len(profiles) != 1 {
			return "", fmt.Errorf("want one CPU profile, got %q", profiles)
		}
		all, err := p.top(ctx, profiles[0])
		if err != nil {
			return "", err
		}
		scheduler, err := p.top(ctx, profiles[0], "-focus="+schedulerFrames, "-ignore="+apiCallFrames)
		if err != nil {
			return "", err
		}
		ours, err := p.top(ctx, profiles[0], "-focus="+pluginFrames, "-ignore="+apiCallFrames)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "`%s` at %d nodes, %.0f pods/s.\n\n", c.Variant, nodes, f.podsPerSecond)
		b.WriteString(profileTable(all, scheduler, ours))
		b.WriteString("\n")
	}
	return b.String(), nil
}

// The frames that count. The scheduler's filters and scorers run in goroutines of their own,
// so the stacks below ScheduleOne are not enough.
const (
	schedulerFrames = `k8s\.io/kubernetes/pkg/scheduler[./]|tenantisolation\.dev/scheduler/pkg/`
	pluginFrames    = `tenantisolation\.dev/scheduler/pkg/`
	// apiCallFrames are left out of both: any binder makes the call, and the client does the
	// work. Informers are in other packages of client-go.
	apiCallFrames = `k8s\.io/client-go/(rest|gentype|kubernetes/typed)[./]`
)

func (p *perf) top(ctx context.Context, file string, which ...string) (profileTop, error) {
	args := []string{"tool", "pprof", "-top", "-cum", "-unit=ms", "-nodefraction=0", "-edgefraction=0", "-nodecount=1000000"}
	text, err := output(ctx, p.log, ".", "go", slices.Concat(args, which, []string{p.program, file})...)
	if err != nil {
		return profileTop{}, err
	}
	return parseTop(text)
}

// profileTop is the output of pprof -top.
type profileTop struct {
	// total is the processor time of the selected samples.
	total time.Duration
	// cumulative is the time in a function and its callees.
	cumulative map[string]time.Duration
}

// partOfScheduler finds the methods of the scheduler, its queue and its cache.
var partOfScheduler = regexp.MustCompile(`^k8s\.io/kubernetes/pkg/scheduler(/backend/(queue|cache))?\.\(\*[A-Za-z]+\)\.[A-Za-z]+$`)

// largest returns the n functions that took most time, the slowest first.
func (t profileTop) largest(which *regexp.Regexp, most int) []string {
	var names []string
	for name := range t.cumulative {
		if which.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.cumulative[b], t.cumulative[a]), cmp.Compare(a, b))
	})
	return names[:min(most, len(names))]
}

var (
	accounted = regexp.MustCompile(`Showing nodes accounting for ([0-9.]+ms|0), `)
	topRow    = regexp.MustCompile(`^ *(?:[0-9.]+ms|0) +[0-9.]+% +[0-9.]+% +([0-9.]+ms|0) +[0-9.]+%  (.*)$`)
)

func parseTop(text string) (profileTop, error) {
	top := profileTop{cumulative: map[string]time.Duration{}}
	match := accounted.FindStringSubmatch(text)
	if match == nil {
		return top, fmt.Errorf("the output of pprof has no total:\n%.300s", text)
	}
	var err error
	if top.total, err = parseMilliseconds(match[1]); err != nil {
		return top, err
	}
	for row := range strings.Lines(text) {
		fields := topRow.FindStringSubmatch(strings.TrimRight(row, "\n"))
		if fields == nil {
			continue
		}
		d, err := parseMilliseconds(fields[1])
		if err != nil {
			return top, err
		}
		top.cumulative[strings.TrimSuffix(fields[2], " (inline)")] = d
	}
	return top, nil
}

func parseMilliseconds(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	return time.ParseDuration(s)
}

// extension finds the plugin and the extension point in a function's name.
var extension = regexp.MustCompile(`^(?:k8s\.io/kubernetes/pkg/scheduler/framework/plugins/|tenantisolation\.dev/scheduler/pkg/plugins/)[a-z/]+\.\(?\*?([A-Za-z]+)\)?\.(PreEnqueue|PreFilter|Filter|PostFilter|PreScore|Score|NormalizeScore|Reserve|PreBind|Bind)$`)

// profileTable lists the cost of each plugin, the most expensive first.
func profileTable(all, scheduler, ours profileTop) string {
	perPlugin := map[string]time.Duration{}
	points := map[string][]string{}
	for name, d := range scheduler.cumulative {
		match := extension.FindStringSubmatch(name)
		if match == nil || d == 0 {
			continue
		}
		plugin := match[1]
		if strings.HasPrefix(name, "tenantisolation.dev/") {
			plugin = "TenantIsolation"
		}
		perPlugin[plugin] += d
		points[plugin] = append(points[plugin], fmt.Sprintf("%s %.0f", match[2], d.Seconds()*1000))
	}
	var order []string
	for plugin := range perPlugin {
		order = append(order, plugin)
		slices.Sort(points[plugin])
	}
	slices.SortFunc(order, func(a, b string) int {
		return cmp.Or(cmp.Compare(perPlugin[b], perPlugin[a]), cmp.Compare(a, b))
	})
	share := func(d time.Duration, of time.Duration) string {
		return fmt.Sprintf("%.0f ms (%.1f %%)", d.Seconds()*1000, 100*d.Seconds()/of.Seconds())
	}
	var b strings.Builder
	b.WriteString("| processor time | |\n|---|---|\n")
	fmt.Fprintf(&b, "| the process: API server, scheduler, what creates the pods | %.0f ms |\n", all.total.Seconds()*1000)
	fmt.Fprintf(&b, "| of it in the scheduler, its event handlers and plugins, calls of the API aside | %s |\n", share(scheduler.total, all.total))
	fmt.Fprintf(&b, "| of that in this plugin and its event handlers | %s |\n", share(ours.total, scheduler.total))
	b.WriteString("\n| part of the scheduler | with what it calls |\n|---|---|\n")
	for _, part := range scheduler.largest(partOfScheduler, 8) {
		fmt.Fprintf(&b, "| %s | %s |\n", part, share(scheduler.cumulative[part], scheduler.total))
	}
	b.WriteString("\n| plugin | in all | ms by extension point |\n|---|---|---|\n")
	for _, plugin := range order {
		fmt.Fprintf(&b, "| %s | %.0f ms | %s |\n", plugin, perPlugin[plugin].Seconds()*1000, strings.Join(points[plugin], ", "))
	}
	return b.String()
}
