package audit

import "time"

const (
	// patience is how long a finding has to last before anybody is told: informers are fed
	// in no order, and a pod may be seen before its namespace.
	patience = time.Second
	// nodePatience is the same for pods on a missing node: whoever scales a cluster down
	// leaves them there until the garbage collector comes.
	nodePatience = 2 * time.Minute
	// tellAgainAfter keeps an Event from expiring, by default an hour after its last
	// change, while its finding lasts.
	tellAgainAfter = 30 * time.Minute
)

// standing is a finding with what was said about it.
type standing struct {
	Finding
	began time.Time
	// ended: it is there no more, and whoever was told of it has to be told.
	ended bool
	// told is when the last Event was sent, zero if none was; toldOf is the pod that had
	// come last by then, times is how many Events there were about it.
	told   time.Time
	toldOf Pod
	times  int32
	// failed is when an Event could last not be sent.
	failed time.Time
}

// due reports whether there is something to say.
func (s *standing) due(now time.Time) bool {
	if now.Before(s.failed.Add(retryAfter)) {
		return false
	}
	if s.ended {
		return true
	}
	if s.told.IsZero() {
		wait := patience
		if s.Reason == MissingNode {
			wait = nodePatience
		}
		return !now.Before(s.began.Add(wait))
	}
	return s.worse() || !now.Before(s.told.Add(tellAgainAfter))
}

// worse reports whether somebody has come since the last Event.
func (s *standing) worse() bool {
	return s.Last.UID != s.toldOf.UID && later(s.Last, s.toldOf) > 0
}

// look takes what has changed and publishes it.
func (a *Auditor) look() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lookLocked()
}

func (a *Auditor) lookLocked() {
	now := a.clock.Now()
	changes := a.engine.Changes()
	for _, list := range [][]Finding{changes.Began, changes.Changed} {
		for i := range list {
			a.stands(now, list[i])
		}
	}
	for i := range changes.Ended {
		a.ends(changes.Ended[i].Key)
	}
	a.metrics.found(a.engine.Counts(), a.engine.summary)
	for uid, at := range a.asked {
		// Long enough for any grace period that matters here.
		if now.After(at.Add(time.Hour)) {
			delete(a.asked, uid)
		}
	}
}

func (a *Auditor) stands(now time.Time, f Finding) {
	if s := a.standing[f.Key]; s != nil {
		s.Finding, s.ended = f, false
		return
	}
	a.standing[f.Key] = &standing{Finding: f, began: now}
	a.logger.V(2).Info("What runs breaks the rule", "reason", f.Reason, "node", f.Node, "volume", f.Volume, "pairs", f.Pairs)
}

func (a *Auditor) ends(key Key) {
	s := a.standing[key]
	if s == nil {
		return
	}
	a.logger.V(2).Info("What broke the rule has ended", "reason", key.Reason, "node", key.Node, "volume", key.Volume)
	if s.told.IsZero() {
		delete(a.standing, key)
		return
	}
	s.ended = true
}
