package cluster

import (
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// nodes are the nodes that exist, with what is remembered of them.
type nodes struct {
	count atomic.Int64

	mu    sync.RWMutex
	memos map[string]*Memo
}

// NodeCount returns how many nodes there are. It takes no lock.
func (s *Store) NodeCount() int { return int(s.nodes.count.Load()) }

func (n *nodes) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.memos == nil {
		n.memos = map[string]*Memo{}
	}
	if n.memos[name] == nil {
		n.memos[name] = &Memo{}
		n.count.Add(1)
	}
}

func (n *nodes) remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.memos[name] != nil {
		delete(n.memos, name)
		n.count.Add(-1)
	}
}

// invalidate has a node worked out again.
func (n *nodes) invalidate(name string) {
	if m := n.memo(name); m != nil {
		m.epoch.Add(1)
	}
}

func (n *nodes) memo(name string) *Memo {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.memos[name]
}

// Memo remembers what the rule reads of a node of a snapshot, so that it is worked out once
// for each change of the node and not once for each pod that is to be placed.
type Memo struct {
	// epoch counts changes that the snapshot does not show: a resident's newer version,
	// what is read of the node itself, its dedication.
	epoch atomic.Uint64
	last  atomic.Pointer[remembered]
}

// Stamp says under which circumstances something is true of a node.
type Stamp struct {
	rules        *podfacts.Rules
	generation   int64
	nodeEpoch    uint64
	clusterEpoch uint64
}

// remembered is never changed after it is made.
type remembered struct {
	stamp Stamp
	node  isolation.Node
}

// Memo returns what is remembered of a node, nil for one that has not been reported, or is
// gone: nothing would ever remove what is remembered of it.
func (s *Store) Memo(node string) *Memo { return s.nodes.memo(node) }

// Stamp returns the circumstances of now, for a node of this generation of a snapshot. It is
// taken before the node is worked out: a change meanwhile makes the result stale, never the
// other way round.
func (s *Store) Stamp(m *Memo, rules *podfacts.Rules, generation int64) Stamp {
	return Stamp{rules: rules, generation: generation, nodeEpoch: m.epoch.Load(), clusterEpoch: s.around.epoch.Load()}
}

// Node returns the node that was remembered under this stamp, nil if there is none.
func (m *Memo) Node(stamp Stamp) *isolation.Node {
	if last := m.last.Load(); last != nil && last.stamp == stamp {
		return &last.node
	}
	return nil
}

// Remember keeps a node that was worked out, and returns it.
func (m *Memo) Remember(stamp Stamp, node isolation.Node) *isolation.Node {
	kept := &remembered{stamp: stamp, node: node}
	m.last.Store(kept)
	return &kept.node
}

// NodeWith returns what the rule reads of a node on which these pods are, of each the
// newest version that is known.
func (s *Store) NodeWith(rules *podfacts.Rules, object *v1.Node, on []isolation.Resident) isolation.Node {
	of, known := s.around.machines.get(object.Name)
	if !known {
		// The snapshot may have a new node before the store has.
		of = s.machineOf(rules, object)
	}
	node := s.node(object.Name, on)
	of.apply(&node)
	return node
}

// CurrentNode returns a node as the sources have it now, with the pods that only this
// scheduler knows to be there. The sources are never behind the event that is being handled.
func (s *Store) CurrentNode(rules *podfacts.Rules, name string) isolation.Node {
	node := s.node(name, s.residents(rules, s.PodsOn(name)))
	// Of a node that has not been reported yet nothing is known, which counts as all
	// handlers here: a pod is rather woken in vain.
	of, _ := s.around.machines.get(name)
	of.apply(&node)
	return node
}

// node is where every isolation.Node of the store is made.
func (s *Store) node(name string, on []isolation.Resident) isolation.Node {
	node := isolation.Node{Occupancy: isolation.NewOccupancy(on)}
	if s.dedications != nil {
		s.dedications.Dedicated(name).apply(&node)
	}
	return node
}

// Resident returns a pod as a resident, as it is known now.
func (s *Store) Resident(rules *podfacts.Rules, pod *v1.Pod) isolation.Resident {
	return isolation.Resident{UID: string(UID(pod)), Subject: s.Subject(rules, pod)}
}

// Residents returns the pods that are bound to a node, as they are known now.
func (s *Store) Residents(rules *podfacts.Rules, node string) []isolation.Resident {
	return s.residents(rules, s.BoundTo(node))
}

func (s *Store) residents(rules *podfacts.Rules, pods []*v1.Pod) []isolation.Resident {
	on := make([]isolation.Resident, 0, len(pods))
	for _, pod := range pods {
		on = append(on, s.Resident(rules, pod))
	}
	return on
}

// Occupancy returns who is on a node, as CurrentNode has it.
func (s *Store) Occupancy(node string) isolation.Occupancy {
	return s.CurrentNode(s.Rules(), node).Occupancy
}

// Policy returns the policy in force.
func (s *Store) Policy() *isolation.Policy { return s.Rules().Policy }

// DedicationOf returns what a node's taints say that it is dedicated to, false if none of
// them is a dedication's.
func (s *Store) DedicationOf(node *v1.Node) (isolation.Dedication, bool) {
	taints := make([]isolation.Taint, 0, len(node.Spec.Taints))
	for i := range node.Spec.Taints {
		taints = append(taints, isolation.Taint{Key: node.Spec.Taints[i].Key, Value: node.Spec.Taints[i].Value})
	}
	return s.Rules().ParseDedication(taints)
}
