package tenantisolation

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// watcher follows what the rule reads, live.
type watcher struct {
	pods    cache.Indexer
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	classes storagelisters.StorageClassLister
	ready   atomic.Bool
	// changing makes the handlers of different informers take turns: what one change
	// compares with must not be half of another.
	changing sync.Mutex
}

// Indexes of the pod informer.
const (
	byNode         = "tenantisolation.dev/node"
	byNamespace    = "tenantisolation.dev/namespace"
	byRuntimeClass = "tenantisolation.dev/runtime-class"
	byClaim        = "tenantisolation.dev/claim"
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
		if name := runtimeClassName(pod); name != "" {
			return []string{name}, nil
		}
		return nil, nil
	},
	byClaim: func(obj any) ([]string, error) {
		pod, ok := obj.(*v1.Pod)
		if !ok {
			return nil, fmt.Errorf("want a Pod, got %T", obj)
		}
		return claimKeys(pod), nil
	},
}

func (w *watcher) indexed(index, key string) []*v1.Pod {
	objs, err := w.pods.ByIndex(index, key)
	if err != nil {
		// Only an index that was never added gives an error.
		panic(err)
	}
	pods := make([]*v1.Pod, 0, len(objs))
	for _, obj := range objs {
		if pod, ok := obj.(*v1.Pod); ok {
			pods = append(pods, pod)
		}
	}
	return pods
}

// newest returns the pod's newest version that is known.
func (w *watcher) newest(pod *v1.Pod) *v1.Pod {
	obj, exists, err := w.pods.GetByKey(podKey(pod))
	if err != nil || !exists {
		return pod
	}
	if known, ok := obj.(*v1.Pod); ok && known.UID == pod.UID && notOlder(known, pod) {
		return known
	}
	return pod
}

func (w *watcher) podsOn(node string) []*v1.Pod { return w.indexed(byNode, node) }

func (w *watcher) pending() []*v1.Pod { return w.indexed(byNode, "") }

// synced reports whether everything that existed at the start has been read. Until then
// no pod is placed.
func (pl *Plugin) synced() bool { return pl.watcher.ready.Load() }

