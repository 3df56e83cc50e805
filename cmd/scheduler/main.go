// Command scheduler is the stock kube-scheduler with the TenantIsolation plugin
// registered, and nothing else: every flag, endpoint and configuration field is
// kube-scheduler's own.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // for the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // for rest client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // for the build_info metric
	"k8s.io/kubernetes/cmd/kube-scheduler/app"

	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
)

func main() {
	os.Exit(cli.Run(app.NewSchedulerCommand(
		app.WithPlugin(tenantisolation.Name, tenantisolation.New),
	)))
}
