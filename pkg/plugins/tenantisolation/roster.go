package tenantisolation

import (
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// judged is a version of a pod and what the rules make of it under an epoch. It is
// never changed after it is made.
type judged struct {
	pod     *v1.Pod
	facts   podfacts.Facts
	rules   *podfacts.Rules
	epoch   uint64
	subject isolation.Subject
}

// roster judges pods, and remembers the newest version of each that the API server or
// this scheduler's own Reserve has told of. A pod's facts are worked out once per
// version; an entry lives until the pod's deletion is seen, so nothing accumulates.
//
// It also knows where each trust domain is at home. That is a hint, where to look
// first; whether a pod may join a node is always asked of the node.
type roster struct {
	gatherer *podfacts.Gatherer
	cluster  *cluster

	mu   sync.RWMutex
	pods map[types.UID]*listed
	// assumed are the pods that are on a node only in this scheduler's mind, by node.
	assumed map[string]map[types.UID]*v1.Pod
	// homes are, for a trust domain, the nodes that hold it; shared are the nodes with
	// residents that share their machine.
	homes  map[isolation.KernelGroup]*homes
	shared *homes
	// homesOfAll is how many homes the trust domains have together.
	homesOfAll int

	// changes counts whatever may have changed who is on a node.
	changes atomic.Uint64
}

// listed is a pod in the roster.
type listed struct {
	judged *judged
	node   string
	// told: the API server has told of the pod, and will tell of its deletion.
	told bool
	// counted is where the pod is in the books of homes.
	counted place
}

// place is where a pod is at home: nowhere, if there is no node.
type place struct {
	group isolation.KernelGroup
	node  string
	open  bool
}

func (l *listed) place() place {
	group, ok := l.judged.subject.KernelGroup()
	if !ok || l.node == "" {
		return place{}
	}
	return place{group: group, node: l.node, open: l.judged.subject.Open()}
}

func newRoster(g *podfacts.Gatherer, c *cluster) *roster {
	return &roster{
		gatherer: g,
		cluster:  c,
		pods:     map[types.UID]*listed{},
		assumed:  map[string]map[types.UID]*v1.Pod{},
		homes:    map[isolation.KernelGroup]*homes{},
		shared:   newHomes(),
	}
}

// subject returns what the rule makes of a pod as it is known now: of the given
// version, or of a newer one if the roster has seen it. That the newest version counts
// is what makes it safe to wake a pod as soon as the roster has been told of a change,
// although the framework's own cache may learn of it later.
func (r *roster) subject(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	epoch := r.cluster.epoch.Load()
	known := r.known(pod.UID)
	if known == nil || (known.pod != pod && !notOlder(known.pod, pod)) {
		// The roster has not been told of this version. It will be; until then
		// nothing is remembered that no deletion would remove.
		return r.judge(rules, pod, r.gatherer.Gather(pod)).subject
	}
	if known.epoch == epoch && known.rules == rules {
		return known.subject
	}
	return r.refresh(rules, known).subject
}

// known returns what the roster remembers of a pod, nil if it was not told of it.
func (r *roster) known(uid types.UID) *judged {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if l := r.pods[uid]; l != nil {
		return l.judged
	}
	return nil
}

// facts returns those of this version of the pod, from memory if the roster was told of it.
func (r *roster) facts(pod *v1.Pod) podfacts.Facts {
	known := r.known(pod.UID)
	if known != nil && (known.pod == pod || pod.ResourceVersion != "" && known.pod.ResourceVersion == pod.ResourceVersion) {
		return known.facts
	}
	return r.gatherer.Gather(pod)
}

// judge judges a version of a pod by what the plugin knows now. The epoch is read first:
// a change meanwhile makes the result stale, never the other way round.
func (r *roster) judge(rules *podfacts.Rules, pod *v1.Pod, f podfacts.Facts) *judged {
	j := &judged{pod: pod, facts: f, rules: rules, epoch: r.cluster.epoch.Load()}
	j.subject = r.cluster.resolve(rules, pod, &f, r.cluster.pvcs.get)
	return j
}

// rejudge judges a pod again because what is around it has changed.
func (r *roster) rejudge(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	known := r.known(pod.UID)
	if known == nil {
		return r.judge(rules, pod, r.gatherer.Gather(pod)).subject
	}
	return r.refresh(rules, known).subject
}

// refresh judges a pod again whose facts are the same and whose surroundings may not be.
func (r *roster) refresh(rules *podfacts.Rules, old *judged) *judged {
	j := r.judge(rules, old.pod, old.facts)
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.pods[old.pod.UID]; l != nil && l.judged == old {
		l.judged = j
		r.count(l)
	}
	return j
}

// update tells the roster of a pod's newest version. It returns the subjects before and
// after; before is false for a pod that it did not know.
func (r *roster) update(rules *podfacts.Rules, pod *v1.Pod) (before, after isolation.Subject, known bool) {
	j := r.judge(rules, pod, r.gatherer.Gather(pod))

	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes.Add(1)
	l := r.pods[pod.UID]
	if l == nil {
		l = &listed{}
		r.pods[pod.UID] = l
	} else {
		before, known = l.judged.subject, true
	}
	l.judged, l.told = j, true
	if pod.Spec.NodeName != "" {
		r.unassume(pod.UID, l.node)
		l.node = pod.Spec.NodeName
	}
	r.count(l)
	return before, j.subject, known
}

// assume puts a pod on a node before the API server knows.
func (r *roster) assume(rules *podfacts.Rules, pod *v1.Pod, node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes.Add(1)
	l := r.pods[pod.UID]
	switch {
	case l == nil:
		// Deleted meanwhile, or not yet told of; binding will show which.
		l = &listed{judged: r.judge(rules, pod, r.gatherer.Gather(pod))}
		r.pods[pod.UID] = l
	case l.judged.pod.Spec.NodeName != "":
		return
	default:
		r.unassume(pod.UID, l.node)
	}
	l.node = node
	r.count(l)
	on := r.assumed[node]
	if on == nil {
		on = map[types.UID]*v1.Pod{}
		r.assumed[node] = on
	}
	on[pod.UID] = pod
}

// forget takes an assumed pod off its node. It does nothing for a pod that was not
// assumed, or that the API server has meanwhile put there.
func (r *roster) forget(pod *v1.Pod, node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.pods[pod.UID]
	if l == nil || l.node != node || r.assumed[node][pod.UID] == nil {
		return
	}
	r.changes.Add(1)
	r.unassume(pod.UID, node)
	l.node = ""
	r.count(l)
	if !l.told {
		delete(r.pods, pod.UID)
	}
}

// remove forgets a pod.
func (r *roster) remove(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.pods[uid]
	if l == nil {
		return
	}
	r.changes.Add(1)
	r.unassume(uid, l.node)
	l.node = ""
	r.count(l)
	delete(r.pods, uid)
}

// assumedOn returns the pods that this scheduler has put on a node and of which the
// API server does not know yet.
func (r *roster) assumedOn(node string) []*v1.Pod {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var pods []*v1.Pod
	for _, pod := range r.assumed[node] {
		pods = append(pods, pod)
	}
	return pods
}

// lastSubject returns what a pod was last judged to be, without judging it again.
func (r *roster) lastSubject(uid types.UID) (isolation.Subject, bool) {
	if known := r.known(uid); known != nil {
		return known.subject, true
	}
	return isolation.Subject{}, false
}

// nodeOf returns the node that a pod is on, assigned or assumed, or "".
func (r *roster) nodeOf(uid types.UID) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if l := r.pods[uid]; l != nil {
		return l.node
	}
	return ""
}

