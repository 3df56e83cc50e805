//go:build e2e

package e2e

type sightings struct{}
