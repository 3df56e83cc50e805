// Command simulate lets the real scheduler place the pods of a cluster from files, and
// compares the result with other ways to isolate tenants: make simulate.
//
// Its exit status is 0 on success, 1 on an error, 2 for a wrong option, and 130 if it was
// interrupted.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/internal/demo"
	"tenantisolation.dev/scheduler/internal/simulation"
	"tenantisolation.dev/scheduler/manifests"
)

func main() { os.Exit(run()) }

type settings struct {
	cluster, tenants, only, profile string
	output, out, html               string
	nodes, pods                     int
	simulation.Options
}

func run() int {
	s := settings{}
	flag.StringVar(&s.cluster, "cluster", "", "manifest `file`, folder of manifests, or folder with the two CSV files of a trace (default: the demo's workload and nodes)")
	flag.StringVar(&s.tenants, "tenants", "", "`number` of tenants for the pods of a trace (default 20); for manifests a number, or names a,b,...: each tenant gets the whole workload")
	flag.IntVar(&s.nodes, "nodes", demo.DefaultNodes, "number of the demo's nodes, for a cluster without nodes")
	flag.IntVar(&s.pods, "pods", 0, "size of the sample of a trace, drawn by the seed; 0 takes all pods")
	flag.Uint64Var(&s.Seed, "seed", 1, "seed of all random choices")
	flag.Float64Var(&s.Small, "small", 0.5, "share of a machine that a trust domain must fit into to get VMs in variant plugin-vm")
	flag.StringVar(&s.profile, "profile", "", "scheduler configuration `file` (default that of manifests/base, which the program has with it)")
	flag.StringVar(&s.only, "only", "", "ids of the variants to run, `plugin,best-fit,...` (default all)")
	flag.StringVar(&s.output, "o", "text", "output on stdout: text, wide, json or nothing")
	flag.StringVar(&s.out, "out", "", "`file` for the report as JSON")
	flag.StringVar(&s.html, "html", "", "`file` for the report as a page with a picture of the nodes")
	klog.InitFlags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 || !slices.Contains([]string{"text", "wide", "json", "nothing"}, s.output) {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := simulate(ctx, s)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "simulate: interrupted")
		return 130
	}
	fmt.Fprintln(os.Stderr, "simulate:", err)
	return 1
}

func simulate(ctx context.Context, s settings) error {
	s.Profile = s.profile
	if s.profile == "" {
		s.profile = "manifests/base/scheduler-config.yaml"
		remove, err := s.shippedProfile()
		if err != nil {
			return err
		}
		defer remove()
	}
	cluster, err := load(s)
	if err != nil {
		return err
	}
	if s.only != "" {
		s.Only = strings.Split(s.only, ",")
	}
	s.Clock = clock.RealClock{}
	begin := s.Clock.Now()
	s.Progress = func(line string) { fmt.Fprintf(os.Stderr, "[%3.0fs] %s\n", s.Clock.Since(begin).Seconds(), line) }
	report, err := simulation.Run(ctx, cluster, s.Options)
	if err != nil {
		return err
	}
	report.Input.Profile = s.profile
	return write(report, s)
}

// shippedProfile writes the shipped configuration to a file, which Kubernetes' reader of it needs.
func (s *settings) shippedProfile() (remove func(), err error) {
	text, err := manifests.Simulated.ReadFile("base/scheduler-config.yaml")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "simulate-")
	if err != nil {
		return nil, err
	}
	s.Profile = filepath.Join(folder, "scheduler-config.yaml")
	return func() { _ = os.RemoveAll(folder) }, os.WriteFile(s.Profile, text, 0o600)
}

func load(s settings) (*simulation.Cluster, error) {
	classes, err := fs.Sub(manifests.Simulated, "examples/kata-runtimeclasses")
	if err != nil {
		return nil, err
	}
	o := simulation.LoadOptions{
		Defaults: simulation.Defaults{
			Nodes:          demo.Fleet(s.nodes),
			RuntimeClasses: classes,
		},
		Trace: simulation.TraceOptions{Tenants: 20, Seed: s.Seed, Limit: s.pods},
	}
	if s.tenants != "" {
		number, err := strconv.Atoi(s.tenants)
		switch {
		case err != nil:
			o.Tenants = strings.Split(s.tenants, ",")
			if o.Trace.Tenants = len(o.Tenants); strings.Contains(s.tenants, " ") {
				return nil, fmt.Errorf("-tenants: want a number, or names without blanks between the commas, got %q", s.tenants)
			}
		case number < 1:
			return nil, errors.New("-tenants: want 1 or more")
		default:
			o.Trace.Tenants = number
			for n := range number {
				o.Tenants = append(o.Tenants, simulation.TenantName(n))
			}
		}
	}
	if s.cluster != "" {
		return simulation.Load(s.cluster, o)
	}
	workload, err := demo.Workload()
	if err != nil {
		return nil, err
	}
	return simulation.LoadManifests(workload, nil, "internal/demo/workload", "the demo's workload", o)
}

func write(report *simulation.Report, s settings) error {
	encoded, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	encoded = append(encoded, '\n')
	switch s.output {
	case "json":
		_, err = os.Stdout.Write(encoded)
	case "text", "wide":
		err = report.WriteText(os.Stdout, s.output == "wide")
	}
	if err != nil {
		return err
	}
	if s.out != "" {
		if err := os.WriteFile(s.out, encoded, 0o644); err != nil { //nolint:gosec // the report is public
			return err
		}
	}
	if s.html == "" {
		return nil
	}
	f, err := os.Create(s.html)
	if err != nil {
		return err
	}
	if err := errors.Join(report.WriteHTML(f), f.Close()); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "the page is "+s.html)
	return nil
}
