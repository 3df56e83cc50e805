package simulation

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"tenantisolation.dev/scheduler/pkg/manifest"
)

// document is an object of a file.
type document struct {
	// at is the position in the file, for errors.
	at     string
	object *unstructured.Unstructured
}

func (d document) fault(field, format string, args ...any) error {
	return fmt.Errorf("%s, %s %s, %s: "+format,
		append([]any{d.at, d.object.GetKind(), d.object.GetName(), field}, args...)...)
}

// readManifests adds the objects of these files to the cluster: nodes, namespaces, classes,
// pods, and the pods of workloads. label is the folder's name in errors.
func (l *loader) readManifests(folder fs.FS, names []string, label string) error {
	found, err := manifest.ReadFiles(folder, names, label)
	if err != nil {
		return err
	}
	for _, f := range found {
		object, err := f.Unstructured()
		if err != nil {
			return err
		}
		if err := l.add(document{f.At(), object}); err != nil {
			return err
		}
	}
	return nil
}

// decode returns a typed object, nil for an unknown kind.
func (l *loader) decode(d document) (runtime.Object, error) {
	if err := checkQuantities(d, nil, d.object.Object); err != nil {
		return nil, err
	}
	raw, err := d.object.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.at, err)
	}
	object, _, err := l.codecs.UniversalDeserializer().Decode(raw, nil, nil)
	switch {
	case runtime.IsNotRegisteredError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s, %s %s: %w", d.at, d.object.GetKind(), d.object.GetName(), err)
	case d.object.GetName() == "":
		return nil, d.fault("metadata.name", "is missing")
	}
	return object, nil
}

func strictCodecs() serializer.CodecFactory {
	return serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)
}

// amountFields hold quantities by resource. The decoder refuses a bad one without naming
// the field.
var amountFields = []string{"requests", "limits", "allocatable", "capacity", "podFixed"}

func checkQuantities(d document, at []string, value any) error {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			here := append(slices.Clone(at), key)
			if amounts, ok := value[key].(map[string]any); ok && slices.Contains(amountFields, key) {
				if err := checkAmounts(d, here, amounts); err != nil {
					return err
				}
				continue
			}
			if err := checkQuantities(d, here, value[key]); err != nil {
				return err
			}
		}
	case []any:
		for i, item := range value {
			if err := checkQuantities(d, append(slices.Clone(at), fmt.Sprintf("[%d]", i)), item); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkAmounts(d document, at []string, amounts map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(amounts)) {
		text := fmt.Sprint(amounts[name])
		field := fieldPath(append(slices.Clone(at), name))
		quantity, err := resource.ParseQuantity(text)
		if err != nil {
			return d.fault(field, "%q is not a quantity, want one like 500m or 2Gi", text)
		}
		if quantity.Sign() < 0 {
			return d.fault(field, "%q is below zero", text)
		}
	}
	return nil
}

func fieldPath(steps []string) string {
	var b strings.Builder
	for _, step := range steps {
		if b.Len() > 0 && step[0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}

// loader collects a cluster from files.
type loader struct {
	codecs  serializer.CodecFactory
	cluster *Cluster
	// daemons are expanded last, after all nodes are read.
	daemons []*appsv1.DaemonSet
	ignored map[string]int
	seen    map[string]string
}

func newLoader() *loader {
	return &loader{codecs: strictCodecs(), cluster: &Cluster{}, ignored: map[string]int{}, seen: map[string]string{}}
}

// add adds one object.
func (l *loader) add(d document) error {
	object, err := l.decode(d)
	if err != nil {
		return err
	}
	if object == nil {
		l.ignored[d.object.GetKind()]++
		return nil
	}
	if meta, ok := object.(metav1.Object); ok {
		id := d.object.GetKind() + " " + meta.GetNamespace() + "/" + meta.GetName()
		if before, twice := l.seen[id]; twice {
			return d.fault("metadata.name", "the object is there twice, also in %s", before)
		}
		l.seen[id] = d.at
	}
	c := l.cluster
	switch o := object.(type) {
	case *corev1.Node:
		return l.addNode(d, o)
	case *corev1.Namespace:
		c.Namespaces = append(c.Namespaces, o)
	case *nodev1.RuntimeClass:
		c.RuntimeClasses = append(c.RuntimeClasses, o)
	case *schedulingv1.PriorityClass:
		c.PriorityClasses = append(c.PriorityClasses, o)
	case *corev1.Pod:
		if o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed {
			l.ignored["finished Pod"]++
			return nil
		}
		l.addPod(o)
	case *appsv1.DaemonSet:
		l.daemons = append(l.daemons, o)
	case *appsv1.Deployment, *appsv1.StatefulSet, *appsv1.ReplicaSet, *corev1.ReplicationController, *batchv1.Job:
		return l.addWorkload(d, o)
	case *corev1.PersistentVolumeClaim, *corev1.PersistentVolume, *corev1.Service:
		if o, ok := object.(metav1.Object); ok && needsNamespace(object) && o.GetNamespace() == "" {
			o.SetNamespace(corev1.NamespaceDefault)
		}
		c.Others = append(c.Others, object)
	default:
		l.ignored[d.object.GetKind()]++
	}
	return nil
}

func needsNamespace(o runtime.Object) bool {
	_, clusterWide := o.(*corev1.PersistentVolume)
	return !clusterWide
}

func (l *loader) addNode(d document, node *corev1.Node) error {
	if len(node.Status.Allocatable) == 0 {
		node.Status.Allocatable = node.Status.Capacity
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if amount := node.Status.Allocatable[name]; amount.Sign() <= 0 {
			return d.fault("status.allocatable."+string(name), "is missing, so no pod would fit")
		}
	}
	if amount := node.Status.Allocatable[corev1.ResourcePods]; amount.Sign() <= 0 {
		node.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("110")
	}
	if node.Labels[corev1.LabelHostname] == "" {
		metav1.SetMetaDataLabel(&node.ObjectMeta, corev1.LabelHostname, node.Name)
	}
	l.cluster.Nodes = append(l.cluster.Nodes, node)
	return nil
}
