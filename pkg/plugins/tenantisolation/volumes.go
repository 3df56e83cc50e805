package tenantisolation

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/tools/cache"
)

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
	if pl.rules.Load().VolumeOnHost(volume) {
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
	onHost := pl.rules.Load().ClaimOnHost(claim, pl.watcher)
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
	return known && pl.rules.Load().ClaimOnHost(claim, pl.watcher), known
}
