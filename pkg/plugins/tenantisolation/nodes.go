package tenantisolation

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// nodeMemo remembers what the rule reads of each node, so that it is worked out once
// for each change of the node and not once for each pod that looks at it.
type nodeMemo struct {
	shards [64]nodeShard
	seed   maphash.Seed
	// found are entries where a NodeInfo of some generation was last looked up, by the
	// generation's last bits. It spares Filter the node's name, and with it half of the
	// memory that a look touches. An entry says itself what it holds, so whatever is in
	// a slot is a hint.
	found [foundSlots]atomic.Pointer[nodeEntry]
}

// foundSlots, at four for each node of a cluster of 15,000, leaves few nodes to push each
// other out. It is 512 kB.
const foundSlots = 1 << 16

// nodeShard is copied when a node comes or goes, so that Filter, which asks far more often,
// takes no lock.
type nodeShard struct {
	changing sync.Mutex
	nodes    atomic.Pointer[map[string]*nodeEntry]
}

type nodeEntry struct {
	// epoch counts changes that NodeInfo does not show: a resident's newer version, the
	// node's runtime handlers, its dedication.
	epoch  atomic.Uint64
	worked atomic.Pointer[workedOut]
	// gone: nobody tells of changes any more, because the node was removed.
	gone atomic.Bool
}

// workedOut is what the rule reads of a node, and under which circumstances that is
// true. It is never changed after it is made.
type workedOut struct {
	rules        *podfacts.Rules
	generation   int64
	nodeEpoch    uint64
	clusterEpoch uint64
	node         isolation.Node
}

func newNodeMemo() *nodeMemo {
	m := &nodeMemo{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].nodes.Store(&map[string]*nodeEntry{})
	}
	return m
}

func (m *nodeMemo) shard(name string) *nodeShard {
	return &m.shards[maphash.String(m.seed, name)%uint64(len(m.shards))]
}

// entry returns nil for a node that nobody has told of, or that is gone: nothing would
// ever remove what is remembered of it.
func (m *nodeMemo) entry(name string) *nodeEntry {
	return (*m.shard(name).nodes.Load())[name]
}

// add makes room for what is remembered of a node.
func (m *nodeMemo) add(name string) {
	m.shard(name).change(func(nodes map[string]*nodeEntry) {
		if nodes[name] == nil {
			nodes[name] = &nodeEntry{}
		}
	})
}

func (m *nodeMemo) remove(name string) {
	m.shard(name).change(func(nodes map[string]*nodeEntry) {
		if e := nodes[name]; e != nil {
			e.gone.Store(true)
			e.worked.Store(nil)
		}
		delete(nodes, name)
	})
}

// entryOf returns the entry of the node that the info describes, nil like entry.
func (m *nodeMemo) entryOf(info fwk.NodeInfo) *nodeEntry {
	generation := info.GetGeneration()
	slot := &m.found[uint64(generation)%foundSlots] //nolint:gosec // bits, not an amount
	if e := slot.Load(); e != nil && !e.gone.Load() {
		if w := e.worked.Load(); w != nil && w.generation == generation {
			return e
		}
	}
	e := m.entry(info.Node().Name)
	if e != nil {
		slot.Store(e)
	}
	return e
}

func (s *nodeShard) change(change func(map[string]*nodeEntry)) {
	s.changing.Lock()
	defer s.changing.Unlock()
	nodes := maps.Clone(*s.nodes.Load())
	change(nodes)
	s.nodes.Store(&nodes)
}

// invalidate makes a node be worked out again.
func (m *nodeMemo) invalidate(name string) {
	if e := m.entry(name); e != nil {
		e.epoch.Add(1)
	}
}

// node returns what the rule reads of a node. It does not allocate where nothing has
// changed.
//
// A generation is never given twice, to whatever NodeInfo, so equal generations mean
// equal pods; with one exception: while a pod group is placed, the snapshot's NodeInfo
// gets pods and keeps its generation. Then nothing remembered is used, nor kept.
func (pl *Plugin) node(state fwk.CycleState, rules *podfacts.Rules, info fwk.NodeInfo) *isolation.Node {
	var entry *nodeEntry
	if !state.IsPodGroupSchedulingCycle() {
		entry = pl.nodes.entryOf(info)
	}
	if entry == nil {
		node := pl.workOut(rules, info)
		return &node
	}
	// The epochs are read before what they guard: a change meanwhile makes the result
	// stale, never the other way round.
	nodeEpoch, clusterEpoch := entry.epoch.Load(), pl.cluster.epoch.Load()
	generation := info.GetGeneration()
	if w := entry.worked.Load(); w != nil && w.generation == generation &&
		w.nodeEpoch == nodeEpoch && w.clusterEpoch == clusterEpoch && w.rules == rules {
		return &w.node
	}
	w := &workedOut{rules: rules, generation: generation, nodeEpoch: nodeEpoch, clusterEpoch: clusterEpoch, node: pl.workOut(rules, info)}
	entry.worked.Store(w)
	return &w.node
}

func (pl *Plugin) workOut(rules *podfacts.Rules, info fwk.NodeInfo) isolation.Node {
	pods := info.GetPods()
	residents := make([]isolation.Resident, 0, len(pods))
	for _, p := range pods {
		residents = append(residents, pl.resident(rules, p.GetPod()))
	}
	return pl.isolationNode(rules, info.Node(), residents)
}

func (pl *Plugin) resident(rules *podfacts.Rules, pod *v1.Pod) isolation.Resident {
	return isolation.Resident{UID: string(pod.UID), Subject: pl.roster.subject(rules, pod)}
}

func (pl *Plugin) isolationNode(rules *podfacts.Rules, node *v1.Node, residents []isolation.Resident) isolation.Node {
	handlers, known := pl.cluster.handlers.get(node.Name)
	if !known {
		// The framework may hear of a new node before the plugin does.
		handlers = podfacts.ReportedHandlers(node)
	}
	dedication, dedicated := pl.dedicated.dedication(node.Name)
	return isolation.Node{
		Occupancy:  isolation.NewOccupancy(residents),
		Handlers:   handlers,
		VMCapable:  rules.VMCapable(node, handlers, pl.cluster.runtimeClasses.all()),
		Dedicated:  dedicated,
		Dedication: dedication,
	}
}
