package performance

import (
	"fmt"
	"path"

	"sigs.k8s.io/yaml"
)

// Label selects all workloads of this package in scheduler_perf, whose own default it is.
const Label = "performance"

// Case is what is measured: nodes, namespaces and pods, and a scheduler.
type Case struct {
	// Name is a variant, or the name of a mixed workload and a variant.
	Name string
	// Workload is "" for the plain workload, which the variants are compared on.
	Workload string
	// Variant names how trust domains are kept apart.
	Variant string
	// Nodes are the sizes at which the case is measured by default.
	Nodes []int

	gates     map[string]bool
	scheduler string
	// share makes the parameter share, the number of nodes divided by it: scheduler_perf
	// refuses parameters that no operation uses.
	share int
	ops   func(dir string) []op
}

// WorkloadName is the name of a case's workload for so many nodes.
func WorkloadName(nodes int) string { return fmt.Sprintf("%dNodes", nodes) }

// op is an operation of scheduler_perf, in the form of its configuration file.
type op map[string]any

// Config returns the configuration file of scheduler_perf for all cases, each at each
// number of nodes. Templates are looked for in dir.
func Config(dir string, nodes []int) ([]byte, error) {
	var file []map[string]any
	for _, c := range Cases() {
		tc := map[string]any{
			"name":                   c.Name,
			"labels":                 []string{Label},
			"defaultPodTemplatePath": path.Join(dir, "pod.yaml"),
			"workloadTemplate":       c.ops(dir),
		}
		if c.gates != nil {
			tc["featureGates"] = c.gates
		}
		if c.scheduler != "" {
			tc["schedulerConfigPath"] = path.Join(dir, c.scheduler)
		}
		var workloads []map[string]any
		for _, n := range nodes {
			params := map[string]any{"nodes": n}
			if c.share > 0 {
				params["share"] = n / c.share
			}
			workloads = append(workloads, map[string]any{"name": WorkloadName(n), "params": params})
		}
		tc["workloads"] = workloads
		file = append(file, tc)
	}
	return yaml.Marshal(file)
}
