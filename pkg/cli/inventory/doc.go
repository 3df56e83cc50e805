// Package inventory reads a cluster: from an API server, or from files that somebody took
// of one, or from manifests that are meant for one.
//
// # Where to find what
//
//	inventory.go  what was read, and what was not
//	check.go      what no API server would have stored
//	files.go      files, folders and standard input
//	decode.go     an object's text -> a typed object
//	slim.go       what of an object nobody reads
//	workload.go   a workload -> the pod that it will make
//	cluster.go    an API server
//
// # Size
//
// A cluster of 150,000 pods is more than a gigabyte of text. Package manifest reads it object by
// object, in one goroutine; as many as there are processors decode the objects, and drop what
// nobody reads.
package inventory