// homesOf fills names with nodes that hold the group, and returns how many there were. It
// begins after so many others, in an order that lasts as long as nothing changes.
func (r *roster) homesOf(group isolation.KernelGroup, skip int, names []string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if h := r.homes[group]; h != nil {
		return h.copyFrom(skip, names)
	}
	return 0
}

// sharedNodes does the same with nodes that several trust domains may share.
func (r *roster) sharedNodes(skip int, names []string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.shared.copyFrom(skip, names)
}

// averageHomes returns how many nodes a trust domain that has any has on average.
func (r *roster) averageHomes() float64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return float64(r.homesOfAll) / float64(max(1, len(r.homes)))
}

// foundHome makes the next search among the homes of the group begin with this node.
func (r *roster) foundHome(group isolation.KernelGroup, node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.homes[group]; h != nil {
		h.advance(node)
	}
}

// foundShared does the same for nodes that several trust domains may share.
func (r *roster) foundShared(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shared.advance(node)
}

// The rest is called with the lock held.

func (r *roster) unassume(uid types.UID, node string) {
	on := r.assumed[node]
	if on == nil {
		return
	}
	delete(on, uid)
	if len(on) == 0 {
		delete(r.assumed, node)
	}
}

// count brings the books up to what is known of a pod. Of most versions of a pod they
// learn nothing, and the order of the search must not change with each: a node is looked
// at first when a pod has left it, not when one has become ready.
func (r *roster) count(l *listed) {
	was, is := l.counted, l.place()
	if was == is {
		return
	}
	l.counted = is
	r.enter(is)
	r.leave(was)
}

func (r *roster) enter(p place) {
	if p.node == "" {
		return
	}
	of := r.homes[p.group]
	if of == nil {
		of = newHomes()
		r.homes[p.group] = of
	}
	if of.add(p.node) {
		r.homesOfAll++
	}
	if p.open {
		r.shared.add(p.node)
	}
}

func (r *roster) leave(p place) {
	if p.node == "" {
		return
	}
	of := r.homes[p.group]
	if of.remove(p.node) {
		r.homesOfAll--
	}
	if len(of.list) == 0 {
		delete(r.homes, p.group)
	}
	if p.open {
		r.shared.remove(p.node)
	}
}

// notOlder reports whether a is the same version of an object as b or a later one; a
// version that cannot be read is older.
func notOlder(a, b *v1.Pod) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order >= 0
}
