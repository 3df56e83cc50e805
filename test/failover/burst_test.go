package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// slowest is how long a bind of the stock scheduler takes to arrive at most: longer than the
// settle time, so that many arrive at a node that has become a tenant's meanwhile.
const slowest = 3 * time.Second

// A burst of tenants' pods is placed while the stock scheduler places unmanaged pods on the
// same nodes and the leader is killed again and again. The same without dedication shows that
// there was something to prevent.
func TestBurstWithKilledLeaders(t *testing.T) {
	s := burstSize{nodes: 40, tenants: 8, managed: 200, unmanaged: 60}
	faults := []fault{killTheLeader, killTheLeader}
	if *full {
		s = burstSize{nodes: 200, tenants: 20, managed: 1000, unmanaged: 300}
		faults = append(faults, killTheLeader)
	}
	seed := theSeed(t)
	t.Run("with dedication", func(t *testing.T) {
		a := newArena(t, s, true)
		a.burst(seed, s, faults...)
		a.expectSound()
		if terms := a.witness.report().terms; terms < len(faults)+1 {
			t.Errorf("binds of %d leaders were committed, want those of %d", terms, len(faults)+1)
		}
	})
	t.Run("without dedication there are pairs that break it", func(t *testing.T) {
		if !*full {
			faults = nil // there is enough to see, and sooner
		}
		a := newArena(t, s, false)
		a.burst(seed, s, faults...)
		if r := a.witness.report(); len(r.broken) == 0 {
			t.Error("none does: the run with dedication proves nothing")
		} else {
			t.Logf("for example:\n\t%s", head(r.broken))
		}
	})
}

// expectSound checks a burst, and that dedications end with its pods.
func (a *arena) expectSound() {
	a.Helper()
	for _, line := range a.witness.report().broken {
		a.Errorf("broken: %s", line)
	}
	if final := a.check(); !final.Sound() {
		a.Errorf("at the end: %s", final)
	} else {
		a.Logf("at the end: %s", final)
	}
	a.expectConsistentDedication()
	a.expectAllReleased()
}

// burst creates pods as fast as they are placed, has something fail again and again
// meanwhile, and returns when every pod is placed.
func (a *arena) burst(seed uint64, s burstSize, faults ...fault) {
	a.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	a.startStock(func() time.Duration { return time.Duration(rand.Int64N(int64(slowest))) })
	a.startFleet(2)
	a.theLeader()

	begin := time.Now()
	pods := a.load(random, s)
	var creating sync.WaitGroup
	// Never all at once: at every failure there are pods that wait, and pods still to come.
	creating.Go(func() { a.create(pods, len(pods)/5) })
	part := s.managed / (len(faults) + 1)
	for i, fails := range faults {
		moment := i*part + 1 + random.IntN(part)
		a.eventually(fmt.Sprintf("%d binds of tenants' pods", moment), func(context.Context) (bool, error) {
			a.fleet.tend()
			return a.witness.report().managed >= moment, nil
		})
		fails(a)
	}
	creating.Wait()
	a.expectAllPlaced(s.managed + s.unmanaged)
	a.figures(begin)
}

// expectAllPlaced waits until all pods are bound.
func (a *arena) expectAllPlaced(want int) {
	a.Helper()
	deadline := time.Now().Add(patience)
	for {
		a.fleet.tend()
		waiting := a.witness.waitingPods()
		if bound := a.witness.report().binds; bound == want && len(waiting) == 0 {
			return
		} else if time.Now().After(deadline) {
			a.Fatalf("%d of %d pods were bound, %d wait:\n\t%s", bound, want, len(waiting), head(waiting))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (a *arena) figures(begin time.Time) {
	a.Helper()
	r := a.witness.report()
	a.Logf("%d pods bound in %.1f s: %d of tenants, %d unmanaged", r.binds, time.Since(begin).Seconds(), r.managed, r.unmanaged)
	a.Logf("%d pairs checked at binds: %d break the rule", r.pairs, len(r.broken))
	if !a.dedicating {
		return
	}
	a.Logf("%d replicas were started, %d of them have bound pods", a.fleet.started, r.terms)
	a.Logf("%d binds were admitted before a change of the table and committed after it", len(r.contradictions))
	for _, line := range r.contradictions {
		a.Logf("\t%s", line)
	}
	a.Logf("%d writes of the table, %d of Nodes; refused binds: %s", r.tableWrites, r.nodeWrites-len(a.nodes), a.refusals())
}

// expectConsistentDedication waits until table, taints and pods agree on which nodes are dedicated.
func (a *arena) expectConsistentDedication() {
	a.Helper()
	var c dedicated
	a.eventually("table, taints and pods to name the same nodes", func(context.Context) (bool, error) {
		a.fleet.tend()
		var err error
		c, err = a.dedicated()
		return err == nil && c.consistent(), nil
	})
	a.Logf("dedicated nodes: %s", c)
}

// expectAllReleased removes all pods and waits until all nodes are released.
func (a *arena) expectAllReleased() {
	a.Helper()
	begin := time.Now()
	a.removeAll()
	var c dedicated
	a.eventually("all nodes to be released", func(context.Context) (bool, error) {
		a.fleet.tend()
		var err error
		c, err = a.dedicated()
		return err == nil && len(c.table)+len(c.taints)+len(c.tenants) == 0, nil
	})
	a.Logf("all pods deleted and all nodes released within %.1f s: %s", time.Since(begin).Seconds(), c)
}
