package tenantisolation

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/lru"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// watcher follows what the rule reads, live.
type watcher struct {
	pods    cache.Indexer
	pvcs    cache.Indexer
	volumes cache.Indexer
	classes cache.Indexer
	nodes   cache.Store
	// gone are the pods that were deleted last.
	gone  *lru.Cache
	ready atomic.Bool
	// changing makes the handlers of different informers take turns: what one change
	// compares with must not be half of another.
	changing sync.Mutex
}

// Indexes of the pod informer.
const (
	byNode         = "tenantisolation.dev/node"
	byNamespace    = "tenantisolation.dev/namespace"
	byRuntimeClass = "tenantisolation.dev/runtime-class"
	byPVC          = "tenantisolation.dev/pvc"
)

var podIndexers = cache.Indexers{
	byNode: func(obj any) ([]string, error) {
		pod, ok := obj.(*v1.Pod)
		if !ok {
			return nil, fmt.Errorf("want a Pod, got %T", obj)
		}
		return []string{pod.Spec.NodeName}, nil
	},
	// The scheduler's pod informer comes without client-go's index of namespaces.
	byNamespace: cache.MetaNamespaceIndexFunc,
	byRuntimeClass: func(obj any) ([]string, error) {
		pod, ok := obj.(*v1.Pod)
		if !ok {
			return nil, fmt.Errorf("want a Pod, got %T", obj)
		}
		if name := podfacts.RuntimeClassName(pod); name != "" {
			return []string{name}, nil
		}
		return nil, nil
	},
	byPVC: func(obj any) ([]string, error) {
		pod, ok := obj.(*v1.Pod)
		if !ok {
			return nil, fmt.Errorf("want a Pod, got %T", obj)
		}
		return podfacts.PVCKeys(pod), nil
	},
}

func (w *watcher) indexed(index, key string) []*v1.Pod {
	return indexed[*v1.Pod](w.pods, index, key)
}

// newest returns the pod's newest version that is known.
func (w *watcher) newest(pod *v1.Pod) *v1.Pod {
	if known := w.pod(pod); known != nil && notOlder(known, pod) {
		return known
	}
	return pod
}

// mayBeBound reports whether a pod that this scheduler has assumed can still get to its
// node: one that was deleted before it was bound never will.
func (w *watcher) mayBeBound(assumed *v1.Pod) bool {
	known := w.pod(assumed)
	return known != nil && (known.Spec.NodeName != "" || known.DeletionTimestamp == nil)
}

// pod returns the version of a pod in the informer's store, nil if the pod is not there.
func (w *watcher) pod(pod *v1.Pod) *v1.Pod {
	if known, ok := stored[*v1.Pod](w.pods, podKey(pod)); ok && known.UID == pod.UID {
		return known
	}
	return nil
}

// The rest of the stores is a podfacts.Storage.

// Volume returns a PersistentVolume, and whether it is known.
func (w *watcher) Volume(name string) (*v1.PersistentVolume, bool) {
	return stored[*v1.PersistentVolume](w.volumes, name)
}

// FreeVolumes returns the PersistentVolumes of a storage class that no PVC has.
func (w *watcher) FreeVolumes(class string) []*v1.PersistentVolume {
	return indexed[*v1.PersistentVolume](w.volumes, unusedByClass, class)
}

// StorageClass returns a StorageClass, and whether it is known.
func (w *watcher) StorageClass(name string) (*storagev1.StorageClass, bool) {
	return stored[*storagev1.StorageClass](w.classes, name)
}

func (w *watcher) pvc(key string) (*v1.PersistentVolumeClaim, bool) {
	return stored[*v1.PersistentVolumeClaim](w.pvcs, key)
}

func stored[T any](store cache.Store, key string) (T, bool) {
	obj, exists, err := store.GetByKey(key)
	t, ok := obj.(T)
	return t, ok && exists && err == nil
}

func indexed[T any](indexer cache.Indexer, index, key string) []T {
	objs, err := indexer.ByIndex(index, key)
	if err != nil {
		// Only an index that was never added gives an error.
		panic(err)
	}
	ts := make([]T, 0, len(objs))
	for _, obj := range objs {
		if t, ok := obj.(T); ok {
			ts = append(ts, t)
		}
	}
	return ts
}

func (w *watcher) podsOn(node string) []*v1.Pod { return w.indexed(byNode, node) }

func (w *watcher) pending() []*v1.Pod { return w.indexed(byNode, "") }

// synced reports whether everything that existed at the start has been read. Until then
// no pod is placed.
func (pl *Plugin) synced() bool { return pl.watcher.ready.Load() }

// rememberedGone is how many deleted pods are remembered.
const rememberedGone = 4096

