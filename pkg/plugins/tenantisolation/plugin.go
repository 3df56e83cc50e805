package tenantisolation

import (
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Name is the plugin's name in the scheduler's configuration.
const Name = "TenantIsolation"

var (
	_ fwk.PreFilterPlugin   = &Plugin{}
	_ fwk.FilterPlugin      = &Plugin{}
	_ fwk.PreScorePlugin    = &Plugin{}
	_ fwk.ScorePlugin       = &Plugin{}
	_ fwk.ReservePlugin     = &Plugin{}
	_ fwk.PreBindPlugin     = &Plugin{}
	_ fwk.BindPlugin        = &Plugin{}
	_ fwk.PostBindPlugin    = &Plugin{}
	_ fwk.SignPlugin        = &Plugin{}
	_ fwk.EnqueueExtensions = &Plugin{}
)

// Plugin translates pods and nodes for package isolation and its verdicts for the
// scheduling framework. It decides nothing, and knows the cluster by the store alone.
type Plugin struct {
	handle    fwk.Handle
	logger    klog.Logger
	store     *cluster.Store
	dedicator Dedicator
	profile   profile
	lastGone  goneMemo
	// rooms is held while it is decided which of the pods that wait for a node have room there.
	rooms sync.Mutex
}

// New makes the plugin of one profile over a store that follows nothing yet, and listens to
// the store. Package cmd/scheduler/app makes the store and the dedicator from a profile's
// arguments.
func New(logger klog.Logger, handle fwk.Handle, store *cluster.Store, dedicator Dedicator) *Plugin {
	registerMetrics()
	pl := &Plugin{handle: handle, logger: logger, store: store, dedicator: dedicator}
	store.Listen(pl.changed)
	return pl
}

// Name returns the plugin's name.
func (pl *Plugin) Name() string { return Name }

// node returns what the rule reads of a node of the snapshot. It does not allocate where
// nothing has changed.
//
// No two versions of NodeInfos have the same generation, so equal generations mean equal
// pods. There is one exception: while a pod group is placed, the snapshot's NodeInfo
// gets pods and keeps its generation. Then nothing is read from the cache, nor written to it.
func (pl *Plugin) node(state fwk.CycleState, rules *podfacts.Rules, info fwk.NodeInfo) *isolation.Node {
	var memo *cluster.Memo
	if !state.IsPodGroupSchedulingCycle() {
		memo = pl.store.Memo(info.Node().Name)
	}
	if memo == nil {
		node := pl.compute(rules, info)
		return &node
	}
	stamp := pl.store.Stamp(memo, rules, info.GetGeneration())
	if node := memo.Node(stamp); node != nil {
		return node
	}
	return memo.Remember(stamp, pl.compute(rules, info))
}

func (pl *Plugin) compute(rules *podfacts.Rules, info fwk.NodeInfo) isolation.Node {
	pods := info.GetPods()
	on := make([]isolation.Resident, 0, len(pods))
	for _, p := range pods {
		on = append(on, pl.store.Resident(rules, p.GetPod()))
	}
	return pl.store.NodeWith(rules, info.Node(), on)
}

// responsible reports whether a pod is pending and this profile's to place.
func (pl *Plugin) responsible(pod *v1.Pod) bool {
	return pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && pod.Spec.SchedulerName == pl.handle.ProfileName()
}
