// Package performance describes the workloads that are measured with scheduler_perf of
// Kubernetes: the same nodes, namespaces and pods under the stock scheduler without
// isolation, under pod anti-affinity, and under this plugin.
//
// What is described here is plain data, and its tests run with all others. What runs it
// links a whole API server, which takes a minute: it is behind the build tag performance,
// and hack/bench builds it.
package performance
