package cluster

import "tenantisolation.dev/scheduler/pkg/isolation"

// homes are nodes on which there are certain pods, with their number, in an order that
// makes it cheap to find one with room: full nodes stay behind the front, where they were
// when they became full, and one that a pod has left comes to the front.
type homes struct {
	at   map[string]int
	list []home
	// front is where a search begins; it goes round from there.
	front int
}

type home struct {
	node string
	pods int
}

func newHomes() *homes { return &homes{at: map[string]int{}} }

// add counts one more pod on a node, and reports whether it is the first.
func (h *homes) add(node string) bool {
	if i, ok := h.at[node]; ok {
		h.list[i].pods++
		return false
	}
	h.at[node] = len(h.list)
	h.list = append(h.list, home{node: node, pods: 1})
	return true
}

// remove counts one pod less on a node, and reports whether it was the last.
func (h *homes) remove(node string) bool {
	i, ok := h.at[node]
	if !ok {
		return false
	}
	if h.list[i].pods--; h.list[i].pods > 0 {
		h.swap(i, h.front)
		return false
	}
	last := len(h.list) - 1
	h.swap(i, last)
	h.list[last] = home{}
	h.list = h.list[:last]
	delete(h.at, node)
	if h.front >= last {
		h.front = 0
	}
	return true
}

func (h *homes) swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.at[h.list[i].node], h.at[h.list[j].node] = i, j
}

// copyFrom fills names with the nodes that come after so many others in the search, and
// returns how many there were.
func (h *homes) copyFrom(skip int, names []string) int {
	n := 0
	for ; n < len(names) && skip+n < len(h.list); n++ {
		names[n] = h.list[(h.front+skip+n)%len(h.list)].node
	}
	return n
}

// advance makes the next search begin with this node: those before it were of no use.
func (h *homes) advance(node string) {
	if i, ok := h.at[node]; ok {
		h.front = i
	}
}

// Homes fills names with nodes that hold the group, and returns how many there were. It
// begins after the first skip of them, in an order that lasts as long as nothing changes.
func (s *Store) Homes(group isolation.KernelGroup, skip int, names []string) int {
	s.pods.mu.RLock()
	defer s.pods.mu.RUnlock()
	if h := s.pods.homes[group]; h != nil {
		return h.copyFrom(skip, names)
	}
	return 0
}

// SharedNodes does the same with nodes that several trust domains may share.
func (s *Store) SharedNodes(skip int, names []string) int {
	s.pods.mu.RLock()
	defer s.pods.mu.RUnlock()
	return s.pods.shared.copyFrom(skip, names)
}

// AverageHomes returns how many nodes a trust domain that has any has on average.
func (s *Store) AverageHomes() float64 {
	s.pods.mu.RLock()
	defer s.pods.mu.RUnlock()
	return float64(s.pods.homesOfAll) / float64(max(1, len(s.pods.homes)))
}

// FoundHome makes the next search among the homes of the group begin with this node.
func (s *Store) FoundHome(group isolation.KernelGroup, node string) {
	s.pods.mu.Lock()
	defer s.pods.mu.Unlock()
	if h := s.pods.homes[group]; h != nil {
		h.advance(node)
	}
}

// FoundShared does the same for nodes that several trust domains may share.
func (s *Store) FoundShared(node string) {
	s.pods.mu.Lock()
	defer s.pods.mu.Unlock()
	s.pods.shared.advance(node)
}
