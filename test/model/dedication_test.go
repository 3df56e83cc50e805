package model

// writeTable writes one entry with the term and the resourceVersion as guards, and does
// then to the writer once it has received the answer that it succeeded.
func (w *world) writeTable(s *state, l, n int, e entry, what string, then func(*state, *dedication), to emit) {
	if int(s.table.term) != l+1 && w.without != theGuardOfTheTable {
		t := *s
		w.end(&t, l)
		to(t, "{leader} finds another term in the table: it is deposed", about{leader: l})
		return
	}
	k := write{node: uint8(n), entry: e}
	t := *s
	w.commit(&t, k)
	t.used(e.id)
	then(&t, &t.leaders[l].nodes[n])
	to(t, what, about{leader: l, node: n})

	if w.lostAnswers && s.mishaps < w.mishaps && !s.leaders[l].write.pending {
		t = *s
		t.mishaps++
		t.used(e.id)
		k.pending = true
		t.leaders[l].write = k
		switch c := &t.leaders[l].nodes[n]; {
		case w.without == theWriteAfterUnknown:
			// The table is read again, and the write has not arrived yet.
			c.step = idle
		case c.id == 0 && c.step == idle:
			// Whether it was written or not, it has to be removed.
			c.fresh = true
			w.giveUp(&t, l, n, false)
		}
		to(t, what, about{leader: l, node: n, answerLost: true})
	}
}

// used keeps an id from being given again.
func (s *state) used(id uint8) {
	if id != closed {
		s.lastID = max(s.lastID, id)
	}
}

// opening makes a node ready for the pods that are assumed there.
func (w *world) opening(s *state, l, n int, to emit) {
	me := &s.leaders[l]
	c := &me.nodes[n]
	switch c.step {
	case idle:
		w.begin(s, l, n, to)
	case wrote:
		t := *s
		if s.nodes[n].present && c.linked {
			t.nodes[n].taint = c.owner
			unlinkAll(&t, n)
			t.leaders[l].nodes[n].step = tainted
			to(t, "{leader} taints {node}", about{leader: l, node: n})
		} else {
			w.giveUp(&t, l, n, false)
			to(t, "{leader} cannot taint {node} and gives up", about{leader: l, node: n})
		}
	case tainted:
		if w.without == theSettle || w.settledEntry(s, n, c.id) {
			t := *s
			t.leaders[l].nodes[n].step, t.leaders[l].nodes[n].doubtful = settled, false
			to(t, "{leader} has waited: nothing admitted before the entry of {node} is under way", about{leader: l, node: n})
		}
	case settled:
		w.list(s, l, n, to)
	case listed:
		if w.without == theCatchUp || w.caughtUp(me, n) {
			t := *s
			t.leaders[l].nodes[n].step, t.leaders[l].nodes[n].seen = open, 0
			to(t, "the informer of {leader} has caught up with the LIST: {node} is open", about{leader: l, node: n})
		}
	case open, noting, closing, removing, cleaning:
	}
	if w.doubts && s.mishaps < w.mishaps && (c.step == tainted || c.step == settled) {
		t := *s
		t.mishaps++
		w.giveUp(&t, l, n, false)
		to(t, "{leader} fails at {node} and gives up", about{leader: l, node: n})
	}
}

