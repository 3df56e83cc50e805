package cluster

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

// pods judges pods, and remembers the newest version of each that the API server or this
// scheduler's own Reserve has reported. A pod's facts are worked out once per version; an
// entry lives until the pod's deletion is seen, so nothing accumulates.
//
// It also knows where each trust domain is at home. That is a hint, where to look
// first; whether a pod may join a node is always asked of the node.
type pods struct {
	store *Store

	mu    sync.RWMutex
	known map[types.UID]*entry
	// assumed are the pods that only this scheduler knows to be on a node, by node.
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

// entry is a pod that is remembered.
type entry struct {
	judged *judged
	node   string
	// reported: the API server has reported the pod, and will report its deletion.
	reported bool
	// counted is where the pod is counted as being at home.
	counted place
}

// place is where a pod is at home: nowhere, if there is no node.
type place struct {
	group isolation.KernelGroup
	node  string
	open  bool
}

func (e *entry) place() place {
	group, ok := e.judged.subject.KernelGroup()
	if !ok || e.node == "" || Ended(e.judged.pod) {
		return place{}
	}
	return place{group: group, node: e.node, open: e.judged.subject.Open()}
}

func newPods(s *Store) *pods {
	return &pods{
		store:   s,
		known:   map[types.UID]*entry{},
		assumed: map[string]map[types.UID]*v1.Pod{},
		homes:   map[isolation.KernelGroup]*homes{},
		shared:  newHomes(),
	}
}

// UID returns what identifies a pod. A pod of a manifest has no UID yet; its name stands
// for it.
func UID(pod *v1.Pod) types.UID {
	if pod.UID == "" {
		return types.UID(PodKey(pod))
	}
	return pod.UID
}

// Subject returns what the rule makes of a pod as it is known now: of the given
// version, or of a newer one if the store has seen it. That the newest version counts
// is what makes it safe to wake a pod as soon as the store has a change, although the
// scheduling framework's own cache may learn of it later.
func (s *Store) Subject(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	epoch := s.around.epoch.Load()
	known := s.pods.get(UID(pod))
	if known == nil || (known.pod != pod && !notOlder(known.pod, pod)) {
		// This version has not been reported yet. It will be; until then nothing is
		// remembered that no deletion would remove.
		return s.SubjectOf(rules, pod)
	}
	if known.epoch == epoch && known.rules == rules {
		return known.subject
	}
	return s.pods.refresh(rules, known).subject
}

// Judge is Subject by the rules in force.
func (s *Store) Judge(pod *v1.Pod) isolation.Subject { return s.Subject(s.Rules(), pod) }

// SubjectOf judges exactly this version of a pod.
func (s *Store) SubjectOf(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	return s.judge(rules, pod, s.gatherer.Gather(pod)).subject
}

// Facts returns those of this version of the pod, from memory if it has been reported.
func (s *Store) Facts(pod *v1.Pod) podfacts.Facts {
	known := s.pods.get(UID(pod))
	if known != nil && (known.pod == pod || pod.ResourceVersion != "" && known.pod.ResourceVersion == pod.ResourceVersion) {
		return known.facts
	}
	return s.gatherer.Gather(pod)
}

// judge judges a version of a pod by what is known now. The epoch is read first: a change
// meanwhile makes the result stale, never the other way round.
func (s *Store) judge(rules *podfacts.Rules, pod *v1.Pod, f podfacts.Facts) *judged {
	j := &judged{pod: pod, facts: f, rules: rules, epoch: s.around.epoch.Load()}
	j.subject = rules.Subject(pod, &f, s)
	return j
}

// Changes counts what may have changed who is on a node, or what they are judged to be. As
// long as it is the same, a node of the store is the same.
func (s *Store) Changes() (around, pods uint64) {
	return s.around.epoch.Load(), s.pods.changes.Load()
}

// Assume puts a pod on a node before the API server knows.
func (s *Store) Assume(rules *podfacts.Rules, pod *v1.Pod, node string) {
	s.pods.assume(rules, pod, node)
}

// Forget takes an assumed pod off its node. It does nothing for a pod that was not
// assumed, or that the API server has meanwhile put there.
func (s *Store) Forget(pod *v1.Pod, node string) { s.pods.forget(pod, node) }

// PodsOn returns the pods that are bound to a node and have not ended, and those that this
// scheduler has put there and that can still get there, each once. One that was deleted before
// it was bound, or that another scheduler has bound elsewhere, never will.
func (s *Store) PodsOn(node string) []*v1.Pod {
	// A pod is in the sources as bound before it stops being assumed. Asked in this order, one
	// that is bound meanwhile is not missed.
	assumed := s.pods.assumedOn(node)
	pods := s.BoundTo(node)
	bound := len(pods)
	for _, pod := range assumed {
		known := s.current(pod)
		switch {
		case known == nil, known.Spec.NodeName == "" && known.DeletionTimestamp != nil:
		case known.Spec.NodeName != "" && (known.Spec.NodeName != node || Ended(known)):
		case slices.ContainsFunc(pods[:bound], func(other *v1.Pod) bool { return UID(other) == UID(pod) }):
		default:
			pods = append(pods, pod)
		}
	}
	return pods
}

// Since returns when a pod came to its node: the kubelet says so, and before that the
// scheduler. A pod that was created with its node came with its creation.
func Since(pod *v1.Pod) time.Time {
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime.Time
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1.PodScheduled && c.Status == v1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return pod.CreationTimestamp.Time
}

// get returns what is remembered of a pod, nil if it has not been reported.
func (p *pods) get(uid types.UID) *judged {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if e := p.known[uid]; e != nil {
		return e.judged
	}
	return nil
}

// rejudge judges a pod again because what is around it has changed. It is called after the
// change and with changing held, so its result is the newest, whatever a reader has judged
// and stored meanwhile by what it had read before.
func (p *pods) rejudge(rules *podfacts.Rules, pod *v1.Pod) isolation.Subject {
	uid := UID(pod)
	for {
		known := p.get(uid)
		if known == nil {
			return p.store.SubjectOf(rules, pod)
		}
		j := p.store.judge(rules, known.pod, known.facts)
		p.mu.Lock()
		e := p.known[uid]
		stored := e == nil || e.judged.pod == known.pod
		if e != nil && stored {
			e.judged = j
			p.count(e)
		}
		p.mu.Unlock()
		if stored {
			return j.subject
		}
	}
}

// refresh judges a pod again whose facts are the same, and what is around it may not be.
func (p *pods) refresh(rules *podfacts.Rules, old *judged) *judged {
	j := p.store.judge(rules, old.pod, old.facts)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.known[UID(old.pod)]; e != nil && e.judged == old {
		e.judged = j
		p.count(e)
	}
	return j
}

// update takes a pod's newest version. It returns the subjects before and after; known is
// false, and before the zero Subject, for a pod that was not remembered.
func (p *pods) update(rules *podfacts.Rules, pod *v1.Pod) (before, after isolation.Subject, known bool) {
	j := p.store.judge(rules, pod, p.store.gatherer.Gather(pod))
	uid := UID(pod)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes.Add(1)
	e := p.known[uid]
	if e == nil {
		e = &entry{}
		p.known[uid] = e
	} else {
		before, known = e.judged.subject, true
	}
	e.judged, e.reported = j, true
	if pod.Spec.NodeName != "" {
		p.unassume(uid, e.node)
		e.node = pod.Spec.NodeName
	}
	p.count(e)
	return before, j.subject, known
}

func (p *pods) assume(rules *podfacts.Rules, pod *v1.Pod, node string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes.Add(1)
	uid := UID(pod)
	e := p.known[uid]
	switch {
	case e == nil:
		// Deleted meanwhile, or not reported yet; binding will show which.
		e = &entry{judged: p.store.judge(rules, pod, p.store.gatherer.Gather(pod))}
		p.known[uid] = e
	case e.judged.pod.Spec.NodeName != "":
		return
	default:
		p.unassume(uid, e.node)
	}
	e.node = node
	p.count(e)
	on := p.assumed[node]
	if on == nil {
		on = map[types.UID]*v1.Pod{}
		p.assumed[node] = on
	}
	on[uid] = pod
}

func (p *pods) forget(pod *v1.Pod, node string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	uid := UID(pod)
	e := p.known[uid]
	if e == nil || e.node != node || p.assumed[node][uid] == nil {
		return
	}
	p.changes.Add(1)
	p.unassume(uid, node)
	e.node = ""
	p.count(e)
	if !e.reported {
		delete(p.known, uid)
	}
}

// remove forgets a pod.
func (p *pods) remove(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.known[uid]
	if e == nil {
		return
	}
	p.changes.Add(1)
	p.unassume(uid, e.node)
	e.node = ""
	p.count(e)
	delete(p.known, uid)
}

func (p *pods) assumedOn(node string) []*v1.Pod {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var assumed []*v1.Pod
	for _, pod := range p.assumed[node] {
		assumed = append(assumed, pod)
	}
	return assumed
}

// lastSubject returns what a pod was last judged to be, without judging it again; the zero
// Subject if it is not remembered.
func (p *pods) lastSubject(uid types.UID) isolation.Subject {
	if known := p.get(uid); known != nil {
		return known.subject
	}
	return isolation.Subject{}
}

// nodeOf returns the node that a pod is on, assigned or assumed, or "".
func (p *pods) nodeOf(uid types.UID) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if e := p.known[uid]; e != nil {
		return e.node
	}
	return ""
}

