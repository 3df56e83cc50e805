package podfacts

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Storage is what there is of volumes.
type Storage interface {
	// Volume returns a PersistentVolume, and whether it is known.
	Volume(name string) (*v1.PersistentVolume, bool)
	// FreeVolumes returns the PersistentVolumes of a storage class that no PVC has.
	FreeVolumes(class string) []*v1.PersistentVolume
	// StorageClass returns a StorageClass, and whether it is known.
	StorageClass(name string) (*storagev1.StorageClass, bool)
}

// PVCOnHost reports whether a PVC's volume is, or may become, a directory of the
// host: a pod that mounts it reaches through its boundary. A PVC says which volume it
// has once it is bound; until then it says only where one may come from.
func (r *Rules) PVCOnHost(pvc *v1.PersistentVolumeClaim, storage Storage) bool {
	if pvc.Spec.VolumeName != "" {
		volume, known := storage.Volume(pvc.Spec.VolumeName)
		return !known || r.VolumeOnHost(volume)
	}
	if pvc.Spec.StorageClassName == nil || *pvc.Spec.StorageClassName == "" {
		// Any volume that was made by hand may be bound to it.
		return true
	}
	// A volume that is there already is taken before a new one is provisioned.
	if slices.ContainsFunc(storage.FreeVolumes(*pvc.Spec.StorageClassName), r.VolumeOnHost) {
		return true
	}
	class, known := storage.StorageClass(*pvc.Spec.StorageClassName)
	return !known || slices.Contains(r.hostPathProvisioners, class.Provisioner)
}

// VolumeOnHost reports whether a volume is a directory of the host.
func (r *Rules) VolumeOnHost(volume *v1.PersistentVolume) bool {
	source := &volume.Spec.PersistentVolumeSource
	if source.CSI != nil {
		return slices.Contains(r.hostPathProvisioners, source.CSI.Driver)
	}
	// A local volume is a directory of the host like any other, unless it is a block
	// device.
	block := volume.Spec.VolumeMode != nil && *volume.Spec.VolumeMode == v1.PersistentVolumeBlock
	// What a driver of flexVolume mounts, it mounts on the host.
	return source.HostPath != nil || source.FlexVolume != nil || (source.Local != nil && !block)
}
