package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/lru"

	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Dedications says to whom nodes are dedicated. It is asked often and must be safe for
// concurrent use.
type Dedications interface {
	// Dedicated returns to whom a node is dedicated, and which tenants it is charged to.
	Dedicated(node string) Dedicated
}

// rememberedGone is how many deleted pods are remembered.
const rememberedGone = 4096

// Store holds what the rule reads of a cluster, every pod judged once for each version of
// it. It is fed by informers (Follow), or by hand (Set and Delete). All methods may be
// called from several goroutines at once.
type Store struct {
	gatherer *podfacts.Gatherer
	rules    atomic.Pointer[podfacts.Rules]

	sources sources
	around  around
	pods    *pods
	nodes   nodes
	// dedications is nil where nodes are not dedicated.
	dedications Dedications
	listeners   []func(Event)

	// gone are the pods that were deleted last.
	gone   *lru.Cache
	synced atomic.Bool
	// changing makes the handlers of different informers take turns: what one change
	// compares with must not be half of another.
	changing sync.Mutex
}

// New returns an empty store. What is set by Listen and DedicatedBy is set before the first
// object comes.
func New(rules *podfacts.Rules, gatherer *podfacts.Gatherer) *Store {
	s := &Store{gatherer: gatherer, sources: newSources(), gone: lru.New(rememberedGone)}
	s.synced.Store(true)
	s.rules.Store(rules)
	s.pods = newPods(s)
	return s
}

// Listen has every event reported to the listener: after the store has the change, and one
// at a time but for changes of dedications.
func (s *Store) Listen(listener func(Event)) { s.listeners = append(s.listeners, listener) }

// DedicatedBy says who knows to whom nodes are dedicated.
func (s *Store) DedicatedBy(d Dedications) { s.dedications = d }

// Rules returns the rules in force.
func (s *Store) Rules() *podfacts.Rules { return s.rules.Load() }

// Synced reports whether everything that existed at the start has been read: of a store that
// is fed by hand always, of one that follows informers once they have synced. Until then
// nothing is to be decided by it.
func (s *Store) Synced() bool { return s.synced.Load() }

// Follow feeds the store by the factory's informers, which have not been started yet, and
// calls synced once they have been read. It returns an error if an informer cannot be
// followed.
func (s *Store) Follow(ctx context.Context, factory informers.SharedInformerFactory, synced func()) error {
	namespaces := factory.Core().V1().Namespaces().Informer()
	runtimeClasses := factory.Node().V1().RuntimeClasses().Informer()
	pods := factory.Core().V1().Pods().Informer()
	pvcs := factory.Core().V1().PersistentVolumeClaims().Informer()
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	storageClasses := factory.Storage().V1().StorageClasses().Informer()
	nodes := factory.Core().V1().Nodes().Informer()
	for _, index := range []struct {
		informer cache.SharedIndexInformer
		by       cache.Indexers
	}{
		{pods, podIndexers},
		{pvcs, pvcIndexers},
		{volumes, volumeIndexers},
	} {
		if err := addIndexers(index.informer, index.by); err != nil {
			return err
		}
	}
	s.synced.Store(false)
	s.sources = sources{
		namespaces: namespaces.GetIndexer(), runtimeClasses: runtimeClasses.GetIndexer(),
		pods: pods.GetIndexer(), nodes: nodes.GetIndexer(),
		pvcs: pvcs.GetIndexer(), volumes: volumes.GetIndexer(), storageClasses: storageClasses.GetIndexer(),
	}
	var registered []cache.InformerSynced
	for _, follow := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{namespaces, handler(s, s.namespaceChanged)},
		{runtimeClasses, handler(s, s.runtimeClassChanged)},
		{nodes, handler(s, s.nodeChanged)},
		{pvcs, handler(s, s.pvcChanged)},
		{volumes, handler(s, s.volumeChanged)},
		{storageClasses, handler(s, s.storageClassChanged)},
		{pods, handler(s, s.podChanged)},
	} {
		registration, err := follow.informer.AddEventHandler(follow.handler)
		if err != nil {
			return fmt.Errorf("following what the rule reads: %w", err)
		}
		registered = append(registered, registration.HasSynced)
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), registered...) {
			s.synced.Store(true)
			synced()
		}
	}()
	return nil
}

// addIndexers adds the indexers that are not there yet: the plugin of a second profile
// finds them there.
func addIndexers(informer cache.SharedIndexInformer, indexers cache.Indexers) error {
	missing := cache.Indexers{}
	for name, index := range indexers {
		if _, ok := informer.GetIndexer().GetIndexers()[name]; !ok {
			missing[name] = index
		}
	}
	if err := informer.AddIndexers(missing); err != nil {
		return fmt.Errorf("indexing what the rule reads: %w", err)
	}
	return nil
}

// handler calls one function for every event, one at a time: with nil before for an
// addition, with nil after for a deletion.
func handler[T any](s *Store, changed func(before, after *T)) cache.ResourceEventHandler {
	typed := func(obj any) *T {
		if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = unknown.Obj
		}
		t, ok := obj.(*T)
		if !ok {
			return nil
		}
		return t
	}
	call := func(before, after *T) {
		if before == nil && after == nil {
			return
		}
		s.changing.Lock()
		defer s.changing.Unlock()
		changed(before, after)
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { call(nil, typed(obj)) },
		UpdateFunc: func(before, after any) { call(typed(before), typed(after)) },
		DeleteFunc: func(obj any) { call(typed(obj), nil) },
	}
}

