package model

// leader emits all that one of our processes may do next.
func (w *world) leader(s *state, l int, to emit) {
	me := &s.leaders[l]
	if me.phase == ended {
		return
	}
	for p := range w.pods {
		if me.knows[p] != s.pods[p] && me.phase != standby {
			t := *s
			t.leaders[l].knows[p] = s.pods[p]
			if me.assumed[p] != waiting && t.requests[p][l].stage == none && s.pods[p] != waiting {
				t.leaders[l].assumed[p] = waiting
			}
			to(t, "the informer of {leader} sees where {pod} is", about{leader: l, pod: p})
		}
	}
	// The last one does not crash: without any leader nothing is ever tidied.
	if w.crashes && s.mishaps < w.mishaps && l < w.leaders-1 && me.phase != standby {
		t := *s
		t.mishaps++
		w.end(&t, l)
		to(t, "{leader} crashes", about{leader: l})
	}
	switch me.phase {
	case standby:
		if int(s.table.term) == l {
			w.takeTerm(s, l, to)
		}
	case taking:
		if w.without == theTermSettle || w.settledTerm(s, l) {
			t := *s
			t.leaders[l].phase = leading
			to(t, "{leader} has waited: nothing admitted under another term is under way", about{leader: l})
		}
	case leading:
		for p := range w.pods {
			w.decide(s, l, p, to)
			w.receiveAnswer(s, l, p, to)
		}
		for n := range w.nodes {
			w.opening(s, l, n, to)
			w.binding(s, l, n, to)
			w.releasing(s, l, n, to)
			w.repairing(s, l, n, to)
		}
	case ended:
	}
}

// end ends a process; its requests stay.
func (w *world) end(s *state, l int) {
	k := s.leaders[l].write
	s.leaders[l] = leader{phase: ended, write: k}
	for p := range w.pods {
		w.abandon(s, p, l)
	}
}

func (w *world) abandon(s *state, p, l int) {
	if w.pods[p].owner == noOwner {
		return
	}
	switch r := &s.requests[p][l]; r.stage {
	case none:
	case sent, admitted:
		r.abandoned = true
	case committed, refused:
		*r = request{}
	}
}

// takeTerm writes the term and reads the table. Of pods the process knows what its informer
// knows, which is nothing yet.
func (w *world) takeTerm(s *state, l int, to emit) {
	t := *s
	me := &t.leaders[l]
	me.phase = taking
	t.table.term = uint8(l + 1)
	if w.without != theGuardOfTheTable {
		for i := range t.leaders {
			t.leaders[i].write = write{}
		}
	}
	for n := range w.nodes {
		if e := s.table.entries[n]; e.id != 0 {
			me.nodes[n] = dedication{id: e.id, boot: e.boot, owner: s.nodes[n].taint}
			if w.without == theVerification {
				me.nodes[n].step = open
			}
		}
	}
	to(t, "{leader} takes over", about{leader: l})
}

// settledTerm reports whether the settle time is over: the API server has seen the term, and the
// requests that it admitted before have ended.
func (w *world) settledTerm(s *state, l int) bool {
	if int(s.seen.term) != l+1 {
		return false
	}
	return w.without == theLimitOfCommits || !w.admittedBefore(s, func(r request) bool { return int(r.underTerm) != l+1 })
}

func (w *world) admittedBefore(s *state, before func(request) bool) bool {
	for p := range w.pods {
		for l := range w.leaders {
			if r := s.requests[p][l]; r.stage == admitted && before(r) {
				return true
			}
		}
	}
	return false
}

// decide is the scheduling cycle: it checks the rule with the known and the assumed pods.
func (w *world) decide(s *state, l, p int, to emit) {
	me := &s.leaders[l]
	if w.pods[p].owner == noOwner || me.knows[p] != waiting || me.assumed[p] != waiting || s.requests[p][l].stage != none {
		return
	}
	for n := range w.nodes {
		c := &me.nodes[n]
		if !s.nodes[n].present || c.step >= noting || !w.fits(me, p, n) {
			continue
		}
		if c.id != 0 && c.owner != w.pods[p].owner {
			continue
		}
		t := *s
		t.leaders[l].assumed[p] = on(n)
		if w.without != theLookBack {
			t.leaders[l].nodes[n].empty = false
		}
		to(t, "{leader} decides to bind {pod} to {node}", about{leader: l, pod: p, node: n})
	}
}

// fits checks the rule with the pods that a leader knows on a node, or has assumed there.
func (w *world) fits(me *leader, p, n int) bool {
	for q := range w.pods {
		if q == p {
			continue
		}
		if (me.knows[q] == on(n) || me.assumed[q] == on(n)) && !w.pods[p].mayShare(w.pods[q]) {
			return false
		}
	}
	return true
}

// receiveAnswer is the answer to a bind, or its loss.
func (w *world) receiveAnswer(s *state, l, p int, to emit) {
	r := s.requests[p][l]
	if w.pods[p].owner == noOwner || r.stage == none || r.abandoned {
		return
	}
	n := int(r.node)
	if r.stage == committed || r.stage == refused {
		t := *s
		t.requests[p][l] = request{}
		t.leaders[l].assumed[p] = waiting
		if r.stage == committed {
			t.leaders[l].knows[p] = s.pods[p]
			to(t, "{leader} receives the answer that {pod} is bound", about{leader: l, pod: p})
		} else {
			to(t, "{leader} receives the answer that the bind of {pod} is refused", about{leader: l, pod: p})
		}
	}
	if !w.lostAnswers || s.mishaps == w.mishaps {
		return
	}
	t := *s
	t.mishaps++
	w.abandon(&t, p, l)
	me := &t.leaders[l]
	me.assumed[p] = waiting
	c := &me.nodes[n]
	if c.id == r.id && w.without != theReopening {
		c.doubtful = true
		if c.step == open {
			c.step, c.seen = idle, 0
		}
	}
	to(t, "{leader} loses the answer to the bind of {pod}", about{leader: l, pod: p})
}

// binding sends the binds that were decided, to a node that is open.
func (w *world) binding(s *state, l, n int, to emit) {
	me := &s.leaders[l]
	c := &me.nodes[n]
	if c.step != open {
		return
	}
	for p := range w.pods {
		if me.assumed[p] != on(n) || s.requests[p][l].stage != none {
			continue
		}
		t := *s
		if w.without != theRuleAtBind && (me.knows[p] != waiting || !w.fits(me, p, n)) {
			t.leaders[l].assumed[p] = waiting
			to(t, "{leader} finds that {pod} no longer fits", about{leader: l, pod: p})
			continue
		}
		t.requests[p][l] = request{stage: sent, node: uint8(n), term: uint8(l + 1), id: c.id}
		t.leaders[l].nodes[n].fresh = false
		to(t, "{leader} sends the bind of {pod} to {node}", about{leader: l, pod: p, node: n})
	}
}
