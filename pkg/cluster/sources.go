package cluster

import (
	"fmt"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// sources are the objects: the informers' stores, or the Store's own.
type sources struct {
	pods, nodes, pvcs, volumes                 cache.Indexer
	namespaces, runtimeClasses, storageClasses cache.Indexer
}

func newSources() sources {
	indexer := func(by cache.Indexers) cache.Indexer {
		own := maps.Clone(by)
		if own == nil {
			own = cache.Indexers{}
		}
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, own)
	}
	return sources{
		namespaces: indexer(nil), runtimeClasses: indexer(nil), pods: indexer(podIndexers), nodes: indexer(nil),
		pvcs: indexer(pvcIndexers), volumes: indexer(volumeIndexers), storageClasses: indexer(nil),
	}
}

// Names of indexes.
const (
	byNode         = "tenantisolation.dev/node"
	byNamespace    = "tenantisolation.dev/namespace"
	byRuntimeClass = "tenantisolation.dev/runtime-class"
	byPVC          = "tenantisolation.dev/pvc"
	byVolume       = "tenantisolation.dev/volume"
	unusedByClass  = "tenantisolation.dev/unused-by-class"
	byHost         = "tenantisolation.dev/host"
)

// indexBy makes an index of one kind of object.
func indexBy[T any](keys func(*T) []string) cache.IndexFunc {
	return func(obj any) ([]string, error) {
		t, ok := obj.(*T)
		if !ok {
			return nil, fmt.Errorf("want a %T, got %T", t, obj)
		}
		return keys(t), nil
	}
}

var podIndexers = cache.Indexers{
	byNode: indexBy(func(pod *v1.Pod) []string { return []string{pod.Spec.NodeName} }),
	// The scheduler's pod informer comes without client-go's index of namespaces.
	byNamespace: cache.MetaNamespaceIndexFunc,
	byRuntimeClass: indexBy(func(pod *v1.Pod) []string {
		if name := podfacts.RuntimeClassName(pod); name != "" {
			return []string{name}
		}
		return nil
	}),
	byPVC: indexBy(podfacts.PVCKeys),
}

// pvcIndexers and volumeIndexers find those that may still be bound to each other, by
// storage class, the PVCs that name a volume, and the volumes whose data is on one node.
var (
	pvcIndexers = cache.Indexers{
		unusedByClass: indexBy(func(pvc *v1.PersistentVolumeClaim) []string {
			if pvc.Spec.VolumeName != "" || pvc.Spec.StorageClassName == nil {
				return nil
			}
			return []string{*pvc.Spec.StorageClassName}
		}),
		byVolume: indexBy(func(pvc *v1.PersistentVolumeClaim) []string {
			if pvc.Spec.VolumeName == "" {
				return nil
			}
			return []string{pvc.Spec.VolumeName}
		}),
	}
	volumeIndexers = cache.Indexers{
		unusedByClass: indexBy(func(volume *v1.PersistentVolume) []string {
			if volume.Spec.ClaimRef != nil {
				return nil
			}
			return []string{volume.Spec.StorageClassName}
		}),
		byHost: indexBy(hostsOf),
	}
)

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
	return typed[T](objs)
}

func all[T any](store cache.Store) []T { return typed[T](store.List()) }

func typed[T any](objs []any) []T {
	ts := make([]T, 0, len(objs))
	for _, obj := range objs {
		if t, ok := obj.(T); ok {
			ts = append(ts, t)
		}
	}
	return ts
}

// PodKey returns "namespace/name".
func PodKey(pod *v1.Pod) string { return klog.KObj(pod).String() }

func pvcKey(pvc *v1.PersistentVolumeClaim) string { return pvc.Namespace + "/" + pvc.Name }

// Nodes returns all nodes. The caller must not change them.
func (s *Store) Nodes() []*v1.Node { return all[*v1.Node](s.sources.nodes) }

