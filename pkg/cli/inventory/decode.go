package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
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
	// at says where it is: it is a part of an object, or may be one if there is an object. size is that of its text.
	at   string
	size int
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
		if err := from.Decode(&metav1.TypeMeta{}); err != nil {
			return results, err
		}
		if why := unreadable(gvk, from); why != nil {
			return append(results, decoded{leftOut: fmt.Errorf("%s: %w", from.At(), why), mayBePods: true}), nil
		}
		return append(results, decoded{other: gvk}), nil
	}
	if err := from.Decode(made); err != nil {
		return nil, explainDecoding(from, gvk.Kind, err)
	}
	// Those of a list have no kind of their own, and are the same objects.
	made.GetObjectKind().SetGroupVersionKind(gvk)
	if namespaced(gvk.Kind) && made.GetNamespace() == "" {
		made.SetNamespace(namespace)
	}
	if isPart(made) {
		return append(results, decoded{at: whereIs(from, gvk.Kind, made)}), nil
	}
	if err := cmp.Or(checkObject(gvk.Kind, made), checkCopies(gvk.Kind, made)); err != nil {
		return nil, fmt.Errorf("%s: %w", from.At(), err)
	}
	slim(made)
	result := decoded{object: made, guessed: guessed}
	if lacksSelector(made) {
		result.at, result.size = whereIs(from, gvk.Kind, made), from.Size()
	}
	return append(results, result), nil
}

// explainDecoding names the object that cannot be decoded, and the quantity in it that is none: the error of the decoder names
// neither.
func explainDecoding(from *manifest.Object, kind string, err error) error {
	whole, unreadable := from.Unstructured()
	if unreadable != nil {
		return err
	}
	what := kind + " " + shown(strings.TrimPrefix(whole.GetNamespace()+"/"+whole.GetName(), "/"))
	if path, value := badQuantity(whole.Object, ""); path != "" {
		return fmt.Errorf("%s: %s: %s is %s, and must be a quantity such as 500m, 2 or 1Gi", from.At(), what, path, shown(value))
	}
	return fmt.Errorf("%w (%s)", err, what)
}

// badQuantity finds what is no quantity where there must be one, "" if there is nothing.
func badQuantity(of any, path string) (at, value string) {
	switch of := of.(type) {
	case []any:
		for i, item := range of {
			if at, value = badQuantity(item, fmt.Sprintf("%s[%d]", path, i)); at != "" {
				return at, value
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(of)) {
			below := strings.TrimPrefix(path+"."+name, ".")
			quantities, isMap := of[name].(map[string]any)
			if isMap && slices.Contains([]string{"requests", "limits", "capacity", "allocatable", "podFixed"}, name) {
				for _, of := range slices.Sorted(maps.Keys(quantities)) {
					text, isText := quantities[of].(string)
					if _, err := resource.ParseQuantity(text); isText && err != nil {
						return below + "." + of, text
					}
				}
			}
			if at, value = badQuantity(of[name], below); at != "" {
				return at, value
			}
		}
	}
	return "", ""
}

func whereIs(from *manifest.Object, kind string, of object) string {
	return fmt.Sprintf("%s: %s %s", from.At(), kind, shown(of.GetNamespace()+"/"+of.GetName()))
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

// kinds are those that the tool reads as typed objects.
var kinds = []schema.GroupVersionKind{
	v1.SchemeGroupVersion.WithKind("Pod"),
	v1.SchemeGroupVersion.WithKind("Node"),
	v1.SchemeGroupVersion.WithKind("Namespace"),
	v1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
	v1.SchemeGroupVersion.WithKind("PersistentVolume"),
	v1.SchemeGroupVersion.WithKind("ReplicationController"),
	nodev1.SchemeGroupVersion.WithKind("RuntimeClass"),
	storagev1.SchemeGroupVersion.WithKind("StorageClass"),
	appsv1.SchemeGroupVersion.WithKind("Deployment"),
	appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
	appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
	appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
	batchv1.SchemeGroupVersion.WithKind("Job"),
	batchv1.SchemeGroupVersion.WithKind("CronJob"),
}

// newObject returns nil for a kind that the tool does not read.
func newObject(gvk schema.GroupVersionKind) object {
	if !slices.Contains(kinds, gvk) {
		return nil
	}
	made, err := scheme.Scheme.New(gvk)
	typed, ok := made.(object)
	if err != nil || !ok {
		panic(fmt.Sprintf("%s is not in the scheme of Kubernetes: %v", gvk, err))
	}
	return typed
}
