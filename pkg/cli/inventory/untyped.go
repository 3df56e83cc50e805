package inventory

import (
	"slices"

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
	} `json:"spec"`
	Status struct {
		NodeInfo map[string]any `json:"nodeInfo"`
	} `json:"status"`
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
