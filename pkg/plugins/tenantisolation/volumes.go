package tenantisolation

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/tools/cache"
)

// Indexes of the PVC and volume informers.
const unusedByClass = "tenantisolation.dev/unused-by-class"

// unboundPVCs and freeVolumes find those that may still meet, by storage class.
var (
	unboundPVCs = cache.Indexers{unusedByClass: func(obj any) ([]string, error) {
		pvc, ok := obj.(*v1.PersistentVolumeClaim)
		if !ok {
			return nil, fmt.Errorf("want a PersistentVolumeClaim, got %T", obj)
		}
		if pvc.Spec.VolumeName != "" || pvc.Spec.StorageClassName == nil {
			return nil, nil
		}
		return []string{*pvc.Spec.StorageClassName}, nil
	}}
	freeVolumes = cache.Indexers{unusedByClass: func(obj any) ([]string, error) {
		volume, ok := obj.(*v1.PersistentVolume)
		if !ok {
			return nil, fmt.Errorf("want a PersistentVolume, got %T", obj)
		}
		if volume.Spec.ClaimRef != nil {
			return nil, nil
		}
		return []string{volume.Spec.StorageClassName}, nil
	}}
)

func pvcKey(namespace, name string) string { return namespace + "/" + name }

func (pl *Plugin) pvcChanged(before, after *v1.PersistentVolumeClaim) {
	pvc := either(before, after)
	key := pvcKey(pvc.Namespace, pvc.Name)
	if after == nil {
		pl.change("PVC deleted", pl.watcher.indexed(byPVC, key), func() {
			pl.cluster.pvcs.unset(key)
		})
		return
	}
	pl.judgePVC(after)
}

func (pl *Plugin) volumeChanged(before, after *v1.PersistentVolume) {
	volume := either(before, after)
	if ref := volume.Spec.ClaimRef; ref != nil {
		if pvc, known := pl.watcher.pvc(pvcKey(ref.Namespace, ref.Name)); known {
			pl.judgePVC(pvc)
		}
	}
	if pl.rules.Load().VolumeOnHost(volume) {
		pl.judgeUnboundPVCs(volume.Spec.StorageClassName)
	}
}

func (pl *Plugin) storageClassChanged(before, after *storagev1.StorageClass) {
	pl.judgeUnboundPVCs(either(before, after).Name)
}

func (pl *Plugin) judgeUnboundPVCs(class string) {
	for _, pvc := range indexed[*v1.PersistentVolumeClaim](pl.watcher.pvcs, unusedByClass, class) {
		pl.judgePVC(pvc)
	}
}

// judgePVC notes whether a PVC's volume is, or may become, a directory of the host.
func (pl *Plugin) judgePVC(pvc *v1.PersistentVolumeClaim) {
	key := pvcKey(pvc.Namespace, pvc.Name)
	onHost := pl.rules.Load().PVCOnHost(pvc, pl.watcher)
	if old, known := pl.cluster.pvcs.get(key); known && old == onHost {
		return
	}
	pl.change("PVC", pl.watcher.indexed(byPVC, key), func() {
		pl.cluster.pvcs.set(key, onHost)
	})
}

// pvcNow is the pvcLookup of the informers' stores, which may be ahead of the
// plugin's books.
func (pl *Plugin) pvcNow(key string) (onHost, known bool) {
	pvc, known := pl.watcher.pvc(key)
	return known && pl.rules.Load().PVCOnHost(pvc, pl.watcher), known
}