// Set puts an object, or its new version, into a store that follows no informers. It keeps
// the object, which must not be changed any more. The rule reads Nodes, Namespaces, Pods,
// RuntimeClasses, PersistentVolumeClaims, PersistentVolumes and StorageClasses; any other
// kind is an error.
func (s *Store) Set(obj runtime.Object) error { return s.write(obj, false) }

// Delete takes an object out of a store that follows no informers. To delete one that is
// not there does nothing.
func (s *Store) Delete(obj runtime.Object) error { return s.write(obj, true) }

func (s *Store) write(obj runtime.Object, gone bool) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	switch o := obj.(type) {
	case *v1.Pod:
		return write(s.sources.pods, o, gone, s.podChanged)
	case *v1.Node:
		return write(s.sources.nodes, o, gone, s.nodeChanged)
	case *v1.PersistentVolumeClaim:
		return write(s.sources.pvcs, o, gone, s.pvcChanged)
	case *v1.PersistentVolume:
		return write(s.sources.volumes, o, gone, s.volumeChanged)
	case *storagev1.StorageClass:
		return write(s.sources.storageClasses, o, gone, s.storageClassChanged)
	case *v1.Namespace:
		return write(s.sources.namespaces, o, gone, s.namespaceChanged)
	case *nodev1.RuntimeClass:
		return write(s.sources.runtimeClasses, o, gone, s.runtimeClassChanged)
	}
	return fmt.Errorf("the rule reads nothing of a %T: pass nodes, namespaces, pods, runtime classes, PVCs, volumes and storage classes", obj)
}

// write puts an object into its source, or takes it out, and reports the change.
func write[T any](source cache.Indexer, object *T, gone bool, changed func(before, after *T)) error {
	obj, _, err := source.Get(object)
	before, _ := obj.(*T)
	if err != nil || gone && before == nil {
		return err
	}
	if gone {
		err, object = source.Delete(object), nil
	} else {
		err = source.Update(object)
	}
	if err != nil {
		return err
	}
	changed(before, object)
	return nil
}

// Fresh returns another store of the same objects that remembers nothing of what has been
// judged: it judges each pod anew whenever it is asked, from the objects as they are now.
// It is for checks of this store. No change is reported to it.
func (s *Store) Fresh() *Store {
	fresh := New(s.Rules(), s.gatherer)
	fresh.sources = s.sources
	fresh.read()
	return fresh
}

// SetRules puts other rules in force, as one value: every pod, volume and node is judged again, and
// PolicyChanged is reported.
func (s *Store) SetRules(rules *podfacts.Rules) {
	s.changing.Lock()
	defer s.changing.Unlock()
	pvcs, machines := map[string]bool{}, map[string]machine{}
	for _, pvc := range all[*v1.PersistentVolumeClaim](s.sources.pvcs) {
		pvcs[pvcKey(pvc)] = rules.PVCOnHost(pvc, s)
	}
	for _, node := range s.reportedNodes() {
		machines[node.Name] = s.machineOf(rules, node)
	}
	// Nothing is judged by one policy, over volumes and nodes that were judged by another. As nothing else is judged in
	// between either, it is short.
	s.rules.Store(podfacts.NoRules())
	s.around.pvcs.replace(pvcs)
	for name, of := range machines {
		s.around.machines.set(name, of)
	}
	s.rules.Store(rules)
	s.around.epoch.Add(1)
	for _, pod := range s.Pods() {
		s.pods.rejudge(rules, pod)
	}
	for _, listener := range s.listeners {
		listener(Event{Cause: PolicyChanged})
	}
}

// Reread reads everything again and has every pod judged again: for when a check has found
// that the store had missed a change.
func (s *Store) Reread() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.read()
	s.around.epoch.Add(1)
	for _, listener := range s.listeners {
		listener(Event{Cause: EverythingReread})
	}
}

// read takes what is around pods from the sources.
func (s *Store) read() {
	namespaces, classes := map[string]podfacts.Namespace{}, map[string]podfacts.RuntimeClass{}
	pvcs, machines := map[string]bool{}, map[string]machine{}
	for _, ns := range all[*v1.Namespace](s.sources.namespaces) {
		namespaces[ns.Name] = podfacts.Namespace{Labels: ns.Labels, Created: ns.CreationTimestamp}
	}
	for _, class := range all[*nodev1.RuntimeClass](s.sources.runtimeClasses) {
		classes[class.Name] = podfacts.NewRuntimeClass(class)
	}
	for _, pvc := range all[*v1.PersistentVolumeClaim](s.sources.pvcs) {
		pvcs[pvcKey(pvc)] = s.onHost(pvc)
	}
	s.around.namespaces.replace(namespaces)
	s.around.runtimeClasses.replace(classes)
	s.around.pvcs.replace(pvcs)
	for _, node := range s.Nodes() {
		machines[node.Name] = s.machineOf(s.Rules(), node)
	}
	s.around.machines.replace(machines)
}
