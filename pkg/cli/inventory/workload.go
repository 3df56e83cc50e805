package inventory

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

func (inv *Inventory) addOther(object runtime.Object) {
	switch o := object.(type) {
	case *v1alpha1.IsolationPolicy:
		if o.Name == v1alpha1.DefaultName {
			inv.Policy = o
		} else {
			inv.Warnings = append(inv.Warnings, fmt.Sprintf("IsolationPolicy %s is left out: the one named %s holds", o.Name, v1alpha1.DefaultName))
		}
	case *nodev1.RuntimeClass:
		inv.RuntimeClasses = append(inv.RuntimeClasses, o)
	case *storagev1.StorageClass:
		inv.StorageClasses = append(inv.StorageClasses, o)
	case *appsv1.Deployment:
		inv.workload("Deployment", &o.ObjectMeta, &o.Spec.Template, int(ptr.Deref(o.Spec.Replicas, 1)))
	case *appsv1.StatefulSet:
		inv.workload("StatefulSet", &o.ObjectMeta, &o.Spec.Template, int(ptr.Deref(o.Spec.Replicas, 1)))
		pvcsOf(o, inv.Workloads[len(inv.Workloads)-1].Pod)
	case *appsv1.DaemonSet:
		inv.workload("DaemonSet", &o.ObjectMeta, &o.Spec.Template, 0)
	case *appsv1.ReplicaSet:
		if metav1.GetControllerOf(o) == nil {
			inv.workload("ReplicaSet", &o.ObjectMeta, &o.Spec.Template, int(ptr.Deref(o.Spec.Replicas, 1)))
		}
	case *v1.ReplicationController:
		if o.Spec.Template != nil {
			inv.workload("ReplicationController", &o.ObjectMeta, o.Spec.Template, int(ptr.Deref(o.Spec.Replicas, 1)))
		}
	case *batchv1.Job:
		if metav1.GetControllerOf(o) == nil {
			inv.workload("Job", &o.ObjectMeta, &o.Spec.Template, int(ptr.Deref(o.Spec.Parallelism, 1)))
		}
	case *batchv1.CronJob:
		job := &o.Spec.JobTemplate.Spec
		inv.workload("CronJob", &o.ObjectMeta, &job.Template, int(ptr.Deref(job.Parallelism, 1)))
	}
}

// workload adds the pod of a template under the name of the workload, as the names of its
// pods are not known yet.
func (inv *Inventory) workload(kind string, of *metav1.ObjectMeta, template *v1.PodTemplateSpec, replicas int) {
	pod := &v1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Name, pod.Namespace = of.Name, of.Namespace
	slim(pod)
	inv.Workloads = append(inv.Workloads, Workload{Kind: kind, Replicas: replicas, Pod: pod})
}

// pvcsOf adds the volumes of a StatefulSet's PVC templates to a pod, as its first pod has
// them.
func pvcsOf(set *appsv1.StatefulSet, pod *v1.Pod) {
	for i := range set.Spec.VolumeClaimTemplates {
		name := set.Spec.VolumeClaimTemplates[i].Name
		pod.Spec.Volumes = append(pod.Spec.Volumes, v1.Volume{
			Name: name,
			VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{
				ClaimName: name + "-" + set.Name + "-0",
			}},
		})
	}
}
