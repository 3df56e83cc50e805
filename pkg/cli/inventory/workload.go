package inventory

import (
	"cmp"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	daemon "k8s.io/kubernetes/pkg/controller/daemon/util"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// WorkloadOf returns a workload as the pod that it will create; false for an object that creates none.
func WorkloadOf(object runtime.Object) (Workload, bool) {
	var inv Inventory
	inv.addOther(object)
	if len(inv.Workloads) == 0 {
		return Workload{}, false
	}
	return inv.Workloads[0], true
}

func (inv *Inventory) addOther(object runtime.Object) {
	switch o := object.(type) {
	case *v1alpha1.IsolationPolicy:
		if o.Name == v1alpha1.DefaultName {
			inv.policies = append(inv.policies, o)
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
		pvcsOf(o, &inv.Workloads[len(inv.Workloads)-1])
	case *appsv1.DaemonSet:
		inv.workload("DaemonSet", &o.ObjectMeta, &o.Spec.Template, 0)
		// As its controller does.
		daemon.AddOrUpdateDaemonPodTolerations(&inv.Workloads[len(inv.Workloads)-1].Pod.Spec)
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
			inv.workload("Job", &o.ObjectMeta, &o.Spec.Template, atOnce(&o.Spec, o.Status.Conditions))
		}
	case *batchv1.CronJob:
		job := &o.Spec.JobTemplate.Spec
		pods := atOnce(job, nil)
		if ptr.Deref(o.Spec.Suspend, false) {
			pods = 0
		}
		inv.workload("CronJob", &o.ObjectMeta, &job.Template, pods)
	}
}

// checkCopies refuses a workload that no API server would have stored: one with fewer pods than none.
func checkCopies(kind string, of object) error {
	check := func(path string, copies *int32) error {
		if ptr.Deref(copies, 0) < 0 {
			return fmt.Errorf("%s %s: %s is %d, and must not be negative", kind, shown(of.GetNamespace()+"/"+of.GetName()), path, *copies)
		}
		return nil
	}
	switch o := of.(type) {
	case *appsv1.Deployment:
		return check("spec.replicas", o.Spec.Replicas)
	case *appsv1.StatefulSet:
		return check("spec.replicas", o.Spec.Replicas)
	case *appsv1.ReplicaSet:
		return check("spec.replicas", o.Spec.Replicas)
	case *v1.ReplicationController:
		return check("spec.replicas", o.Spec.Replicas)
	case *batchv1.Job:
		return cmp.Or(check("spec.parallelism", o.Spec.Parallelism), check("spec.completions", o.Spec.Completions))
	case *batchv1.CronJob:
		job := &o.Spec.JobTemplate.Spec
		return cmp.Or(check("spec.jobTemplate.spec.parallelism", job.Parallelism), check("spec.jobTemplate.spec.completions", job.Completions))
	}
	return nil
}

// atOnce is how many pods a Job has at a time: none when it has ended.
func atOnce(job *batchv1.JobSpec, conditions []batchv1.JobCondition) int {
	for i := range conditions {
		if c := &conditions[i]; (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == v1.ConditionTrue {
			return 0
		}
	}
	if ptr.Deref(job.Suspend, false) {
		return 0
	}
	pods := ptr.Deref(job.Parallelism, 1)
	return int(min(pods, ptr.Deref(job.Completions, pods)))
}

// workload adds the pod of a template under the name of the workload, as the names of its
// pods are not known yet.
func (inv *Inventory) workload(kind string, of *metav1.ObjectMeta, template *v1.PodTemplateSpec, replicas int) {
	pod := &v1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Name, pod.Namespace = of.Name, of.Namespace
	inv.Workloads = append(inv.Workloads, Workload{Kind: kind, Replicas: replicas, Pod: pod})
}

// pvcsOf adds the PVCs of a StatefulSet's templates to its pods, as the first of them has them.
func pvcsOf(set *appsv1.StatefulSet, w *Workload) {
	for i := range set.Spec.VolumeClaimTemplates {
		pvc := set.Spec.VolumeClaimTemplates[i].DeepCopy()
		volume := pvc.Name
		pvc.Name, pvc.Namespace = volume+"-"+set.Name+"-0", set.Namespace
		w.PVCs = append(w.PVCs, pvc)
		w.Pod.Spec.Volumes = append(w.Pod.Spec.Volumes, v1.Volume{
			Name: volume,
			VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{
				ClaimName: pvc.Name,
			}},
		})
	}
}
