package inventory

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// maxNamed is how many objects an error names.
const maxNamed = 5

// checkObject refuses what no API server would have stored: names that could break a
// terminal or a page, and labels that are too long.
func checkObject(kind string, meta metav1.Object) error {
	if meta.GetName() == "" && meta.GetGenerateName() != "" {
		return checkGenerated(kind, meta)
	}
	if meta.GetName() == "" {
		return fmt.Errorf("%s without a metadata.name", kind)
	}
	where := kind + " " + shown(meta.GetName())
	if meta.GetNamespace() != "" {
		where = kind + " " + shown(meta.GetNamespace()+"/"+meta.GetName())
	}
	if faults := validation.IsDNS1123Subdomain(meta.GetName()); len(faults) > 0 {
		return fmt.Errorf("%s: metadata.name: %s", where, faults[0])
	}
	if meta.GetNamespace() != "" {
		if faults := validation.IsDNS1123Label(meta.GetNamespace()); len(faults) > 0 {
			return fmt.Errorf("%s: metadata.namespace: %s", where, faults[0])
		}
	}
	return checkLabels(where, meta)
}

// anyName stands for what the API server adds to a metadata.generateName.
const anyName = "*"

// checkGenerated gives an object the name "prefix-*", once it is checked.
func checkGenerated(kind string, meta metav1.Object) error {
	prefix := meta.GetGenerateName()
	meta.SetName(prefix + "x")
	err := checkObject(kind, meta)
	meta.SetName(prefix + anyName)
	return err
}

// distinguish numbers the objects of a sorted list that have the same generateName.
func distinguish[T interface {
	named
	SetName(name string)
}](sorted []T) {
	number := 1
	for i := 1; i < len(sorted); i++ {
		prefix, generated := strings.CutSuffix(sorted[i].GetName(), anyName)
		if !generated || sorted[i].GetNamespace() != sorted[i-1].GetNamespace() || !strings.HasPrefix(sorted[i-1].GetName(), prefix+anyName) {
			number = 1
			continue
		}
		number++
		sorted[i].SetName(fmt.Sprintf("%s%s%d", prefix, anyName, number))
	}
}

func checkLabels(where string, meta metav1.Object) error {
	for key, value := range meta.GetLabels() {
		if len(value) > validation.LabelValueMaxLength {
			return fmt.Errorf("%s: metadata.labels[%s] is %d bytes long, and the maximum is %d: use the output of `kubectl get`",
				where, shown(key), len(value), validation.LabelValueMaxLength)
		}
		if !plainLabel(value) && len(validation.IsValidLabelValue(value)) > 0 {
			return fmt.Errorf("%s: metadata.labels[%s]: %s is not a valid label value", where, shown(key), shown(value))
		}
	}
	return nil
}

