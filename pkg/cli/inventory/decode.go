package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/cli/blockyaml"
	"tenantisolation.dev/scheduler/pkg/cli/prune"
)

// lastApplied is a copy of the object within itself.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// unread are the fields that are long and that neither the rule nor the tool reads. It
// names what is dropped and not what is kept: a field that the next release makes
// important is read.
func unread() *prune.Tree {
	paths := [][]string{
		{"metadata", "managedFields"},
		{"metadata", "annotations", lastApplied},
		{"status", "containerStatuses"},
		{"status", "initContainerStatuses"},
		{"status", "ephemeralContainerStatuses"},
		{"status", "images"},
		{"status", "conditions"},
		{"metadata", "ownerReferences", "uid"},
		{"spec", "tolerations", "tolerationSeconds"},
		{"spec", "volumes", "configMap", "items"},
		{"spec", "volumes", "configMap", "name"},
		{"spec", "volumes", "secret", "items"},
		{"spec", "volumes", "projected", "sources"},
		{"status", "podIPs"},
		{"status", "hostIPs"},
	}
	for _, list := range []string{"containers", "initContainers", "ephemeralContainers"} {
		for _, field := range []string{
			"env", "envFrom", "command", "args", "volumeMounts", "imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy",
		} {
			paths = append(paths, []string{"spec", list, field})
		}
	}
	return prune.Drop(paths...)
}

// decoder makes objects of texts. It is for one goroutine.
type decoder struct {
	tree      *prune.Tree
	json      []byte
	namespace string
}

// text is an object as it was found.
type text struct {
	yaml  bool
	bytes []byte
	// where it was found, for people.
	where position
}

type position struct {
	file string
	// object counts from 1; line is 0 if it is not known.
	object, line int
}

func (p position) String() string {
	if p.line > 0 {
		return fmt.Sprintf("%s:%d (object %d)", p.file, p.line, p.object)
	}
	return fmt.Sprintf("%s (object %d)", p.file, p.object)
}

// decoded is an object, or what kind of object it is that nobody reads.
type decoded struct {
	object runtime.Object
	other  schema.GroupVersionKind
}

func (d *decoder) decode(t text) (decoded, error) {
	out, err := d.decodeText(t)
	if err != nil {
		return decoded{}, fmt.Errorf("%s: %w", t.where, err)
	}
	return out, nil
}

func (d *decoder) decodeText(t text) (decoded, error) {
	var err error
	if d.json, err = d.toJSON(t); err != nil {
		return decoded{}, err
	}
	gvk, err := kindOf(d.json)
	if err != nil {
		return decoded{}, err
	}
	object := newObject(gvk)
	if object == nil {
		if len(gvk.Kind) > 4 && gvk.Kind[len(gvk.Kind)-4:] == "List" || gvk.Kind == "List" {
			return decoded{}, errors.New("a list inside of a list: give its items")
		}
		return decoded{other: gvk}, nil
	}
	// As the API server reads it: the case of a field's name counts.
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.json, object); err != nil {
		return decoded{}, fmt.Errorf("%s: %w", gvk.Kind, err)
	}
	meta, ok := object.(metav1.ObjectMetaAccessor)
	if !ok {
		return decoded{}, fmt.Errorf("%s has no metadata", gvk.Kind)
	}
	m, ok := meta.GetObjectMeta().(*metav1.ObjectMeta)
	if !ok {
		return decoded{}, fmt.Errorf("%s has no metadata", gvk.Kind)
	}
	if namespaced(gvk.Kind) && m.Namespace == "" {
		m.Namespace = d.namespace
	}
	if err := checkObject(gvk.Kind, m); err != nil {
		return decoded{}, err
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

func (d *decoder) toJSON(t text) ([]byte, error) {
	if t.yaml {
		out, err := blockyaml.AppendJSON(d.json[:0], t.bytes, d.tree)
		if err == nil {
			return out, nil
		}
		whole, err := yaml.YAMLToJSONStrict(t.bytes)
		if err != nil {
			return nil, fmt.Errorf("no YAML: %w", err)
		}
		t.bytes = whole
	}
	out, rest, err := prune.JSON(d.json[:0], t.bytes, d.tree)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("something comes after the object")
	}
	return out, nil
}

// kindOf reads apiVersion and kind, which come first where Kubernetes wrote the object.
func kindOf(object []byte) (schema.GroupVersionKind, error) {
	switch {
	case bytes.HasPrefix(object, []byte(`{"apiVersion":"v1","kind":"Pod",`)):
		return v1.SchemeGroupVersion.WithKind("Pod"), nil
	case len(object) == 0 || object[0] != '{':
		return schema.GroupVersionKind{}, errors.New("no object of Kubernetes: it has no fields")
	}
	var meta metav1.TypeMeta
	if err := json.Unmarshal(object, &meta); err != nil {
		return schema.GroupVersionKind{}, err
	}
	if meta.Kind == "" || meta.APIVersion == "" {
		return schema.GroupVersionKind{}, errors.New("no object of Kubernetes: apiVersion or kind is missing")
	}
	gv, err := schema.ParseGroupVersion(meta.APIVersion)
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	return gv.WithKind(meta.Kind), nil
}

// newObject returns nil for a kind that nobody reads.
func newObject(gvk schema.GroupVersionKind) runtime.Object {
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

// wellKnown reports whether a kind is Kubernetes' own, in a version that has nothing for
// the rule to read. A known kind in an old version is not: apps/v1beta1 Deployments make
// pods.
func wellKnown(gvk schema.GroupVersionKind) bool {
	return scheme.Scheme.Recognizes(gvk) && gvk.Version == "v1" ||
		scheme.Scheme.Recognizes(gvk) && newObject(schema.GroupVersionKind{Group: gvk.Group, Version: "v1", Kind: gvk.Kind}) == nil
}