// begin dedicates a node for the first pod that is assumed there, or verifies a node that another
// process dedicated.
func (w *world) begin(s *state, l, n int, to emit) {
	me := &s.leaders[l]
	c := &me.nodes[n]
	for p := range w.pods {
		if me.assumed[p] != on(n) || s.requests[p][l].stage != none {
			continue
		}
		reuse := c.boot != 0 && w.without != theForgottenNote && w.without != theNoteWhenEmpty
		again := (c.doubtful || c.id == closed) && w.without != theNewID
		if c.id != 0 && !reuse && !again {
			if w.abandonedAdmitted(s, l, n) {
				return
			}
			t := *s
			t.leaders[l].nodes[n].step, t.leaders[l].nodes[n].doubtful = settled, false
			to(t, "{leader} begins to verify {node}", about{leader: l, node: n})
			return
		}
		if w.without == theEntryBeforeList && !w.ruleHolds(s, p, n) {
			return
		}
		if s.lastID == w.ids {
			return
		}
		e := entry{id: s.lastID + 1}
		if w.without == theNoteWhenEmpty {
			e.boot = s.nodes[n].reported
		}
		w.writeTable(s, l, n, e, "{leader} writes an entry for {node}", func(t *state, d *dedication) {
			*d = dedication{step: wrote, id: e.id, boot: e.boot, owner: w.pods[p].owner, fresh: c.id == 0, linked: true, doubtful: c.doubtful}
		}, to)
		return
	}
}

func (w *world) settledEntry(s *state, n int, id uint8) bool {
	if s.seen.entries[n].id != id {
		return false
	}
	return w.without == theLimitOfCommits ||
		!w.admittedBefore(s, func(r request) bool { return int(r.node) == n && r.underID != id })
}

func (w *world) abandonedAdmitted(s *state, l, n int) bool {
	for p := range w.pods {
		if r := s.requests[p][l]; w.pods[p].owner != noOwner && r.abandoned && r.stage == admitted && int(r.node) == n {
			return true
		}
	}
	return false
}

// ruleHolds checks the rule with the pods that really are on the node.
func (w *world) ruleHolds(s *state, p, n int) bool {
	for q := range w.pods {
		if q != p && s.pods[q] == on(n) && !w.pods[p].mayShare(w.pods[q]) {
			return false
		}
	}
	return true
}

// list lists the pods of a node at the API server, and checks the rule with them.
func (w *world) list(s *state, l, n int, to emit) {
	t := *s
	me := &t.leaders[l]
	c := &me.nodes[n]
	where := &s.pods
	if w.without == theConsistentList {
		where = &s.leaders[l].knows
	}
	managed, fits := noOwner, false
	for p := range w.pods {
		if where[p] != on(n) || w.without == theListAtOpening || w.without == theEntryBeforeList {
			continue
		}
		c.seen |= 1 << p
		if w.pods[p].owner != noOwner {
			managed = w.pods[p].owner
		}
	}
	for p := range w.pods {
		if me.assumed[p] != on(n) || s.requests[p][l].stage != none {
			continue
		}
		mayJoin := true
		for q := range w.pods {
			mayJoin = mayJoin && (q == p || c.seen&(1<<q) == 0 || w.pods[p].mayShare(w.pods[q]))
		}
		if mayJoin {
			fits = true
		} else {
			me.assumed[p] = waiting
		}
	}
	if fits {
		c.step = listed
		to(t, "{leader} lists the pods of {node}: the rule holds", about{leader: l, node: n})
		return
	}
	if managed != noOwner {
		c.owner = managed
	}
	w.giveUp(&t, l, n, managed != noOwner)
	to(t, "{leader} lists the pods of {node} and gives up: no pod that waits may join", about{leader: l, node: n})
}

// giveUp sends the pods that wait back to the queue. An entry that others may rely on stays.
func (w *world) giveUp(s *state, l, n int, managedThere bool) {
	me := &s.leaders[l]
	c := &me.nodes[n]
	for p := range w.pods {
		if me.assumed[p] == on(n) && s.requests[p][l].stage == none {
			me.assumed[p] = waiting
		}
	}
	c.step, c.seen = idle, 0
	if (c.fresh && !managedThere) || w.without == theStayOfInherited {
		c.step = removing
	}
}

func (w *world) caughtUp(me *leader, n int) bool {
	for p := range w.pods {
		if me.nodes[n].seen&(1<<p) != 0 && me.knows[p] == waiting {
			return false
		}
	}
	return true
}
