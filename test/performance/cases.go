package performance

import (
	"fmt"
	"path"
)

// The variants: how trust domains are kept apart.
const (
	// None is the stock scheduler, which separates nothing.
	None = "none"
	// AntiAffinity is required pod anti-affinity on the hostname, between tenants.
	AntiAffinity = "antiAffinity"
	// AntiAffinityFastPath is the same with an alpha gate of Kubernetes for it.
	AntiAffinityFastPath = "antiAffinityFastPath"
	// Plugin is this plugin.
	Plugin = "plugin"
	// PluginDedication is this plugin with dedication: it dedicates each node that it opens.
	PluginDedication = "pluginDedication"
)

// The size of the plain workload.
const (
	tenants = 20
	// pods are there at first, and as many are measured.
	pods = 2000
	// round is how many pods of a tenant come in a row. Tenants that came one after the
	// other would fill the cluster before the last ones have a node, under anti-affinity
	// with scorers that spread.
	round = 10
)

// halfUnschedulable is measured under anti-affinity as well: without isolation no pod of it
// is unschedulable.
const halfUnschedulable = "halfUnschedulable"

const pluginConfig = "scheduler-plugin.yaml"

// Cases returns all that is measured, in the order of the tables.
func Cases() []Case {
	comparison := []int{500, 5000}
	plain := func(variant string, c Case) Case {
		c.Name, c.Variant = variant, variant
		if c.Nodes == nil {
			c.Nodes = comparison
		}
		if c.ops == nil {
			c.ops = func(dir string) []op { return plainOps(dir, "pod.yaml") }
		}
		return c
	}
	affinity := func(dir string) []op { return plainOps(dir, "pod-anti-affinity.yaml") }
	cases := []Case{
		plain(None, Case{}),
		plain(AntiAffinity, Case{ops: affinity}),
		plain(AntiAffinityFastPath, Case{ops: affinity, gates: map[string]bool{"InterPodAffinityHostnameFastPath": true}}),
		plain(Plugin, Case{scheduler: pluginConfig, Nodes: []int{500, 5000, 15000}}),
		plain(PluginDedication, Case{scheduler: "scheduler-plugin-dedication.yaml", ops: dedicationOps}),
	}
	for _, m := range []Case{
		{Workload: "fourAxes", ops: fourAxesOps},
		{Workload: "kata", ops: kataOps},
		{Workload: halfUnschedulable, ops: func(dir string) []op { return halfUnschedulableOps(dir, "pod.yaml") }, share: tenants / 2},
		{Workload: "relabelled", ops: relabelledOps},
		{Workload: "churn", ops: churnOps},
	} {
		for _, variant := range []string{None, Plugin} {
			c := m
			c.Name, c.Variant, c.Nodes = m.Workload+"-"+variant, variant, []int{500}
			if variant == Plugin {
				c.scheduler = pluginConfig
			}
			cases = append(cases, c)
		}
	}
	return append(cases, Case{
		Name: halfUnschedulable + "-" + AntiAffinity, Workload: halfUnschedulable, Variant: AntiAffinity, Nodes: []int{500},
		ops: func(dir string) []op { return halfUnschedulableOps(dir, "pod-anti-affinity.yaml") }, share: tenants / 2,
	})
}

func namespace(kind string, tenant int) string { return fmt.Sprintf("%s-%d", kind, tenant) }

func tenantName(tenant int) string { return fmt.Sprintf("t%d", tenant) }

func createNodes(dir string) op {
	return op{"opcode": "createNodes", "countParam": "$nodes", "nodeTemplatePath": path.Join(dir, "node.yaml")}
}

// createNamespaces makes one namespace for each tenant. scheduler_perf counts the pods of
// namespaces that it has made, but gives all of them the same labels: so they are made
// before it makes them, and it finds them there.
func createNamespaces(dir, kind, template string) []op {
	return []op{
		{
			"opcode": "createAny", "count": tenants, "templatePath": path.Join(dir, template),
			"templateParams": map[string]any{"kind": kind},
		},
		{"opcode": "createNamespaces", "prefix": kind, "count": tenants},
	}
}

// createPods makes all pods of a kind, the tenants in turn, and waits for none of them.
func createPods(dir, kind, template string, of []int) []op {
	var ops []op
	for range pods / len(of) / round {
		for _, tenant := range of {
			ops = append(ops, op{
				"opcode": "createPods", "namespace": namespace(kind, tenant), "count": round,
				"podTemplatePath": path.Join(dir, template), "skipWaitToCompletion": true,
				"templateParams": map[string]any{"tenant": tenantName(tenant)},
			})
		}
	}
	return ops
}

func allTenants() []int {
	all := make([]int, tenants)
	for i := range all {
		all[i] = i
	}
	return all
}

func namespaces(kind string, of []int) []string {
	var names []string
	for _, tenant := range of {
		names = append(names, namespace(kind, tenant))
	}
	return names
}

// scheduled waits until all pods of the tenants have a node.
func scheduled(kind string, of []int) op {
	return op{"opcode": "barrier", "namespaces": namespaces(kind, of)}
}

// measure collects metrics while the operations run and until all pods of the tenants have
// a node.
func measure(of []int, ops ...op) []op {
	measured := append([]op{{"opcode": "startCollectingMetrics", "name": "measured", "namespaces": namespaces("measured", of)}}, ops...)
	return append(measured, scheduled("measured", of), op{"opcode": "stopCollectingMetrics"})
}

// settled is everything before the measurement: nodes, namespaces, and pods that are there.
func settled(dir, namespace, pod string) []op {
	ops := []op{createNodes(dir)}
	ops = append(ops, createNamespaces(dir, "resident", namespace)...)
	ops = append(ops, createNamespaces(dir, "measured", namespace)...)
	ops = append(ops, createPods(dir, "resident", pod, allTenants())...)
	return append(ops, scheduled("resident", allTenants()))
}

func plainOps(dir, pod string) []op {
	return append(settled(dir, "namespace.yaml", pod),
		measure(allTenants(), createPods(dir, "measured", pod, allTenants())...)...)
}

// dedicationOps is the plain workload with what the admission policies would add to it: the
// namespace of the table of dedicated nodes, and pods that tolerate those of their tenant.
func dedicationOps(dir string) []op {
	system := op{"opcode": "createAny", "templatePath": path.Join(dir, "namespace-system.yaml")}
	return append([]op{system}, plainOps(dir, "pod-dedication.yaml")...)
}