// watch registers the plugin's event handlers with the scheduler's informers.
func (pl *Plugin) watch(ctx context.Context) error {
	factory := pl.handle.SharedInformerFactory()
	pods := factory.Core().V1().Pods().Informer()
	pvcs := factory.Core().V1().PersistentVolumeClaims().Informer()
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	classes := factory.Storage().V1().StorageClasses().Informer()
	nodes := factory.Core().V1().Nodes().Informer()
	if err := pl.onlyOne(pods); err != nil {
		return err
	}
	for _, index := range []struct {
		informer cache.SharedIndexInformer
		by       cache.Indexers
	}{
		{pods, podIndexers},
		{pvcs, unboundPVCs},
		{volumes, freeVolumes},
	} {
		if err := addIndexers(index.informer, index.by); err != nil {
			return err
		}
	}
	w := pl.watcher
	w.nodes = nodes.GetStore()
	w.pods, w.pvcs, w.volumes, w.classes = pods.GetIndexer(), pvcs.GetIndexer(), volumes.GetIndexer(), classes.GetIndexer()
	var registered []cache.InformerSynced
	for _, follow := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{factory.Core().V1().Namespaces().Informer(), handler(w, pl.namespaceChanged)},
		{factory.Node().V1().RuntimeClasses().Informer(), handler(w, pl.runtimeClassChanged)},
		{nodes, handler(w, pl.nodeChanged)},
		{pvcs, handler(w, pl.pvcChanged)},
		{volumes, handler(w, pl.volumeChanged)},
		{classes, handler(w, pl.storageClassChanged)},
		{pods, handler(w, pl.podChanged)},
	} {
		registration, err := follow.informer.AddEventHandler(follow.handler)
		if err != nil {
			return fmt.Errorf("following what the rule reads: %w", err)
		}
		registered = append(registered, registration.HasSynced)
	}
	go pl.awaitSync(ctx, registered)
	return nil
}

// addIndexers adds the indexers that are not there yet: a second profile with the plugin
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

func (pl *Plugin) awaitSync(ctx context.Context, registered []cache.InformerSynced) {
	if !cache.WaitForCacheSync(ctx.Done(), registered...) {
		return
	}
	pl.watcher.ready.Store(true)
	// Pods that came before were refused for want of facts.
	pl.wakeAll("caches synced")
}

// handler calls one function for every event, one at a time: with nil before for an
// addition, with nil after for a deletion.
func handler[T any](w *watcher, changed func(before, after *T)) cache.ResourceEventHandler {
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
		w.changing.Lock()
		defer w.changing.Unlock()
		changed(before, after)
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { call(nil, typed(obj)) },
		UpdateFunc: func(before, after any) { call(typed(before), typed(after)) },
		DeleteFunc: func(obj any) { call(typed(obj), nil) },
	}
}

func (pl *Plugin) namespaceChanged(before, after *v1.Namespace) {
	name := either(before, after).Name
	affected := pl.watcher.indexed(byNamespace, name)
	if after == nil {
		pl.change("namespace deleted", affected, func() { pl.cluster.namespaces.unset(name) })
		return
	}
	if old, known := pl.cluster.namespaces.get(name); known && maps.Equal(old, after.Labels) {
		return
	}
	pl.change("namespace", affected, func() {
		pl.cluster.namespaces.set(name, after.Labels)
	})
}

func (pl *Plugin) runtimeClassChanged(before, after *nodev1.RuntimeClass) {
	name := either(before, after).Name
	pl.change("runtime class", pl.watcher.indexed(byRuntimeClass, name), func() {
		// Which empty nodes are VM-capable depends on every class.
		defer pl.cluster.epoch.Add(1)
		if after == nil {
			pl.cluster.runtimeClasses.unset(name)
			return
		}
		pl.cluster.runtimeClasses.set(name, podfacts.NewRuntimeClass(after))
	})
}

// nodeChanged follows the runtime handlers that nodes report: a change of them raises
// no event of the framework.
func (pl *Plugin) nodeChanged(before, after *v1.Node) {
	name := either(before, after).Name
	pl.dedicated.node(before == nil, after == nil)
	defer pl.limitsChanged()
	defer pl.dedicated.touch(name)
	if after == nil {
		pl.cluster.handlers.unset(name)
		pl.nodes.remove(name)
		return
	}
	handlers := podfacts.ReportedHandlers(after)
	if old, known := pl.cluster.handlers.get(name); known && sameHandlers(old, handlers) {
		return
	}
	rules := pl.rules.Load()
	changed := &nodeChange{before: pl.currentNode(rules, name)}
	pl.cluster.handlers.set(name, handlers)
	pl.nodes.add(name)
	pl.nodes.invalidate(name)
	if before == nil {
		// Of a new node the framework tells by a hint, and not before it knows the node.
		return
	}
	changed.after = changed.before
	changed.after.Handlers = handlers
	pl.wakeFor("runtime handlers", rules, map[string]*nodeChange{name: changed}, map[string]*v1.Pod{})
}

func sameHandlers(a, b map[string]bool) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	for name := range a {
		if !b[name] {
			return false
		}
	}
	return true
}

func (pl *Plugin) podChanged(before, after *v1.Pod) {
	if before != nil && (after == nil || after.UID != before.UID) {
		// An informer may show a deletion and a creation as one update.
		pl.roster.remove(before.UID)
		pl.watcher.gone.Add(before.UID, nil)
		pl.dedicated.touch(before.Spec.NodeName)
	}
	if after == nil {
		return
	}
	if before == nil || before.Spec.NodeName != after.Spec.NodeName {
		defer pl.dedicated.touch(after.Spec.NodeName)
	}
	rules := pl.rules.Load()
	was, is, known := pl.roster.update(rules, after)
	node := pl.roster.nodeOf(after.UID)
	if node == "" || !known || was.Equivalent(is) {
		return
	}
	// A resident's labels, annotations or ephemeral containers give it another trust
	// domain. The framework's cache may not know yet, so the node is not compared
	// with what it was there.
	pl.nodes.invalidate(node)
	defer pl.dedicated.touch(node)
	current := pl.currentNode(rules, node)
	changed := &nodeChange{before: current, after: current}
	changed.before.Occupancy = current.Occupancy.With(isolation.Resident{UID: string(after.UID), Subject: was})
	pl.wakeFor("resident", rules, map[string]*nodeChange{node: changed}, map[string]*v1.Pod{})
}

func either[T any](a, b *T) *T {
	if b != nil {
		return b
	}
	return a
}
