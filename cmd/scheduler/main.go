// Command scheduler is the stock kube-scheduler with the TenantIsolation plugin
// registered, a signal of who leads, and --emulated-version set by the API servers, and nothing else:
// every flag, endpoint and configuration field is kube-scheduler's own. Its subcommand lifecycle does not
// schedule: it is what the hooks of the Helm chart run, so that one image does for all.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"               // for the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo/fifo" // these three are what clientgo loads, all but the metrics of leader election:
	_ "k8s.io/component-base/metrics/prometheus/restclient"    // package leadership has those, under their usual names
	_ "k8s.io/component-base/metrics/prometheus/version"       // for the build_info metric
	_ "k8s.io/component-base/metrics/prometheus/workqueue"

	"tenantisolation.dev/scheduler/cmd/scheduler/app"
	"tenantisolation.dev/scheduler/pkg/leadership"
)

func main() {
	process := &app.Process{Election: leadership.Install()}
	os.Exit(cli.Run(app.NewCommand(process)))
}
