// Package admit returns pods as an API server would make them: with the RuntimeClass of the namespace, the
// overhead, the tolerations and whatever else admission writes, and with everything that it would refuse.
//
// # Where to find what
//
//	admit.go     the shipped policies and defaults, evaluated here
//	policies.go  one policy
//	dryrun.go    the same asked of a live API server, whose other controls count as well
package admit
