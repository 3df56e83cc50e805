package model

// releasing removes the dedication of a node without known pods and without pods under way.
func (w *world) releasing(s *state, l, n int, to emit) {
	me := &s.leaders[l]
	c := &me.nodes[n]
	switch c.step {
	case idle, open:
		w.emptied(s, l, n, to)
	case noting:
		for _, boot := range w.bootsRead(s, n) {
			w.writeTable(s, l, n, entry{id: c.id, boot: boot}, "{leader} notes the boot of {node}", func(_ *state, d *dedication) {
				d.step, d.boot = idle, boot
			}, to)
		}
	case closing:
		if w.without == theSettleOfClosing || w.settledEntry(s, n, closed) {
			t := *s
			t.leaders[l].nodes[n].step, t.leaders[l].nodes[n].doubtful = idle, false
			to(t, "{leader} has waited: nothing admitted under the id of {node} before is under way", about{leader: l, node: n})
		}
	case removing:
		w.writeTable(s, l, n, entry{}, "{leader} removes the entry of {node}", func(_ *state, d *dedication) {
			*d = dedication{step: cleaning}
		}, to)
	case cleaning:
		t := *s
		w.untaint(&t, l, n)
		to(t, "{leader} removes the taint of {node}", about{leader: l, node: n})
	case wrote, tainted, settled, listed:
	}
}

func (w *world) untaint(s *state, l, n int) {
	if s.nodes[n].taint != noOwner {
		s.nodes[n].taint = noOwner
		unlinkAll(s, n)
	}
	s.leaders[l].nodes[n] = dedication{}
}

// emptied lists the pods of a node that seems to be empty.
func (w *world) emptied(s *state, l, n int, to emit) {
	me := &s.leaders[l]
	c := &me.nodes[n]
	if c.id == 0 || (w.without == theReleaseOfEmpty && c.step != open) {
		return
	}
	t := *s
	d := &t.leaders[l].nodes[n]
	if w.without == theListForMissing && !s.nodes[n].present {
		d.step = removing
		to(t, "{leader} sees that {node} has no Node object", about{leader: l, node: n})
		return
	}
	for p := range w.pods {
		known := me.knows[p] == on(n) && (!c.empty || w.without != theLookBack)
		if known || (me.assumed[p] == on(n) && w.without != theWaitForBinds) {
			return
		}
	}
	if c.doubtful && w.without != theClosing {
		w.writeTable(s, l, n, entry{id: closed, boot: c.boot}, "{leader} closes {node} by an id that no token has", func(_ *state, d *dedication) {
			d.step, d.id = closing, closed
		}, to)
		return
	}
	if !c.empty && w.without != theListAtRelease {
		w.listForRelease(s, l, n, to)
		return
	}
	d.empty, d.seen = false, 0
	d.step = removing
	if !w.afterReboot || w.without == theRebootItself {
		to(t, "{leader} sees that no pod has been assumed on {node} since", about{leader: l, node: n})
		return
	}
	if c.boot == 0 {
		d.step = noting
		to(t, "{leader} sees that no pod has been assumed on {node} since", about{leader: l, node: n})
		return
	}
	for _, boot := range w.bootsRead(s, n) {
		if boot != c.boot {
			to(t, "{leader} sees that {node} has been rebooted since it was empty", about{leader: l, node: n})
			return
		}
	}
}

func (w *world) listForRelease(s *state, l, n int, to emit) {
	t := *s
	c := &t.leaders[l].nodes[n]
	for p := range w.pods {
		if s.pods[p] != on(n) {
			continue
		}
		if c.owner == noOwner && w.pods[p].owner != noOwner {
			c.owner = w.pods[p].owner
			to(t, "{leader} lists the pods of {node} and learns whose it is", about{leader: l, node: n})
		}
		return
	}
	c.empty = true
	to(t, "{leader} lists the pods of {node}: there are none", about{leader: l, node: n})
}

// bootsRead returns what a process may read as the boot of a node.
func (w *world) bootsRead(s *state, n int) []uint8 {
	boot := s.nodes[n].reported
	if w.without == theFreshBoot && boot > 1 {
		return []uint8{boot, boot - 1}
	}
	return []uint8{boot}
}

// repairing brings the taint of a node in step with the table.
func (w *world) repairing(s *state, l, n int, to emit) {
	c := &s.leaders[l].nodes[n]
	m := s.nodes[n]
	if !m.present || w.without == theRepair || (c.step != idle && c.step != open) {
		return
	}
	want := c.owner
	if (c.id != 0 && c.owner == noOwner) || m.taint == want {
		return
	}
	t := *s
	t.nodes[n].taint = want
	unlinkAll(&t, n)
	to(t, "{leader} repairs the taint of {node}", about{leader: l, node: n})
}
