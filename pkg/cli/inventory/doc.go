// Package inventory reads a cluster: from an API server, or from files that somebody took
// of one, or from manifests that are meant for one.
//
// # Where to find what
//
//	inventory.go  what was read, and what was not
//	check.go      what no API server would have stored
//	files.go      files, folders and standard input
//	split_json.go, split_yaml.go  a stream -> objects, one by one
//	decode.go     an object's text -> a typed object
//	workload.go   a workload -> the pod that it will make
//	cluster.go    an API server
//
// # Size
//
// A cluster of 150,000 pods is more than a gigabyte of text. It is read as a stream, cut
// into objects by one goroutine and decoded by as many as there are processors; what
// nobody reads is dropped before it is decoded.
package inventory
