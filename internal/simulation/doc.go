// Package simulation lets the real scheduler place the pods of a cluster from files, in
// several variants that isolate tenants, and measures each placement with package density.
//
// # Where to find what
//
//	load.go, manifests.go, workloads.go   manifests -> Cluster
//	trace.go                              the CSV files of a trace -> Cluster
//	admission.go                          the changes that an API server makes to pods
//	variants.go                           one Cluster -> the clusters that are compared
//	scheduler.go, api.go                  kube-scheduler at work on a Cluster
//	model.go                              Cluster -> density.Instance
//	simulate.go                           all variants, one after the other
//	report.go, text.go, html.go           the results
package simulation
