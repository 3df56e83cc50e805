package model

// world is what does not change: the nodes, pods and leaders, what may happen, and which step of
// the protocol is left out.
type world struct {
	nodes   int
	pods    []pod
	leaders int
	ids     uint8
	// May happen.
	mishaps     uint8 // of those that follow, this many at most
	lostAnswers bool  // an answer to a bind or to a write of the table never arrives
	crashes     bool
	reboots     uint8
	deletions   bool // Node objects are deleted while their machines run on
	doubts      bool // an opening fails in the middle
	afterReboot bool
	without     omission
	// big worlds have hundreds of thousands of states.
	big bool
}

func (w *world) initial() state {
	s := state{}
	for n := range w.nodes {
		s.nodes[n] = node{present: true, boot: 1, reported: 1, up: true}
	}
	return s
}

// emit receives a state that may come next, and a sentence that describes the step.
type emit func(next state, sentence string, who about)

// about is what the words in braces in a sentence stand for.
type about struct {
	leader, pod, node int
	// answerLost: the sender does not learn whether it succeeded.
	answerLost bool
}

// steps emits all that may happen in a state.
func (w *world) steps(s *state, to emit) {
	w.apiServer(s, to)
	w.stockScheduler(s, to)
	w.users(s, to)
	w.machines(s, to)
	for l := range w.leaders {
		w.leader(s, l, to)
	}
}

// apiServer admits by the table as its informer has it, and commits later.
func (w *world) apiServer(s *state, to emit) {
	if s.seen != s.table {
		t := *s
		t.seen = s.table
		to(t, "the API server's informer sees the table", about{})
	}
	for p := range w.pods {
		for l := range w.leaders {
			r := s.requests[p][l]
			switch r.stage {
			case sent:
				t := *s
				if w.passes(s, p, r) {
					t.requests[p][l] = r.under(s.seen)
					to(t, "the API server admits the bind of {pod} to {node} by {sender}", about{leader: l, pod: p, node: int(r.node)})
				} else {
					t.requests[p][l].stage = refused
					to(t, "the API server refuses the bind of {pod} to {node} by {sender}", about{leader: l, pod: p, node: int(r.node)})
				}
			case admitted:
				t := *s
				if s.pods[p] == waiting {
					t.requests[p][l].stage = committed
					t.pods[p] = on(int(r.node))
					w.starts(&t, p)
					to(t, "the bind of {pod} to {node} by {sender} is committed", about{leader: l, pod: p, node: int(r.node)})
				} else {
					t.requests[p][l].stage = refused
					to(t, "the bind of {pod} by {sender} is too late", about{leader: l, pod: p})
				}
			case committed, refused, none:
			}
		}
	}
	for l := range w.leaders {
		if k := s.leaders[l].write; k.pending {
			t := *s
			w.commit(&t, k)
			t.leaders[l].write = write{}
			to(t, "the write of {leader} about {node} arrives after all", about{leader: l, node: int(k.node)})
		}
	}
}

// passes is the fence: it reports whether a bind passes.
func (w *world) passes(s *state, p int, r request) bool {
	e := s.seen.entries[r.node]
	if w.pods[p].owner == noOwner {
		return e.id == 0 || w.without == theFence
	}
	return e.id != 0 && (e.id == r.id || w.without == theIDInTheToken) &&
		(s.seen.term == r.term || w.without == theTermInTheToken)
}

// commit writes one entry. All other writes under way are for an older version, and fail.
func (w *world) commit(s *state, k write) {
	s.table.entries[k.node] = k.entry
	if w.without != theGuardOfTheTable {
		for l := range s.leaders {
			s.leaders[l].write = write{}
		}
	}
}

// starts runs a pod where it is bound, if the kubelet is up.
func (w *world) starts(s *state, p int) {
	n := &s.nodes[s.pods[p]-1]
	if !n.up {
		return
	}
	mine := uint8(0)
	if w.pods[p].owner != noOwner {
		mine = 1 << w.pods[p].owner
	}
	if w.afterReboot && n.hosted&^mine != 0 {
		s.kernelReused = true
	}
	if w.afterReboot {
		n.hosted |= mine
	}
}

// stockScheduler obeys the taints of the moment when it decides.
func (w *world) stockScheduler(s *state, to emit) {
	for p := range w.pods {
		if w.pods[p].owner != noOwner || s.pods[p] != waiting || s.requests[p][0].stage != none {
			if r := s.requests[p][0]; w.pods[p].owner == noOwner && (r.stage == committed || r.stage == refused) {
				t := *s
				t.requests[p][0] = request{}
				to(t, "the stock scheduler receives the answer for {pod}", about{pod: p})
			}
			continue
		}
		for n := range w.nodes {
			if s.nodes[n].present && s.nodes[n].taint == noOwner {
				t := *s
				t.requests[p][0] = request{stage: sent, node: uint8(n)}
				to(t, "the stock scheduler decides to bind {pod} to {node}", about{pod: p, node: n})
			}
		}
	}
}

func (w *world) users(s *state, to emit) {
	for p := range w.pods {
		if s.pods[p] == gone {
			continue
		}
		t := *s
		t.pods[p] = gone
		to(t, "{pod} is deleted", about{pod: p})
	}
}

func (w *world) machines(s *state, to emit) {
	for n := range w.nodes {
		m := s.nodes[n]
		if w.reboots > 0 && m.boot <= w.reboots && m.up {
			t := *s
			t.nodes[n].boot, t.nodes[n].up, t.nodes[n].hosted = m.boot+1, false, 0
			to(t, "{node} reboots", about{node: n})
		}
		if !m.up {
			t := *s
			t.nodes[n].up, t.nodes[n].reported = true, m.boot
			unlinkAll(&t, n)
			for p := range w.pods {
				if t.pods[p] == on(n) {
					w.starts(&t, p)
				}
			}
			to(t, "the kubelet of {node} is up and reports its boot", about{node: n})
		}
		if w.deletions && m.present {
			t := *s
			t.nodes[n].present, t.nodes[n].taint = false, noOwner
			unlinkAll(&t, n)
			to(t, "the Node object of {node} is deleted", about{node: n})
		}
		if w.deletions && !m.present {
			t := *s
			t.nodes[n].present = true
			unlinkAll(&t, n)
			to(t, "{node} registers again", about{node: n})
		}
	}
}

func unlinkAll(s *state, n int) {
	for l := range s.leaders {
		s.leaders[l].nodes[n].linked = false
	}
}
