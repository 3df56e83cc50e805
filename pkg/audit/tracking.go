package audit

import "time"

const (
	// minAge is how long a finding has to last before its first Event: informers have no common
	// order, and a pod may be seen before its namespace.
	minAge = time.Second
	// missingNodeMinAge is the same for pods on a missing node: scaling down leaves them there
	// until the garbage collector deletes them.
	missingNodeMinAge = 2 * time.Minute
	// renewAfter is when the Event of a finding that lasts is sent again, so that it does not
	// expire: by default an hour after its last change.
	renewAfter = 30 * time.Minute
)

// trackedFinding is a finding with the Events that were sent about it.
type trackedFinding struct {
	Finding
	began time.Time
	// ended: the finding has ended, and the Event about its end is due.
	ended bool
	// sentAt is when the last Event was sent, zero if none was; sentLast is Finding.Last at that
	// time, and sentCount is the number of Events with that pod.
	sentAt    time.Time
	sentLast  Pod
	sentCount int32
	// failedAt is when sending an Event last failed.
	failedAt time.Time
}

// due reports whether an Event is due.
func (s *trackedFinding) due(now time.Time) bool {
	if now.Before(s.failedAt.Add(retryAfter)) {
		return false
	}
	if s.ended {
		return true
	}
	if s.sentAt.IsZero() {
		wait := minAge
		if s.Reason == MissingNode {
			wait = missingNodeMinAge
		}
		return !now.Before(s.began.Add(wait))
	}
	return s.gotWorse() || !now.Before(s.sentAt.Add(renewAfter))
}

// gotWorse reports whether another pod has joined the finding since the last Event.
func (s *trackedFinding) gotWorse() bool {
	return s.Last.UID != s.sentLast.UID && later(s.Last, s.sentLast) > 0
}

// update tracks the findings that have changed, and publishes the metrics.
func (a *Auditor) update() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.updateLocked()
}

func (a *Auditor) updateLocked() {
	now := a.clock.Now()
	changes := a.engine.Changes()
	for _, list := range [][]Finding{changes.Began, changes.Changed} {
		for i := range list {
			a.track(now, list[i])
		}
	}
	for i := range changes.Ended {
		a.markEnded(changes.Ended[i].Key)
	}
	a.metrics.setFindings(a.engine.Counts(), a.engine.summary)
	a.looked = true
	for uid, at := range a.evictionAsked {
		// Longer than any grace period that matters here.
		if now.After(at.Add(time.Hour)) {
			delete(a.evictionAsked, uid)
		}
	}
}

func (a *Auditor) track(now time.Time, f Finding) {
	if s := a.tracked[f.Key]; s != nil {
		s.Finding, s.ended = f, false
		return
	}
	a.tracked[f.Key] = &trackedFinding{Finding: f, began: now}
	a.logger.V(2).Info("What runs breaks the rule", "reason", f.Reason, "node", f.Node, "volume", f.Volume, "pairs", f.Pairs)
}

func (a *Auditor) markEnded(key Key) {
	s := a.tracked[key]
	if s == nil {
		return
	}
	a.logger.V(2).Info("What broke the rule has ended", "reason", key.Reason, "node", key.Node, "volume", key.Volume)
	if s.sentAt.IsZero() {
		delete(a.tracked, key)
		return
	}
	s.ended = true
}