// Namespaces returns all namespaces. The caller must not change them.
func (s *Store) Namespaces() []*v1.Namespace { return all[*v1.Namespace](s.sources.namespaces) }

// RuntimeClasses returns all RuntimeClasses. The caller must not change them.
func (s *Store) RuntimeClasses() []*nodev1.RuntimeClass {
	return all[*nodev1.RuntimeClass](s.sources.runtimeClasses)
}

// Node returns the node of this name, false if there is none.
func (s *Store) Node(name string) (*v1.Node, bool) { return stored[*v1.Node](s.sources.nodes, name) }

// Pods returns all pods. The caller must not change them.
func (s *Store) Pods() []*v1.Pod { return all[*v1.Pod](s.sources.pods) }

// Pod returns the pod of this name, false if there is none.
func (s *Store) Pod(namespace, name string) (*v1.Pod, bool) {
	return stored[*v1.Pod](s.sources.pods, namespace+"/"+name)
}

// Pending returns the pods that are on no node.
func (s *Store) Pending() []*v1.Pod { return indexed[*v1.Pod](s.sources.pods, byNode, "") }

// BoundTo returns the pods that are bound to a node and have not ended.
func (s *Store) BoundTo(node string) []*v1.Pod {
	if node == "" {
		return nil
	}
	pods := indexed[*v1.Pod](s.sources.pods, byNode, node)
	running := pods[:0]
	for _, pod := range pods {
		if !Ended(pod) {
			running = append(running, pod)
		}
	}
	return running
}

// Ended reports whether none of the pod's containers runs any more, or will again.
func Ended(pod *v1.Pod) bool {
	return pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
}

// Runs reports whether a container of the pod is said to run. A kubelet reports that a pod has ended
// when it has reported that its containers have, so it is not said of a pod that has.
func Runs(pod *v1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(
		pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses,
	), func(status v1.ContainerStatus) bool { return status.State.Running != nil })
}

// Hidden reports whether a pod is said to have ended while a container of it is said to run: whoever may write the status
// of a pod could hide it so.
func Hidden(pod *v1.Pod) bool { return Ended(pod) && Runs(pod) }

// Newest returns the newest version of the pod that is known.
func (s *Store) Newest(pod *v1.Pod) *v1.Pod {
	if known := s.current(pod); known != nil && notOlder(known, pod) {
		return known
	}
	return pod
}

// current returns the version of a pod that the sources have, nil if the pod is not there.
func (s *Store) current(pod *v1.Pod) *v1.Pod {
	if known, ok := stored[*v1.Pod](s.sources.pods, PodKey(pod)); ok && known.UID == pod.UID {
		return known
	}
	return nil
}

// Knows reports whether CurrentNode takes a bound pod that came out of a LIST into account:
// the sources have it on its node, or it has been deleted since.
func (s *Store) Knows(pod *v1.Pod) bool {
	if known := s.current(pod); known != nil {
		return known.Spec.NodeName != ""
	}
	_, gone := s.gone.Get(pod.UID)
	return gone
}

// PVC returns a PersistentVolumeClaim by its key ("namespace/name"), and whether it is known.
func (s *Store) PVC(key string) (*v1.PersistentVolumeClaim, bool) {
	return stored[*v1.PersistentVolumeClaim](s.sources.pvcs, key)
}

// Volume returns a PersistentVolume, and whether it is known.
func (s *Store) Volume(name string) (*v1.PersistentVolume, bool) {
	return stored[*v1.PersistentVolume](s.sources.volumes, name)
}

// FreeVolumes returns the PersistentVolumes of a storage class that belong to no PVC.
func (s *Store) FreeVolumes(class string) []*v1.PersistentVolume {
	return indexed[*v1.PersistentVolume](s.sources.volumes, unusedByClass, class)
}

// StorageClass returns a StorageClass, and whether it is known.
func (s *Store) StorageClass(name string) (*storagev1.StorageClass, bool) {
	return stored[*storagev1.StorageClass](s.sources.storageClasses, name)
}
