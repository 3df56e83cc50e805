// Package residents tests law L10 by chance: two tenants with the stock role edit do at random what
// they may do, and try what they may not, with their pods, their PersistentVolumeClaims and the
// subresources of both, on a real API server with the shipped policies and the shipped scheduler.
// The test plays provisioner, kubelet and the controller that protects volumes.
//
// The history of all objects is recorded by watches and judged afterwards, in the order of the
// API server's resourceVersions, by an oracle that shares no code with the product.
package residents

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	steps = flag.Int("steps", 300, "how many things the tenants do")
	seed  = flag.Uint64("seed", 0, "seed of what they do, to repeat a failure; 0 takes a new one")
)

// patience is the deadline of all that the test waits for.
const patience = time.Minute

// Nothing that a tenant may write about a running pod lets a pod join who could not before, or
// makes a finding go away.
func TestL10StampedWhateverTenantsDo(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("repeat with: go test ./test/residents -steps=%d -seed=%d", *steps, *seed)
	w := startWorld(t)
	h := w.record()
	a := &actors{world: w, random: rand.New(rand.NewPCG(*seed, 0)), done: map[string]int{}, refused: map[string]int{}}
	for range *steps {
		a.step()
	}
	t.Logf("done: %v", a.done)
	t.Logf("refused: %v", a.refused)
	h.stop()

	o := newOracle()
	for _, e := range h.events {
		o.see(e)
	}
	t.Logf("%d placements, %d beside another trust domain; %d findings began, %d ended", o.placed, o.shared, o.began, o.ended)
	for _, fault := range o.faults {
		t.Error(fault)
	}
	// Otherwise the run says little.
	if *steps >= 300 && (o.placed < *steps/25 || o.shared == 0) {
		t.Error("too few pods were placed, or none beside another trust domain")
	}
}