// watch registers the plugin's event handlers with the scheduler's informers.
func (pl *Plugin) watch(ctx context.Context) error {
	factory := pl.handle.SharedInformerFactory()
	pods := factory.Core().V1().Pods().Informer()
	missing := cache.Indexers{}
	for name, index := range podIndexers {
		// A second profile with the plugin finds them there.
		if _, ok := pods.GetIndexer().GetIndexers()[name]; !ok {
			missing[name] = index
		}
	}
	if err := pods.AddIndexers(missing); err != nil {
		return fmt.Errorf("indexing pods: %w", err)
	}
	claims := factory.Core().V1().PersistentVolumeClaims()
	volumes := factory.Core().V1().PersistentVolumes()
	classes := factory.Storage().V1().StorageClasses()
	w := pl.watcher
	w.pods, w.claims, w.volumes, w.classes = pods.GetIndexer(), claims.Lister(), volumes.Lister(), classes.Lister()
	var registered []cache.InformerSynced
	for _, follow := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{factory.Core().V1().Namespaces().Informer(), handler(w, pl.namespaceChanged)},
		{factory.Node().V1().RuntimeClasses().Informer(), handler(w, pl.runtimeClassChanged)},
		{factory.Core().V1().Nodes().Informer(), handler(w, pl.nodeChanged)},
		{claims.Informer(), handler(w, pl.claimChanged)},
		{volumes.Informer(), handler(w, pl.volumeChanged)},
		{classes.Informer(), handler(w, pl.storageClassChanged)},
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

func (pl *Plugin) awaitSync(ctx context.Context, registered []cache.InformerSynced) {
	if !cache.WaitForCacheSync(ctx.Done(), registered...) {
		return
	}
	pl.watcher.ready.Store(true)
	// Pods that came before were refused for want of facts.
	wake := map[string]*v1.Pod{}
	for _, pod := range pl.watcher.pending() {
		if pl.responsible(pod) {
			wake[podKey(pod)] = pod
		}
	}
	pl.wakeFor("caches synced", pl.rules.Load(), nil, wake)
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
	if after == nil {
		pl.change("namespace deleted", pl.watcher.indexed(byNamespace, name), func() {
			if pl.cluster.namespaces.unset(name) {
				pl.cluster.epoch.Add(1)
			}
		})
		return
	}
	rules := pl.rules.Load()
	ns := &isolation.Namespace{
		Name:             name,
		Labels:           after.Labels,
		PlatformSelected: rules.platform.Matches(labels.Set(after.Labels)),
	}
	if old, known := pl.cluster.namespaces.peek(name); known &&
		old.PlatformSelected == ns.PlatformSelected && !rules.Relevant(old.Labels, ns.Labels) {
		return
	}
	pl.change("namespace", pl.watcher.indexed(byNamespace, name), func() {
		if pl.cluster.namespaces.set(name, ns) {
			pl.cluster.epoch.Add(1)
		}
	})
}

func (pl *Plugin) runtimeClassChanged(before, after *nodev1.RuntimeClass) {
	name := either(before, after).Name
	pl.change("runtime class", pl.watcher.indexed(byRuntimeClass, name), func() {
		// Which empty nodes are VM-capable depends on every class, asked for or not.
		defer pl.cluster.epoch.Add(1)
		if after == nil {
			pl.cluster.runtimeClasses.unset(name)
			return
		}
		class := runtimeClass{handler: after.Handler}
		if after.Scheduling != nil && len(after.Scheduling.NodeSelector) > 0 {
			class.nodes = labels.SelectorFromSet(after.Scheduling.NodeSelector)
		}
		pl.cluster.runtimeClasses.set(name, class)
	})
}

// nodeChanged follows the runtime handlers that nodes report: a change of them raises
// no event of the framework.
func (pl *Plugin) nodeChanged(before, after *v1.Node) {
	name := either(before, after).Name
	if after == nil {
		pl.cluster.handlers.unset(name)
		pl.nodes.remove(name)
		return
	}
	handlers := reportedHandlers(after)
	if old, known := pl.cluster.handlers.peek(name); known && sameHandlers(old, handlers) {
		return
	}
	rules := pl.rules.Load()
	changed := &nodeChange{before: pl.currentNode(rules, name)}
	pl.cluster.handlers.set(name, handlers)
	pl.nodes.invalidate(name)
	changed.after = changed.before
	changed.after.Handlers = handlers
	pl.wakeFor("runtime handlers", rules, map[string]*nodeChange{name: changed}, map[string]*v1.Pod{})
}

// reportedHandlers returns the names of a node's runtime handlers, nil if the node does
// not report any.
func reportedHandlers(node *v1.Node) map[string]bool {
	if len(node.Status.RuntimeHandlers) == 0 {
		return nil
	}
	handlers := make(map[string]bool, len(node.Status.RuntimeHandlers))
	for _, h := range node.Status.RuntimeHandlers {
		handlers[h.Name] = true
	}
	return handlers
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

func (pl *Plugin) claimChanged(before, after *v1.PersistentVolumeClaim) {
	claim := either(before, after)
	key := claim.Namespace + "/" + claim.Name
	if after == nil {
		pl.change("claim deleted", pl.watcher.indexed(byClaim, key), func() {
			if pl.cluster.claims.unset(key) {
				pl.cluster.epoch.Add(1)
			}
		})
		return
	}
	pl.judgeClaim(key, after)
}

func (pl *Plugin) volumeChanged(before, after *v1.PersistentVolume) {
	ref := either(before, after).Spec.ClaimRef
	if ref == nil {
		return
	}
	claim, err := pl.watcher.claims.PersistentVolumeClaims(ref.Namespace).Get(ref.Name)
	if err != nil {
		// The claim's own event will tell.
		return
	}
	pl.judgeClaim(ref.Namespace+"/"+ref.Name, claim)
}

func (pl *Plugin) storageClassChanged(before, after *storagev1.StorageClass) {
	name := either(before, after).Name
	all, err := pl.watcher.claims.List(labels.Everything())
	if err != nil {
		pl.logger.Error(err, "Listing claims")
		return
	}
	for _, claim := range all {
		if claim.Spec.VolumeName == "" && claim.Spec.StorageClassName != nil && *claim.Spec.StorageClassName == name {
			pl.judgeClaim(claim.Namespace+"/"+claim.Name, claim)
		}
	}
}

// judgeClaim notes whether a claim's volume is, or may become, a directory of the host.
func (pl *Plugin) judgeClaim(key string, claim *v1.PersistentVolumeClaim) {
	onHost := pl.onHost(claim)
	if old, known := pl.cluster.claims.peek(key); known && old == onHost {
		return
	}
	pl.change("claim", pl.watcher.indexed(byClaim, key), func() {
		if pl.cluster.claims.set(key, onHost) {
			pl.cluster.epoch.Add(1)
		}
	})
}

func (pl *Plugin) onHost(claim *v1.PersistentVolumeClaim) bool {
	if claim.Spec.VolumeName != "" {
		volume, err := pl.watcher.volumes.Get(claim.Spec.VolumeName)
		if err != nil {
			return true
		}
		// A local volume is a directory of the host like any other, unless it is a
		// block device.
		block := volume.Spec.VolumeMode != nil && *volume.Spec.VolumeMode == v1.PersistentVolumeBlock
		return volume.Spec.HostPath != nil || (volume.Spec.Local != nil && !block)
	}
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName == "" {
		// Any volume that somebody has made by hand may be bound to it.
		return true
	}
	class, err := pl.watcher.classes.Get(*claim.Spec.StorageClassName)
	if err != nil {
		return true
	}
	return slices.Contains(pl.rules.Load().hostPathProvisioners, class.Provisioner)
}

func (pl *Plugin) podChanged(before, after *v1.Pod) {
	if after == nil {
		pl.roster.remove(before.UID)
		return
	}
	rules := pl.rules.Load()
	was, is, known := pl.roster.update(rules, after)
	node := after.Spec.NodeName
	if node == "" || !known || was == is {
		return
	}
	// A resident's labels, annotations or ephemeral containers give it another trust
	// domain. The framework's cache may not know yet, so the node is not compared
	// with what it was there.
	pl.nodes.invalidate(node)
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
