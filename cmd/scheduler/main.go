// Command scheduler is the stock kube-scheduler with the TenantIsolation plugin
// registered, and told who leads, and nothing else: every flag, endpoint and configuration
// field is kube-scheduler's own.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"               // for the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo/fifo" // these three are what clientgo loads, all but the metrics of leader election:
	_ "k8s.io/component-base/metrics/prometheus/restclient"    // package leadership has those, under their usual names
	_ "k8s.io/component-base/metrics/prometheus/version"       // for the build_info metric
	_ "k8s.io/component-base/metrics/prometheus/workqueue"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"

	"tenantisolation.dev/scheduler/pkg/leadership"
	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
)

func main() {
	os.Exit(cli.Run(app.NewSchedulerCommand(
		app.WithPlugin(tenantisolation.Name, tenantisolation.Elected(leadership.Install())),
	)))
}
