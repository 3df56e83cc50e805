package inventory

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"tenantisolation.dev/scheduler/pkg/manifest"
)

// shape has the fields by which objects are told apart that have no kind: the API server leaves the kinds of
// the items of a list out.
type shape struct {
	APIVersion  string `json:"apiVersion"`
	Kind        string `json:"kind"`
	Handler     string `json:"handler"`
	Provisioner string `json:"provisioner"`
	Spec        struct {
		Containers  []any          `json:"containers"`
		Finalizers  []string       `json:"finalizers"`
		AccessModes []string       `json:"accessModes"`
		Capacity    map[string]any `json:"capacity"`
		// Of what makes pods.
		Template             any     `json:"template"`
		JobTemplate          any     `json:"jobTemplate"`
		ServiceName          *string `json:"serviceName"`
		VolumeClaimTemplates []any   `json:"volumeClaimTemplates"`
		Strategy             any     `json:"strategy"`
		UpdateStrategy       any     `json:"updateStrategy"`
		BackoffLimit         *int    `json:"backoffLimit"`
	} `json:"spec"`
	Status struct {
		NodeInfo map[string]any `json:"nodeInfo"`
	} `json:"status"`
}

// hasPods reports whether something without a kind is a pod by its fields, or makes pods.
func hasPods(from *manifest.Object) bool {
	var s shape
	if from.Decode(&s) != nil {
		// Its fields are not those of a pod.
		return false
	}
	return len(s.Spec.Containers) > 0 || s.Spec.Template != nil || s.Spec.JobTemplate != nil
}

// workloadKind tells apart what makes pods, by fields that the API server always sets.
func (s *shape) workloadKind() (gvk schema.GroupVersionKind, ok bool) {
	switch {
	case s.Spec.JobTemplate != nil:
		return batchv1.SchemeGroupVersion.WithKind("CronJob"), true
	case s.Spec.Template == nil:
		return gvk, false
	case s.Spec.ServiceName != nil || len(s.Spec.VolumeClaimTemplates) > 0:
		return appsv1.SchemeGroupVersion.WithKind("StatefulSet"), true
	case s.Spec.Strategy != nil:
		return appsv1.SchemeGroupVersion.WithKind("Deployment"), true
	case s.Spec.UpdateStrategy != nil:
		return appsv1.SchemeGroupVersion.WithKind("DaemonSet"), true
	case s.Spec.BackoffLimit != nil:
		return batchv1.SchemeGroupVersion.WithKind("Job"), true
	}
	return gvk, false
}

// kindOf returns the kind of an object, by its fields if it has none.
func kindOf(from *manifest.Object) (gvk schema.GroupVersionKind, guessed bool, err error) {
	gvk, err = from.Kind()
	if err == nil {
		return gvk, false, nil
	}
	var s shape
	if from.Decode(&s) != nil || s.Kind != "" || s.APIVersion != "" {
		return gvk, false, err
	}
	if gvk, ok := s.workloadKind(); ok {
		return gvk, true, nil
	}
	switch {
	case len(s.Spec.Containers) > 0:
		return v1.SchemeGroupVersion.WithKind("Pod"), true, nil
	case len(s.Status.NodeInfo) > 0:
		return v1.SchemeGroupVersion.WithKind("Node"), true, nil
	case slices.Contains(s.Spec.Finalizers, string(v1.FinalizerKubernetes)):
		return v1.SchemeGroupVersion.WithKind("Namespace"), true, nil
	case len(s.Spec.AccessModes) > 0 && len(s.Spec.Capacity) > 0:
		return v1.SchemeGroupVersion.WithKind("PersistentVolume"), true, nil
	case len(s.Spec.AccessModes) > 0:
		return v1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), true, nil
	case s.Handler != "":
		return nodev1.SchemeGroupVersion.WithKind("RuntimeClass"), true, nil
	case s.Provisioner != "":
		return storagev1.SchemeGroupVersion.WithKind("StorageClass"), true, nil
	}
	return gvk, false, err
}
