// Command demo shows the scheduler at work on a real control plane: make demo.
//
// Its exit status is 0 if the rule was kept and every pod is where it should be, 1 if
// not or if it could not be shown, and 130 if it was interrupted before that.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/internal/demo"
)

func main() { os.Exit(run()) }

func run() int {
	options := demo.Options{Out: os.Stdout}
	flag.StringVar(&options.Workload, "workload", "", "manifest `file` or directory to run instead of the embedded workload")
	tenants := flag.String("tenants", "", "with -workload: run it once for each of these tenants, `a,b,...`, in namespaces of their names")
	flag.StringVar(&options.Autoscaler, "autoscaler", "", "show tenants on nodes that this `autoscaler` adds and removes: "+demo.Karpenter)
	flag.IntVar(&options.Nodes, "nodes", demo.DefaultNodes, "size of the cluster; every third node can run Kata")
	flag.BoolVar(&options.Keep, "keep", false, "leave everything running until Ctrl-C and print its KUBECONFIG")
	flag.StringVar(&options.Scheduler, "scheduler", "", "scheduler `program` to show (default bin/scheduler)")
	flag.StringVar(&options.SchedulerConfig, "scheduler-config", "", "its configuration `file` (default manifests/base/scheduler-config.yaml)")
	flag.Parse()
	if *tenants != "" {
		options.Tenants = strings.Split(*tenants, ",")
	}
	if flag.NArg() > 0 || options.Nodes < 1 || (len(options.Tenants) > 0 && options.Workload == "") ||
		(options.Autoscaler != "" && (options.Autoscaler != demo.Karpenter || options.Workload != "")) {
		flag.Usage()
		return 2
	}

	// As kubectl prints them, each once.
	rest.SetDefaultWarningHandler(rest.NewWarningWriter(os.Stderr, rest.WarningWriterOptions{Deduplicate: true}))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A second Ctrl-C ends this process at once; the processes that it started end too.
	context.AfterFunc(ctx, stop)

	outcome, err := demo.Run(ctx, options)
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		fmt.Fprintln(os.Stderr, "demo: interrupted; nothing is left running")
		return 130
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	case !outcome.OK():
		return 1
	}
	return 0
}
