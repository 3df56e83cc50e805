package cluster

import (
	"maps"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// What follows is called with changing held: with nil before for an addition, with nil
// after for a deletion.

func (s *Store) namespaceChanged(before, after *v1.Namespace) {
	name := either(before, after).Name
	affected := indexed[*v1.Pod](s.sources.pods, byNamespace, name)
	if after == nil {
		s.change(NamespaceChanged, affected, func() { s.around.namespaces.unset(name) })
		return
	}
	now := podfacts.Namespace{Labels: after.Labels, Created: after.CreationTimestamp}
	if old, known := s.around.namespaces.get(name); known && maps.Equal(old.Labels, now.Labels) && old.Created.Equal(&now.Created) {
		return
	}
	s.change(NamespaceChanged, affected, func() { s.around.namespaces.set(name, now) })
}

func (s *Store) runtimeClassChanged(before, after *nodev1.RuntimeClass) {
	name := either(before, after).Name
	defer s.judgeMachines()
	s.change(RuntimeClassChanged, indexed[*v1.Pod](s.sources.pods, byRuntimeClass, name), func() {
		if after == nil {
			s.around.runtimeClasses.unset(name)
			return
		}
		s.around.runtimeClasses.set(name, podfacts.NewRuntimeClass(after))
	})
}

func (s *Store) pvcChanged(before, after *v1.PersistentVolumeClaim) {
	if after != nil {
		s.judgePVC(after)
		return
	}
	key := pvcKey(before)
	s.changePVC(key, true, func() { s.around.pvcs.unset(key) })
}

func (s *Store) volumeChanged(before, after *v1.PersistentVolume) {
	volume := either(before, after)
	for _, pvc := range indexed[*v1.PersistentVolumeClaim](s.sources.pvcs, byVolume, volume.Name) {
		s.judgePVC(pvc)
	}
	// Only a directory of the host, coming or going, says something of a PVC that has no
	// volume yet.
	for _, v := range []*v1.PersistentVolume{before, after} {
		if v != nil && s.Rules().VolumeOnHost(v) {
			s.judgeUnboundPVCs(v.Spec.StorageClassName)
		}
	}
}

func (s *Store) storageClassChanged(before, after *storagev1.StorageClass) {
	s.judgeUnboundPVCs(either(before, after).Name)
}

func (s *Store) judgeUnboundPVCs(class string) {
	for _, pvc := range indexed[*v1.PersistentVolumeClaim](s.sources.pvcs, unusedByClass, class) {
		s.judgePVC(pvc)
	}
}

// judgePVC notes whether a PVC's volume is, or may become, a directory of the host.
func (s *Store) judgePVC(pvc *v1.PersistentVolumeClaim) {
	key := pvcKey(pvc)
	onHost := s.onHost(pvc)
	old, known := s.around.pvcs.get(key)
	s.changePVC(key, !known || old != onHost, func() { s.around.pvcs.set(key, onHost) })
}

// changePVC applies a change of a PVC. The nodes of the pods that mount it are reported in
// any case: which files are behind a PVC is not judged here.
func (s *Store) changePVC(key string, matters bool, apply func()) {
	mounting := indexed[*v1.Pod](s.sources.pods, byPVC, key)
	e := Event{Cause: PVCChanged}
	if matters {
		e = s.compare(PVCChanged, mounting, apply)
	}
	for _, pod := range mounting {
		e.touch(pod.Spec.NodeName)
	}
	s.report(e)
}

// nodeChanged follows what the rule reads of nodes themselves: a change of the runtime handlers
// raises no event of the framework, and of labels and taints none that the plugin follows.
func (s *Store) nodeChanged(before, after *v1.Node) {
	name := either(before, after).Name
	if after == nil {
		e := Event{Cause: NodeRemoved, Nodes: []Change{{Node: name}}}
		if was, _ := s.around.machines.get(name); was.plain != nil {
			e.plain = []*plainNode{was.plain}
		}
		s.around.machines.unset(name)
		s.nodes.remove(name)
		s.report(e)
		return
	}
	e := Event{Cause: NodeChanged, Nodes: []Change{{Node: name}}}
	if before == nil {
		e.Cause = NodeAdded
	}
	if change, old := s.setMachine(name, after); old != nil {
		// Of a new node the framework raises an event, and not before it knows the node.
		if before != nil {
			e.Nodes[0] = change
		}
		e.lost(old)
	}
	s.report(e)
}

func (s *Store) podChanged(before, after *v1.Pod) {
	e := Event{Cause: PodChanged}
	defer func() { s.report(e) }()
	if before != nil && (after == nil || UID(after) != UID(before)) {
		// An informer may show a deletion and a creation as one update.
		s.pods.remove(UID(before))
		s.gone.Add(before.UID, nil)
		e.touch(before.Spec.NodeName)
		before = nil
	}
	if after == nil {
		return
	}
	switch {
	case before == nil:
		e.touch(after.Spec.NodeName)
	case before.Spec.NodeName != after.Spec.NodeName || Ended(before) != Ended(after) || !Since(before).Equal(Since(after)) ||
		!equality.Semantic.DeepEqual(before.Spec.Volumes, after.Spec.Volumes):
		e.touch(before.Spec.NodeName)
		e.touch(after.Spec.NodeName)
	}
	rules := s.Rules()
	was, is, known := s.pods.update(rules, after)
	node := s.pods.nodeOf(UID(after))
	if node == "" || !known || was.Equivalent(is) {
		return
	}
	// A resident's labels, annotations or ephemeral containers give it another trust
	// domain. The framework's cache may not know yet, so the node is not compared
	// with what it was there.
	s.nodes.invalidate(node)
	e.Nodes = append(e.Nodes, s.resident(rules, node, UID(after), was))
}

// resident returns the change of a node on which one pod was judged otherwise before.
func (s *Store) resident(rules *podfacts.Rules, node string, uid types.UID, was isolation.Subject) Change {
	after := s.CurrentNode(rules, node)
	before := after
	before.Occupancy = after.Occupancy.With(isolation.Resident{UID: string(uid), Subject: was})
	return Change{Node: node, Before: &before, After: &after}
}

// change applies a change of what is around the affected pods, which may give them another
// trust domain or boundary, and reports what that changes.
func (s *Store) change(cause Cause, affected []*v1.Pod, apply func()) {
	s.report(s.compare(cause, affected, apply))
}

func (s *Store) compare(cause Cause, affected []*v1.Pod, apply func()) Event {
	rules := s.Rules()
	before := make([]isolation.Subject, len(affected))
	for i, pod := range affected {
		// Read before the change: afterwards a scheduling cycle may have judged anew.
		before[i] = s.pods.lastSubject(UID(pod))
	}
	apply()
	after := make([]isolation.Subject, len(affected))
	for i, pod := range affected {
		// All of them before any node is looked at: several may be on one.
		after[i] = s.pods.rejudge(rules, pod)
	}

	e := Event{Cause: cause}
	at := map[string]int{}
	for i, pod := range affected {
		if after[i].Equivalent(before[i]) {
			continue
		}
		node := pod.Spec.NodeName
		if node == "" {
			node = s.pods.nodeOf(UID(pod))
		}
		if node == "" {
			e.Pods = append(e.Pods, pod)
			continue
		}
		s.nodes.invalidate(node)
		k, known := at[node]
		if !known {
			k = len(e.Nodes)
			at[node] = k
			current := s.CurrentNode(rules, node)
			before := current
			e.Nodes = append(e.Nodes, Change{Node: node, Before: &before, After: &current})
		}
		changed := &e.Nodes[k].Before.Occupancy
		*changed = changed.With(isolation.Resident{UID: string(UID(pod)), Subject: before[i]})
	}
	return e
}

func either[T any](a, b *T) *T {
	if b != nil {
		return b
	}
	return a
}