// plainLabel accepts most labels more cheaply than a regular expression.
func plainLabel(value string) bool {
	for i := range len(value) {
		if c := value[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// shown quotes untrusted text if it is not plain, and shortens it.
func shown(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most] + "..."
	}
	for _, c := range text {
		if c <= ' ' || c >= 0x7f {
			return fmt.Sprintf("%q", text)
		}
	}
	return text
}

// check drops objects that the input contains twice, and refuses two pods with one UID.
func (inv *Inventory) check() error {
	distinguish(inv.Pods)
	var twice doubles
	if policies := distinct(&twice, "IsolationPolicy", inv.policies); len(policies) > 0 {
		inv.Policy = policies[0]
	}
	inv.Nodes = distinct(&twice, "Node", inv.Nodes)
	inv.Namespaces = distinct(&twice, "Namespace", inv.Namespaces)
	inv.RuntimeClasses = distinct(&twice, "RuntimeClass", inv.RuntimeClasses)
	inv.PVCs = distinct(&twice, "PersistentVolumeClaim", inv.PVCs)
	inv.Volumes = distinct(&twice, "PersistentVolume", inv.Volumes)
	inv.StorageClasses = distinct(&twice, "StorageClass", inv.StorageClasses)
	inv.Pods = distinct(&twice, "Pod", inv.Pods)
	if len(twice.unknown) > 0 {
		inv.Unread = append(inv.Unread, some(twice.unknown)+": in the input more than once and different, so it is unknown which one holds")
	}
	// What runs is not judged by them.
	inv.distinctWorkloads(&twice)
	if len(twice.unknown) > 0 {
		inv.Warnings = append(inv.Warnings, "in the input more than once and different: of "+some(twice.unknown)+" the newest counts, or else the last")
	}
	if len(twice.stored) > 0 {
		inv.Warnings = append(inv.Warnings, "in the input as a manifest and as the cluster has it, which counts: "+some(twice.stored))
	}
	return inv.identify()
}

// doubles are objects that the input has more than once and different.
type doubles struct {
	// unknown: nothing says which one holds. stored: one is of a cluster and the other is a manifest.
	unknown, stored []string
}

func (inv *Inventory) distinctWorkloads(twice *doubles) {
	byKind := map[string][]*v1.Pod{}
	for _, w := range inv.Workloads {
		byKind[w.Kind] = append(byKind[w.Kind], w.Pod)
	}
	kept := map[*v1.Pod]bool{}
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		distinguish(byKind[kind])
		for _, pod := range distinct(twice, kind, byKind[kind]) {
			kept[pod] = true
		}
	}
	inv.Workloads = slices.DeleteFunc(inv.Workloads, func(w Workload) bool { return !kept[w.Pod] })
}

// distinct returns a sorted list with each object once, and adds those that are there twice and differ, unless one
// of them is a newer version.
func distinct[T interface {
	named
	GetUID() types.UID
	GetResourceVersion() string
}](twice *doubles, kind string, sorted []T) []T {
	var kept []T
	for _, object := range sorted {
		last := len(kept) - 1
		if last < 0 || byName(kept[last], object) != 0 {
			kept = append(kept, object)
			continue
		}
		other := kept[last]
		older, newer := version(other), version(object)
		sameObject := other.GetUID() == object.GetUID()
		if !apiequality.Semantic.DeepEqual(other, object) && (!sameObject || older == newer) {
			list := &twice.unknown
			if (older == 0) != (newer == 0) {
				list = &twice.stored
			}
			*list = append(*list, kind+" "+strings.TrimPrefix(object.GetNamespace()+"/"+object.GetName(), "/"))
		}
		if newer >= older {
			kept[last] = object
		}
	}
	return kept
}

// version is 0 for an object that is not of a cluster.
func version(of interface{ GetResourceVersion() string }) uint64 {
	version, err := strconv.ParseUint(of.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// some lists the first names.
func some(names []string) string { return someOf(names, ", ") }

func someOf(names []string, separator string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, separator)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], separator), len(names)-maxNamed)
}

// identify gives a UID to pods that come from manifests, and refuses two pods with one UID:
// the rule would take them for the same pod.
func (inv *Inventory) identify() error {
	seen := make(map[types.UID]*v1.Pod, len(inv.Pods))
	for _, pod := range inv.Pods {
		if pod.UID == "" {
			pod.UID = types.UID(pod.Namespace + "/" + pod.Name)
		}
		if other, known := seen[pod.UID]; known {
			return fmt.Errorf("pods %s/%s and %s/%s have the same metadata.uid %s: give each object once",
				other.Namespace, other.Name, pod.Namespace, pod.Name, shown(string(pod.UID)))
		}
		seen[pod.UID] = pod
	}
	return nil
}

// add adds a typed object.
func (inv *Inventory) add(object runtime.Object) {
	switch o := object.(type) {
	case *v1.Node:
		inv.Nodes = append(inv.Nodes, o)
	case *v1.Namespace:
		inv.Namespaces = append(inv.Namespaces, o)
	case *v1.Pod:
		inv.Pods = append(inv.Pods, o)
	case *v1.PersistentVolumeClaim:
		inv.PVCs = append(inv.PVCs, o)
	case *v1.PersistentVolume:
		inv.Volumes = append(inv.Volumes, o)
	default:
		inv.addOther(object)
	}
}
