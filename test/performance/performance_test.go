//go:build performance

package performance

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	_ "k8s.io/component-base/logs/json/register" // for the JSON log format
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	perf "k8s.io/kubernetes/test/integration/scheduler_perf"

	"tenantisolation.dev/scheduler/cmd/scheduler/app"
	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
)

// nodesVariable holds the sizes to offer, separated by commas.
const nodesVariable = "PERFORMANCE_NODES"

func TestMain(m *testing.M) {
	perf.PluginNames = append(perf.PluginNames, tenantisolation.Name)
	if err := perf.InitTests(); err != nil {
		panic(err)
	}
	m.Run()
}

// BenchmarkPerfScheduling runs the cases; the name is the one that scheduler_perf's own
// tools look for.
func BenchmarkPerfScheduling(b *testing.B) {
	var nodes []int
	for word := range strings.SplitSeq(os.Getenv(nodesVariable), ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			b.Fatalf("%s=%q: want numbers of nodes, separated by commas", nodesVariable, os.Getenv(nodesVariable))
		}
		nodes = append(nodes, n)
	}
	config, err := Config("templates", nodes)
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "performance-config.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		b.Fatal(err)
	}
	perf.RunBenchmarkPerfScheduling(b, file, "tenantisolation", frameworkruntime.Registry{tenantisolation.Name: app.NewPlugin})
}
