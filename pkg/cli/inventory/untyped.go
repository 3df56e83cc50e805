package inventory

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"tenantisolation.dev/scheduler/api/v1alpha1"
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

// hasPods reports whether something is a pod by its fields, or makes pods.
func hasPods(from *manifest.Object) bool {
	var s shape
	if from.Decode(&s) == nil {
		return len(s.Spec.Containers) > 0 || s.Spec.Template != nil || s.Spec.JobTemplate != nil
	}
	// A field is of another type than a pod's, or stands twice.
	var loose struct {
		Spec map[string]any `json:"spec"`
	}
	if from.Decode(&loose) != nil {
		return from.HasFields() && from.Mentions("containers")
	}
	return loose.Spec["containers"] != nil || loose.Spec["template"] != nil || loose.Spec["jobTemplate"] != nil
}

// unreadable returns why something of a kind that the tool does not read stands for what it does read.
func unreadable(gvk schema.GroupVersionKind, from *manifest.Object) error {
	if isMisnamed(gvk) {
		return fmt.Errorf("there is no kind %s of %s", shown(gvk.Kind), shown(gvk.GroupVersion().String()))
	}
	if gvk != v1.SchemeGroupVersion.WithKind("Status") {
		return nil
	}
	var answer metav1.Status
	if err := from.Decode(&answer); err != nil || answer.Status == metav1.StatusFailure {
		return fmt.Errorf("an API server's answer and not an object: %s", shown(answer.Message))
	}
	return nil
}

// isMisnamed reports whether a kind that the tool does not know is one that it reads, in other letters or of a version
// that no API server has any more.
func isMisnamed(gvk schema.GroupVersionKind) bool {
	for _, read := range kinds {
		if strings.EqualFold(gvk.Kind, read.Kind) && (gvk.Group == read.Group || gvk.Group == "extensions") {
			return true
		}
	}
	return strings.EqualFold(gvk.Kind, v1alpha1.Kind.Kind) && gvk.Group == v1alpha1.Kind.Group
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
