package failover

import (
	"context"
	"slices"
	"testing"
	"time"
)

// fault is something that goes wrong in the middle of a burst. It returns when pods are
// placed again.
type fault func(a *arena)

func killTheLeader(a *arena) {
	a.Helper()
	old := a.theLeader()
	a.untilNextLeaderBinds(old.name+" killed", old.Kill)
}

// pauseTheLeader stops the leader until another has taken its lease and has bound a pod, and then
// resumes it where it was stopped.
func pauseTheLeader(a *arena) {
	a.Helper()
	old := a.theLeader()
	a.untilNextLeaderBinds(old.name+" paused", func() {
		a.must(old.Pause())
		old.paused = true
	})
	a.must(old.Resume())
	begin := time.Now()
	a.eventually("the paused leader to end itself", func(context.Context) (bool, error) { return !old.running(), nil })
	a.Logf("%s resumed, it ended itself after %.1f s", old.name, time.Since(begin).Seconds())
}

func restartEtcd(a *arena) {
	a.Helper()
	a.untilBindsGoOn("etcd killed", func() { a.must(a.plane.RestartEtcd(a.Context())) })
}

func restartAPIServer(a *arena) {
	a.Helper()
	a.untilBindsGoOn("kube-apiserver killed", func() { a.must(a.plane.RestartAPIServer(a.Context())) })
}

func (a *arena) theLeader() *replica {
	a.Helper()
	var leader *replica
	a.eventually("a leader", func(context.Context) (bool, error) {
		a.fleet.tend()
		leader = a.fleet.leader()
		return leader != nil, nil
	})
	return leader
}

// untilNextLeaderBinds returns when the first bind of a new leader has been committed.
func (a *arena) untilNextLeaderBinds(what string, do func()) {
	a.Helper()
	before := a.witness.report()
	begin := time.Now()
	do()
	a.eventually("the first bind of the next leader", func(context.Context) (bool, error) {
		a.fleet.tend()
		now := a.witness.report()
		if a.dedicating {
			return now.terms > before.terms, nil
		}
		return now.managed > before.managed && a.fleet.leader() != nil, nil
	})
	a.Logf("%s after %d binds of tenants' pods, which went on after %.1f s", what, before.managed, time.Since(begin).Seconds())
}

func (a *arena) untilBindsGoOn(what string, do func()) {
	a.Helper()
	begin := time.Now()
	do()
	before := a.witness.report()
	a.eventually("binds to go on", func(context.Context) (bool, error) {
		a.fleet.tend()
		return a.witness.report().managed > before.managed, nil
	})
	a.Logf("%s after %d binds of tenants' pods, which went on after %.1f s", what, before.managed, time.Since(begin).Seconds())
}

// tend replaces the replicas that have ended, as a Deployment does: by a kill, or because
// they could not renew their lease, or found that they had been deposed.
func (f *fleet) tend() {
	f.Helper()
	ended := 0
	f.replicas = slices.DeleteFunc(f.replicas, func(r *replica) bool {
		if r.running() {
			return false
		}
		ended++
		return true
	})
	for range ended {
		f.start()
	}
}

func TestBurstWithPausesAndAKilledControlPlane(t *testing.T) {
	s := burstSize{nodes: 60, tenants: 8, managed: 300, unmanaged: 90}
	if *full {
		s = burstSize{nodes: 200, tenants: 20, managed: 1000, unmanaged: 300}
	}
	seed := theSeed(t)
	a := newArena(t, s, true)
	a.burst(seed, s, pauseTheLeader, restartAPIServer, restartEtcd)
	a.expectSound()
}