// The rest is called with the lock held.

func (p *pods) unassume(uid types.UID, node string) {
	on := p.assumed[node]
	if on == nil {
		return
	}
	delete(on, uid)
	if len(on) == 0 {
		delete(p.assumed, node)
	}
}

// count brings the homes up to what is known of a pod. Most versions of a pod change
// nothing there, and the order of the search must not change with each: a node is looked
// at first when a pod has left it, not when one has become ready.
func (p *pods) count(e *entry) {
	was, is := e.counted, e.place()
	if was == is {
		return
	}
	e.counted = is
	p.enter(is)
	p.leave(was)
}

func (p *pods) enter(at place) {
	if at.node == "" {
		return
	}
	of := p.homes[at.group]
	if of == nil {
		of = newHomes()
		p.homes[at.group] = of
	}
	if of.add(at.node) {
		p.homesOfAll++
	}
	if at.open {
		p.shared.add(at.node)
	}
}

func (p *pods) leave(at place) {
	if at.node == "" {
		return
	}
	of := p.homes[at.group]
	if of.remove(at.node) {
		p.homesOfAll--
	}
	if len(of.list) == 0 {
		delete(p.homes, at.group)
	}
	if at.open {
		p.shared.remove(at.node)
	}
}

// notOlder reports whether a is the same version of an object as b or a later one; a
// version that cannot be read is older.
func notOlder(a, b *v1.Pod) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order >= 0
}
