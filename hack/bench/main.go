// Command bench compares the plugin with its alternatives, and writes docs/benchmarks.md.
// make bench builds what it needs and runs it.
//
//	BENCH=perf,mixed,micro,profile  the parts to run, all by default
//	BENCH_NODES=500,5000            the sizes of perf; by default each variant's own
//	BENCH_VARIANTS=none,plugin      the variants of perf
//	BENCH_RUNS=3                    the number of runs; the variants take turns
//	BENCH_BASE=main~10              micro: a commit to compare with
//	QUICK=1                         one run of perf at 500 nodes, one JSON line each on stdout
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"tenantisolation.dev/scheduler/test/performance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := read(os.Getenv)
	if err == nil {
		err = run(ctx, settings, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are read from the environment.
type settings struct {
	parts    []string
	nodes    []int
	variants []string
	runs     int
	base     string
	quick    bool
	// program is the test binary of test/performance, assets the folder with etcd.
	program, assets string
}

// The parts of the benchmark, in the order of the page.
const (
	partPerf    = "perf"
	partMixed   = "mixed"
	partMicro   = "micro"
	partProfile = "profile"
)

var parts = []string{partPerf, partMixed, partMicro, partProfile}

func read(env func(string) string) (settings, error) {
	s := settings{
		parts:    words(env("BENCH")),
		variants: words(env("BENCH_VARIANTS")),
		runs:     3,
		base:     env("BENCH_BASE"),
		quick:    env("QUICK") != "" && env("QUICK") != "0",
		program:  env("BENCH_PROGRAM"),
		assets:   env("KUBEBUILDER_ASSETS"),
	}
	if s.quick {
		if len(s.parts) > 0 || env("BENCH_NODES") != "" || env("BENCH_RUNS") != "" {
			return settings{}, fmt.Errorf("QUICK measures one thing: leave BENCH, BENCH_NODES and BENCH_RUNS out")
		}
		s.parts, s.nodes, s.runs = []string{partPerf}, []int{500}, 1
		if len(s.variants) == 0 {
			s.variants = []string{performance.None, performance.AntiAffinity, performance.AntiAffinityFastPath, performance.Plugin}
		}
	}
	if len(s.parts) == 0 {
		s.parts = parts
	}
	for _, part := range s.parts {
		if !slices.Contains(parts, part) {
			return settings{}, fmt.Errorf("BENCH=%s: want one or more of %s", part, strings.Join(parts, ","))
		}
	}
	for _, word := range words(env("BENCH_NODES")) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return settings{}, fmt.Errorf("BENCH_NODES=%s: want numbers of nodes, separated by commas", word)
		}
		s.nodes = append(s.nodes, n)
	}
	if word := env("BENCH_RUNS"); word != "" {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return settings{}, fmt.Errorf("BENCH_RUNS=%s: want a number of runs", word)
		}
		s.runs = n
	}
	for _, variant := range s.variants {
		known := func(c performance.Case) bool { return c.Workload == "" && c.Variant == variant }
		if !slices.ContainsFunc(performance.Cases(), known) {
			return settings{}, fmt.Errorf("BENCH_VARIANTS=%s: there is no such variant", variant)
		}
	}
	return s, nil
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func run(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	p := &perf{settings: s, log: stderr}
	if s.quick {
		return p.quick(ctx, stdout)
	}
	for _, part := range s.parts {
		var text string
		var err error
		switch part {
		case partPerf:
			text, err = p.compare(ctx)
		case partMixed:
			text, err = p.mixed(ctx)
		case partMicro:
			text, err = micro(ctx, s, stderr)
		case partProfile:
			text, err = p.profile(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		fmt.Fprintf(stdout, "%s\n", text)
		if err := update("docs/benchmarks.md", part, text); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
