// Package inventory reads a cluster from an API server, from files with its objects, or from
// manifests.
//
// # Where to find what
//
//	inventory.go  the result
//	check.go      refuses what no API server would have stored
//	files.go      files, folders and standard input
//	decode.go     an object's text -> a typed object
//	part.go       a part of an object, such as a patch of kustomize
//	untyped.go    the kind of an object that has none
//	slim.go       drops the parts of an object that the tool does not read
//	workload.go   a workload -> the pod that it will create
//	cluster.go    an API server
//
// # Size
//
// A cluster of 150,000 pods is more than a gigabyte of text. One goroutine reads it object by object
// with package manifest; a goroutine for each processor decodes the objects and drops what the tool
// does not read.
package inventory
