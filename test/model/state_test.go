// Package model explores every state that the protocol of dedication can reach in a small world:
// a node or two, a few pods, two leaders of which the first never learns that it has
// been deposed, the stock scheduler, and an API server that admits a request at one time
// and commits it at another. It is written from docs/decisions/0018-dedication-and-fence.md
// and shares no code with pkg/dedication.
//
// A process may be paused between any two of its steps: there is no order among the steps
// of different processes but the one that they wait for.
package model

const (
	maxNodes   = 2
	maxPods    = 3
	maxLeaders = 2
)

// state is one state of the whole world. It is compared and hashed as a value, so what no longer
// matters is set to zero.
type state struct {
	table table
	// seen is the table as the informer of the API server's admission has it.
	seen  table
	nodes [maxNodes]node
	// pods is where each pod is.
	pods    [maxPods]place
	leaders [maxLeaders]leader
	// requests to bind a pod, by pod and sender: one of the leaders, or the first for the
	// stock scheduler.
	requests [maxPods][maxLeaders]request
	lastID   uint8
	mishaps  uint8
	// kernelReused is set when a pod ran on a kernel that had hosted another tenant.
	kernelReused bool
}

// place is where a pod is: nowhere yet, on a node (its index plus one), or gone.
type place uint8

const (
	waiting place = 0
	gone    place = maxNodes + 1
)

func on(n int) place { return place(n + 1) }

// table is the ConfigMap that the fence reads.
type table struct {
	term    uint8 // the leader's index plus one
	entries [maxNodes]entry
}

// entry of a node. An id of zero is no entry; boot is the boot in which the node was found empty.
type entry struct{ id, boot uint8 }

// closed is the id of an entry that is in no token.
const closed uint8 = 99

type node struct {
	present bool
	taint   owner
	// boot counts kernels; reported is what the Node object says, which its kubelet
	// updates when it comes up.
	boot, reported uint8
	up             bool
	// hosted are the tenants whose pods have run on this kernel, as bits.
	hosted uint8
}

// owner is a tenant; unmanaged pods and free nodes have noOwner.
type owner uint8

const (
	noOwner owner = iota
	acme
	globex
)

// pod is what never changes about a pod. Pods of one owner and different privileges share a
// dedication but not a kernel.
type pod struct {
	owner     owner
	privilege uint8
}

func (p pod) mayShare(q pod) bool { return p == q }

// stage of a request on its way to the API server and back.
type stage uint8

const (
	none stage = iota
	sent
	admitted
	committed
	refused
)

type request struct {
	stage stage
	node  uint8
	// The token.
	term, id uint8
	// What the table said of the node when the request was admitted.
	underTerm, underID uint8
	// abandoned: the sender has stopped waiting for the answer.
	abandoned bool
}

func (r request) under(t table) request {
	r.stage, r.underTerm, r.underID = admitted, t.term, t.entries[r.node].id
	return r
}

type phase uint8

const (
	standby phase = iota
	taking        // its term is in the table
	leading
	ended // crashed, or has noticed that it is deposed
)

type leader struct {
	phase phase
	nodes [maxNodes]dedication
	// knows is where this process's informer has each pod.
	knows [maxPods]place
	// assumed is where it has decided to bind each pod.
	assumed [maxPods]place
	write   write
}

// step of what a leader does with a node.
type step uint8

const (
	idle     step = iota // this leader may bind no pod; dedication.id says whether the node is dedicated
	wrote                // the entry is in the table
	tainted              // and the taint on the Node
	settled              // and no earlier request is under way
	listed               // and the rule holds with those on the node; the informer lags behind
	open                 // pods are bound without further steps
	noting               // found empty, its boot is to be written
	closing              // the entry has an id that no token has
	removing             // found empty, the entry is to be removed
	cleaning             // the entry is removed, the taint is not
)

// dedication is what a leader remembers about a node.
type dedication struct {
	step  step
	id    uint8
	boot  uint8
	owner owner
	// fresh: this process wrote the entry and has bound no pod by it, and before it there
	// was none.
	fresh bool
	// doubtful: a bind by this id, or one before it, has an unknown outcome.
	doubtful bool
	// empty: a LIST found no pod, and no pod has been assumed here since it was sent.
	empty bool
	// linked: no one has written the Node since this process read it.
	linked bool
	// seen are the pods of the last LIST, as bits.
	seen uint8
}

// write is a write of the table whose answer was lost. It arrives only if the table has
// not been written since, because the resourceVersion guards it.
type write struct {
	pending bool
	node    uint8
	entry   entry
}
