package inventory

import (
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/manifest"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// object is any object with a name.
type object interface {
	runtime.Object
	metav1.Object
}

// decoded is an object, or the kind of an object that the tool does not read.
type decoded struct {
	object object
	other  schema.GroupVersionKind
	// guessed: the object has no kind, and its fields show which one it is.
	guessed bool
	// leftOut is why it is no object, nil if it is one; mayBePods: it may still be or make pods.
	leftOut   error
	mayBePods bool
}

// decode adds typed objects, without the parts that the tool does not read: one, or the items of a list. namespace is for
// objects without one.
func decode(results []decoded, from *manifest.Object, namespace string) ([]decoded, error) {
	gvk, guessed, err := kindOf(from)
	if errors.Is(err, manifest.ErrNoObject) {
		return append(results, decoded{leftOut: err, mayBePods: hasPods(from)}), nil
	}
	if err != nil {
		return nil, err
	}
	if gvk == v1alpha1.Kind {
		result, err := decodePolicy(from)
		return append(results, result), err
	}
	made := newObject(gvk)
	if made == nil {
		if strings.HasSuffix(gvk.Kind, "List") {
			items, isList, err := from.Items()
			for _, item := range items {
				if err == nil {
					results, err = decode(results, item, namespace)
				}
			}
			if isList || err != nil {
				return results, err
			}
		}
		// Only its kind matters, which must not be set twice.
		return append(results, decoded{other: gvk}), from.Decode(&metav1.TypeMeta{})
	}
	if err := from.Decode(made); err != nil {
		return nil, err
	}
	if namespaced(gvk.Kind) && made.GetNamespace() == "" {
		made.SetNamespace(namespace)
	}
	if err := checkObject(gvk.Kind, made); err != nil {
		return nil, fmt.Errorf("%s: %w", from.At(), err)
	}
	slim(made)
	return append(results, decoded{object: made, guessed: guessed}), nil
}

// decodePolicy reads an IsolationPolicy as the API server would.
func decodePolicy(from *manifest.Object) (decoded, error) {
	whole, err := from.Unstructured()
	if err != nil {
		return decoded{}, err
	}
	object, err := policy.FromObject(whole.Object)
	if err != nil {
		return decoded{}, fmt.Errorf("%s: %w", from.At(), err)
	}
	if err := checkObject(v1alpha1.Kind.Kind, object); err != nil {
		return decoded{}, fmt.Errorf("%s: %w", from.At(), err)
	}
	return decoded{object: object}, nil
}

func namespaced(kind string) bool {
	switch kind {
	case "Node", "Namespace", "PersistentVolume", "RuntimeClass", "StorageClass":
		return false
	}
	return true
}

// newObject returns nil for a kind that the tool does not read.
func newObject(gvk schema.GroupVersionKind) object {
	switch gvk {
	case v1.SchemeGroupVersion.WithKind("Pod"):
		return &v1.Pod{}
	case v1.SchemeGroupVersion.WithKind("Node"):
		return &v1.Node{}
	case v1.SchemeGroupVersion.WithKind("Namespace"):
		return &v1.Namespace{}
	case v1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"):
		return &v1.PersistentVolumeClaim{}
	case v1.SchemeGroupVersion.WithKind("PersistentVolume"):
		return &v1.PersistentVolume{}
	case v1.SchemeGroupVersion.WithKind("ReplicationController"):
		return &v1.ReplicationController{}
	case nodev1.SchemeGroupVersion.WithKind("RuntimeClass"):
		return &nodev1.RuntimeClass{}
	case storagev1.SchemeGroupVersion.WithKind("StorageClass"):
		return &storagev1.StorageClass{}
	case appsv1.SchemeGroupVersion.WithKind("Deployment"):
		return &appsv1.Deployment{}
	case appsv1.SchemeGroupVersion.WithKind("StatefulSet"):
		return &appsv1.StatefulSet{}
	case appsv1.SchemeGroupVersion.WithKind("DaemonSet"):
		return &appsv1.DaemonSet{}
	case appsv1.SchemeGroupVersion.WithKind("ReplicaSet"):
		return &appsv1.ReplicaSet{}
	case batchv1.SchemeGroupVersion.WithKind("Job"):
		return &batchv1.Job{}
	case batchv1.SchemeGroupVersion.WithKind("CronJob"):
		return &batchv1.CronJob{}
	}
	return nil
}

// wellKnown reports whether a kind of Kubernetes has nothing for the rule to read. A kind
// that the tool reads is not well known in an old version: apps/v1beta1 Deployments create
// pods.
func wellKnown(gvk schema.GroupVersionKind) bool {
	return scheme.Scheme.Recognizes(gvk) && gvk.Version == "v1" ||
		scheme.Scheme.Recognizes(gvk) && newObject(schema.GroupVersionKind{Group: gvk.Group, Version: "v1", Kind: gvk.Kind}) == nil
}
