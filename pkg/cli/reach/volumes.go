package reach

import (
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"
)

// leaveOut takes volumes out of a pod that exists in files only, where the plugins would wait for what an API
// server does later: PVCs that are missing, and those that are bound as soon as they are made.
func (c *Cluster) leaveOut(pod *v1.Pod, a *Answer) {
	if !c.Incomplete && slices.ContainsFunc(c.Pods, func(live *v1.Pod) bool { return live.UID == pod.UID }) {
		return
	}
	pod.Spec.Volumes = slices.DeleteFunc(pod.Spec.Volumes, func(mounted v1.Volume) bool {
		name := ""
		switch {
		case mounted.PersistentVolumeClaim != nil:
			name = mounted.PersistentVolumeClaim.ClaimName
		case mounted.Ephemeral != nil:
			name = pod.Name + "-" + mounted.Name
		default:
			return false
		}
		if c.decides(pod.Namespace, name) {
			return false
		}
		a.NotCounted = append(a.NotCounted, fmt.Sprintf("PVC %s is not counted: it is not bound, and nothing says to which nodes", name))
		return true
	})
}

// decides reports whether a PVC says to which nodes its pods can go.
func (c *Cluster) decides(namespace, name string) bool {
	at := slices.IndexFunc(c.PVCs, func(pvc *v1.PersistentVolumeClaim) bool { return pvc.Namespace == namespace && pvc.Name == name })
	if at < 0 {
		return false
	}
	pvc := c.PVCs[at]
	if pvc.Spec.VolumeName != "" {
		return slices.ContainsFunc(c.Volumes, func(v *v1.PersistentVolume) bool { return v.Name == pvc.Spec.VolumeName })
	}
	return pvc.Spec.StorageClassName != nil && slices.ContainsFunc(c.StorageClasses, func(class *storagev1.StorageClass) bool {
		return class.Name == *pvc.Spec.StorageClassName && class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	})
}

// settled are the PVCs as they are once they are made: a manifest that names a volume is bound to it.
func (c *Cluster) settled(all []*v1.PersistentVolumeClaim) []*v1.PersistentVolumeClaim {
	all = slices.Clone(all)
	for i, pvc := range all {
		if c.Incomplete && pvc.Spec.VolumeName != "" {
			all[i] = pvc.DeepCopy()
			metav1.SetMetaDataAnnotation(&all[i].ObjectMeta, volume.AnnBindCompleted, "yes")
		}
	}
	return all
}

// available are the volumes as they are once they are made.
func (c *Cluster) available(all []*v1.PersistentVolume) []*v1.PersistentVolume {
	all = slices.Clone(all)
	for i, v := range all {
		if c.Incomplete && v.Status.Phase == "" {
			all[i] = v.DeepCopy()
			all[i].Status.Phase = v1.VolumeAvailable
		}
	}
	return all
}
