package model

import (
	"fmt"
	"strings"
)

// result is what an exploration found.
type result struct {
	states, depth int
	// trace is the shortest way to a state that breaks the rule; nil if there is none.
	trace []string
	// stuck is the way to a state from which no tidy one can be reached; nil if there is none.
	stuck []string
}

// explore visits every state, breadth first, so that the first trace is a shortest one.
func (w *world) explore(limit int, liveness bool) (result, error) {
	first := w.initial()
	index := map[state]int32{first: 0}
	states, parents, depths := []state{first}, []int32{-1}, []int{0}
	var edges [][]int32 // backwards
	r := result{}
	for i := 0; i < len(states); i++ {
		if len(states) > limit {
			return r, fmt.Errorf("more than %d states", limit)
		}
		if liveness {
			edges = append(edges, nil)
		}
		from := states[i]
		r.states, r.depth = len(states), depths[i]
		if w.breaks(&from) {
			r.trace = w.trace(states, parents, int32(i))
			return r, nil
		}
		w.steps(&from, func(next state, _ string, _ about) {
			j, known := index[next]
			if !known {
				j = int32(len(states))
				index[next] = j
				states, parents, depths = append(states, next), append(parents, int32(i)), append(depths, depths[i]+1)
			}
			if liveness {
				for len(edges) <= int(j) {
					edges = append(edges, nil)
				}
				edges[j] = append(edges[j], int32(i))
			}
		})
	}
	if liveness {
		r.stuck = w.neverTidy(states, parents, edges)
	}
	return r, nil
}

// breaks reports whether a state breaks the rule.
func (w *world) breaks(s *state) bool {
	for p := range w.pods {
		for q := range p {
			if s.pods[p] == s.pods[q] && s.pods[p] != waiting && s.pods[p] != gone && !w.pods[p].mayShare(w.pods[q]) {
				return true
			}
		}
	}
	return s.kernelReused
}

// tidy reports whether all pods are gone, and all entries and taints too.
func (w *world) tidy(s *state) bool {
	for n := range w.nodes {
		if s.table.entries[n].id != 0 || s.nodes[n].taint != noOwner {
			return false
		}
	}
	for p := range w.pods {
		if s.pods[p] != gone {
			return false
		}
	}
	return true
}

// neverTidy finds a state from which no tidy one can be reached.
func (w *world) neverTidy(states []state, parents []int32, edges [][]int32) []string {
	reaches := make([]bool, len(states))
	var queue []int32
	for i := range states {
		if w.tidy(&states[i]) {
			reaches[i] = true
			queue = append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, j := range edges[i] {
			if !reaches[j] {
				reaches[j] = true
				queue = append(queue, j)
			}
		}
	}
	for i := range states {
		if !reaches[i] {
			return w.trace(states, parents, int32(i))
		}
	}
	return nil
}

// trace returns the steps to a state: it searches again, at each state, for the step to the next.
func (w *world) trace(states []state, parents []int32, end int32) []string {
	var lines []string
	for i := end; parents[i] >= 0; i = parents[i] {
		line := ""
		w.steps(&states[parents[i]], func(next state, sentence string, who about) {
			if line == "" && next == states[i] {
				line = w.describe(sentence, who)
			}
		})
		lines = append(lines, line)
	}
	for a, b := 0, len(lines)-1; a < b; a, b = a+1, b-1 {
		lines[a], lines[b] = lines[b], lines[a]
	}
	return lines
}

// describe puts names into a sentence.
func (w *world) describe(sentence string, who about) string {
	leader := fmt.Sprintf("leader %d", who.leader+1)
	p := w.pods[who.pod]
	pod, sender := fmt.Sprintf("%s's pod %d of privilege %d", p.owner, who.pod+1, p.privilege+1), leader
	if p.owner == noOwner {
		pod, sender = fmt.Sprintf("the unmanaged pod %d", who.pod+1), "the stock scheduler"
	}
	names := strings.NewReplacer("{leader}", leader, "{pod}", pod, "{sender}", sender, "{node}", fmt.Sprintf("node %d", who.node+1))
	line := names.Replace(sentence)
	if who.answerLost {
		line += ", and the answer is lost"
	}
	return line
}

func (o owner) String() string { return []string{"none", "acme", "globex"}[o] }
