// Command kubectl-isolation is the administrator's tool, as a plugin of kubectl.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // for kubeconfigs of clouds

	"tenantisolation.dev/scheduler/pkg/cli"
)

func main() { os.Exit(run()) }

func run() int {
	// A cluster is read once, and most of what is allocated stays until the end: collecting
	// less often is a third faster. The limit is soft, and keeps large clusters below 2 GiB.
	debug.SetGCPercent(300)
	debug.SetMemoryLimit(1400 << 20)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	err := cli.NewCommand(streams).ExecuteContext(ctx)
	cli.PrintError(os.Stderr, err)
	return cli.ExitStatus(err)
}
