package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tenantisolation.dev/scheduler/internal/plots"
	"tenantisolation.dev/scheduler/test/performance"
)

// perf runs scheduler_perf, one process for each measurement: the next one starts with
// an empty heap, and a new etcd and API server.
type perf struct {
	settings
	log io.Writer
}

// measurement is one run of one case.
type measurement struct {
	c     performance.Case
	nodes int
	round int
	figures
}

// quick prints one JSON line for each variant.
func (p *perf) quick(ctx context.Context, stdout io.Writer) error {
	encoder := json.NewEncoder(stdout)
	return p.rounds(ctx, p.plain(), func(m measurement) error {
		return encoder.Encode(line{Nodes: m.nodes, Variant: m.c.Variant, PodsPerSecond: rounded(m.podsPerSecond)})
	})
}

// line is what QUICK prints.
type line struct {
	Nodes         int     `json:"nodes"`
	Variant       string  `json:"variant"`
	PodsPerSecond float64 `json:"podsPerSecond"`
}

func (p *perf) compare(ctx context.Context) (string, error) {
	all, err := p.collect(ctx, p.plain())
	if err != nil {
		return "", err
	}
	if err := plots.WriteThroughput("docs", throughputs(all)); err != nil {
		return "", err
	}
	return comparison(all), nil
}

func (p *perf) mixed(ctx context.Context) (string, error) {
	all, err := p.collect(ctx, func(c performance.Case) []int {
		if c.Workload == "" {
			return nil
		}
		return c.Nodes
	})
	if err != nil {
		return "", err
	}
	return mixedTable(all), nil
}

// plain returns the sizes at which a case is measured: only those of the plain workload.
func (p *perf) plain() func(performance.Case) []int {
	return func(c performance.Case) []int {
		switch {
		case c.Workload != "" || (len(p.variants) > 0 && !slices.Contains(p.variants, c.Variant)):
			return nil
		case len(p.nodes) > 0:
			return p.nodes
		}
		return c.Nodes
	}
}

func (p *perf) collect(ctx context.Context, sizes func(performance.Case) []int) ([]measurement, error) {
	var all []measurement
	err := p.rounds(ctx, sizes, func(m measurement) error {
		all = append(all, m)
		return nil
	})
	if ctx.Err() != nil && len(all) > 0 {
		fmt.Fprintf(p.log, "bench: interrupted: the table has the %d measurements until then\n", len(all))
		return all, nil
	}
	return all, err
}

// rounds measures everything once, then everything again, so that other load on the machine
// affects all variants alike.
func (p *perf) rounds(ctx context.Context, sizes func(performance.Case) []int, done func(measurement) error) error {
	var nodes []int
	for _, c := range performance.Cases() {
		nodes = append(nodes, sizes(c)...)
	}
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	for round := range p.runs {
		for _, n := range nodes {
			for _, c := range rotated(performance.Cases(), round) {
				if !slices.Contains(sizes(c), n) {
					continue
				}
				f, err := p.measure(ctx, c, n)
				if err != nil {
					return fmt.Errorf("%s at %d nodes: %w", c.Name, n, err)
				}
				if err := done(measurement{c: c, nodes: n, round: round, figures: f}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rotated starts each round with another case.
func rotated(cases []performance.Case, by int) []performance.Case {
	by %= len(cases)
	return slices.Concat(cases[by:], cases[:by])
}

// measure runs one case in a process of its own.
func (p *perf) measure(ctx context.Context, c performance.Case, nodes int, flags ...string) (figures, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return figures{}, err
	}
	defer os.RemoveAll(dir)
	return p.measureInto(ctx, dir, c, nodes, flags...)
}

func (p *perf) measureInto(ctx context.Context, dir string, c performance.Case, nodes int, flags ...string) (figures, error) {
	assets, err := filepath.Abs(p.assets)
	if err != nil {
		return figures{}, err
	}
	program, err := filepath.Abs(p.program)
	if err != nil {
		return figures{}, err
	}
	start := time.Now()
	fmt.Fprintf(p.log, "bench: %s at %d nodes, load average %s ... ", c.Name, nodes, loadAverage())
	name := fmt.Sprintf("^BenchmarkPerfScheduling$/^%s$/^%s$", c.Name, performance.WorkloadName(nodes))
	cmd := exec.CommandContext(ctx, program, append([]string{
		"-test.run=^$", "-test.bench=" + name, "-test.benchtime=1x", "-test.timeout=40m",
		"-perf-scheduling-label-filter=" + performance.Label, "-data-items-dir=" + dir,
	}, flags...)...)
	cmd.Dir = "test/performance"
	cmd.Env = append(os.Environ(),
		"PATH="+assets+string(os.PathListSeparator)+os.Getenv("PATH"),
		fmt.Sprintf("PERFORMANCE_NODES=%d", nodes),
		"TMPDIR="+dir,
		// Compares every object in every cache with a copy; on by default in tests.
		"KUBE_CACHE_MUTATION_DETECTOR=false",
	)
	// The process stops etcd only on an interrupt.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	logfile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return figures{}, err
	}
	defer logfile.Close()
	cmd.Stdout, cmd.Stderr = logfile, logfile
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(p.log, "failed")
		return figures{}, fmt.Errorf("%w\n%s", err, tail(filepath.Join(dir, "log")))
	}
	f, err := readFigures(dir)
	if err != nil {
		return figures{}, err
	}
	fmt.Fprintf(p.log, "%.1f pods/s (%d s)\n", f.podsPerSecond, int(time.Since(start).Seconds()))
	return f, nil
}

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// tail returns the last lines of a failed run, without those of the servers.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var last []string
	for text := range strings.Lines(string(data)) {
		if strings.Contains(text, "ERROR") || strings.Contains(text, "Error") || strings.HasPrefix(text, "panic") {
			last = append(last, text)
		}
	}
	return strings.Join(last[max(0, len(last)-20):], "")
}
