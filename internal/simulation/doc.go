// Package simulation lets the real scheduler place the pods of a cluster that is given as
// files, in each of the variants that one could use to isolate tenants, and measures the
// outcome by the yardsticks of package density.
//
// # Where to find what
//
//	load.go, manifests.go, workloads.go   manifests -> Cluster
//	trace.go                              the CSV files of a trace -> Cluster
//	admission.go                          what an API server would write into pods
//	variants.go                           one Cluster -> the clusters that are compared
//	scheduler.go, api.go                  kube-scheduler at work on a Cluster
//	model.go                              Cluster -> density.Instance
//	simulate.go                           all variants, one after the other
//	report.go, text.go, html.go           what came of it
package simulation
