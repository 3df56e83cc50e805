// Package residents tests law L10 by chance: two tenants with the stock role edit do at random what
// they may do, and try what they may not, with their pods, their PersistentVolumeClaims and the
// subresources of both, on a real API server with the shipped policies and the shipped scheduler.
// The test plays provisioner, kubelet and the controller that protects volumes.
//
// The history of all objects is recorded by watches and judged, in the order of the API server's
// resourceVersions, by an oracle that shares no code with the product: at the end, and now and then
// before, so that a long run ends with the first fault.
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

// judgedEvery is after how many steps the history is judged and, with -v, progress printed.
const judgedEvery = 100

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
	var early []string
	for step := range *steps {
		a.step()
		if (step+1)%judgedEvery != 0 {
			continue
		}
		// What is newer may lack what a slower watch has yet to tell.
		o := h.judge(time.Now().Add(-lag))
		t.Logf("%d of %d steps: %s", step+1, *steps, o)
		if early = o.faults; len(early) > 0 {
			break
		}
	}
	t.Logf("done: %v", a.done)
	t.Logf("refused: %v", a.refused)
	h.stop()

	o := h.judge(time.Now())
	t.Log(o)
	faults := o.faults
	if len(faults) == 0 {
		faults = early
	}
	for _, fault := range faults {
		t.Error(fault)
	}
	if len(faults) > 0 {
		return
	}
	// Otherwise the run says little.
	if *steps >= 300 && (o.placed < *steps/25 || o.shared == 0) {
		t.Error("too few pods were placed, or none beside another trust domain")
	}
}
