// Package reach asks the scheduler's own plugins which nodes a pod could be placed on, whatever the rule
// says: by its resources, selectors, affinity, spread, taints and volumes.
//
// # Where to find what
//
//	reach.go    the plugins, over a snapshot of the cluster
//	objects.go  the objects that the plugins read by informers
//	volumes.go  PVCs that nobody has made yet
//
// What it does not read is not counted: devices (ResourceClaims), limits of volumes on a node, and what a
// storage driver says of its capacity. No pod is evicted in thought.
package reach
