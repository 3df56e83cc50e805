package tenantisolation

import (
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/tools/cache"
)

// A PersistentVolume can be a directory of the host, and a pod that mounts one reaches
// through its boundary. A claim says which volume it has once it is bound; until then it
// says only where one may come from.

// Indexes of the claim and volume informers.
const unusedByClass = "tenantisolation.dev/unused-by-class"

// unboundClaims and freeVolumes find those that may still meet, by storage class.
var (
	unboundClaims = cache.Indexers{unusedByClass: func(obj any) ([]string, error) {
		claim, ok := obj.(*v1.PersistentVolumeClaim)
		if !ok {
			return nil, fmt.Errorf("want a PersistentVolumeClaim, got %T", obj)
		}
		if claim.Spec.VolumeName != "" || claim.Spec.StorageClassName == nil {
			return nil, nil
		}
		return []string{*claim.Spec.StorageClassName}, nil
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

func claimKey(namespace, name string) string { return namespace + "/" + name }

func (pl *Plugin) claimChanged(before, after *v1.PersistentVolumeClaim) {
	claim := either(before, after)
	key := claimKey(claim.Namespace, claim.Name)
	if after == nil {
		pl.change("claim deleted", pl.watcher.indexed(byClaim, key), func() {
			pl.cluster.claims.unset(key)
		})
		return
	}
	pl.judgeClaim(after)
}

func (pl *Plugin) volumeChanged(before, after *v1.PersistentVolume) {
	volume := either(before, after)
	if ref := volume.Spec.ClaimRef; ref != nil {
		if claim, known := pl.watcher.claim(claimKey(ref.Namespace, ref.Name)); known {
			pl.judgeClaim(claim)
		}
	}
	if pl.volumeOnHost(volume) {
		pl.judgeUnboundClaims(volume.Spec.StorageClassName)
	}
}

func (pl *Plugin) storageClassChanged(before, after *storagev1.StorageClass) {
	pl.judgeUnboundClaims(either(before, after).Name)
}

func (pl *Plugin) judgeUnboundClaims(class string) {
	for _, claim := range indexed[*v1.PersistentVolumeClaim](pl.watcher.claims, unusedByClass, class) {
		pl.judgeClaim(claim)
	}
}

// judgeClaim notes whether a claim's volume is, or may become, a directory of the host.
func (pl *Plugin) judgeClaim(claim *v1.PersistentVolumeClaim) {
	key := claimKey(claim.Namespace, claim.Name)
	onHost := pl.onHost(claim)
	if old, known := pl.cluster.claims.get(key); known && old == onHost {
		return
	}
	pl.change("claim", pl.watcher.indexed(byClaim, key), func() {
		pl.cluster.claims.set(key, onHost)
	})
}

// claimNow is the claimLookup of the informers' stores, which may be ahead of the
// plugin's books.
func (pl *Plugin) claimNow(key string) (onHost, known bool) {
	claim, known := pl.watcher.claim(key)
	return known && pl.onHost(claim), known
}

func (pl *Plugin) onHost(claim *v1.PersistentVolumeClaim) bool {
	if claim.Spec.VolumeName != "" {
		volume, known := stored[*v1.PersistentVolume](pl.watcher.volumes, claim.Spec.VolumeName)
		return !known || pl.volumeOnHost(volume)
	}
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName == "" {
		// Any volume that somebody has made by hand may be bound to it.
		return true
	}
	// A volume that is there already is taken before a new one is provisioned.
	free := indexed[*v1.PersistentVolume](pl.watcher.volumes, unusedByClass, *claim.Spec.StorageClassName)
	if slices.ContainsFunc(free, pl.volumeOnHost) {
		return true
	}
	class, known := stored[*storagev1.StorageClass](pl.watcher.classes, *claim.Spec.StorageClassName)
	return !known || slices.Contains(pl.rules.Load().hostPathProvisioners, class.Provisioner)
}

func (pl *Plugin) volumeOnHost(volume *v1.PersistentVolume) bool {
	source := &volume.Spec.PersistentVolumeSource
	if source.CSI != nil {
		return slices.Contains(pl.rules.Load().hostPathProvisioners, source.CSI.Driver)
	}
	// A local volume is a directory of the host like any other, unless it is a block
	// device.
	block := volume.Spec.VolumeMode != nil && *volume.Spec.VolumeMode == v1.PersistentVolumeBlock
	return source.HostPath != nil || (source.Local != nil && !block)
}
