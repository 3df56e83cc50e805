// Package compare says what would change with another IsolationPolicy in force. Both are asked of the same
// store, so that every verdict is that of package isolation.
//
// # Where to find what
//
//	compare.go  what is compared, and the result
//	pods.go     pods and RuntimeClasses
//	nodes.go    findings and dedicated nodes
//	fields.go   the fields of the two policies
package compare
