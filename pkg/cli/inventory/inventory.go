package inventory

import (
	"cmp"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cluster"
)

// Inventory is what was read of a cluster. Every list is in order of namespace and name.
type Inventory struct {
	// Source names the input, for people.
	Source string
	// Files are the names that were given, none for a live cluster.
	Files []string
	// Server is the version of the API server, empty for files.
	Server string

	Nodes          []*v1.Node
	Namespaces     []*v1.Namespace
	Pods           []*v1.Pod
	RuntimeClasses []*nodev1.RuntimeClass
	PVCs           []*v1.PersistentVolumeClaim
	Volumes        []*v1.PersistentVolume
	StorageClasses []*storagev1.StorageClass
	// Policy is the IsolationPolicy that holds: the one of the default name, nil if there is none.
	Policy *v1alpha1.IsolationPolicy
	// policies are all of that name.
	policies []*v1alpha1.IsolationPolicy
	// Workloads are Deployments and the like, as the pods that they will create. They are not
	// read of a live cluster, which has their pods.
	Workloads []Workload

	// Versions are the resourceVersions of the lists that were read of a live cluster, by
	// the resource's name.
	Versions map[string]string
	// Unread says what could not be read for want of rights, one sentence each.
	Unread []string
	// Warnings say what is missing in the input, one sentence each.
	Warnings []string
}

// Workload is an object that creates pods.
type Workload struct {
	// Kind is "Deployment" and the like.
	Kind string
	// Replicas is the number of its pods; 0 for a DaemonSet, which has one on each node.
	Replicas int
	// Pod is what each of them will be, under the name of the workload.
	Pod *v1.Pod
	// PVCs are those that are made for the first of them.
	PVCs []*v1.PersistentVolumeClaim
}

// Objects calls yield for everything that the rule reads; pods last, so that their
// namespaces, classes and volumes are known when they are judged.
func (inv *Inventory) Objects(yield func(runtime.Object) bool) {
	_ = each(inv.Namespaces, yield) && each(inv.RuntimeClasses, yield) && each(inv.StorageClasses, yield) &&
		each(inv.Volumes, yield) && each(inv.PVCs, yield) && each(inv.Nodes, yield) && each(inv.Pods, yield)
}

func each[T runtime.Object](list []T, yield func(runtime.Object) bool) bool {
	for _, object := range list {
		if !yield(object) {
			return false
		}
	}
	return true
}

// RunningPods returns how many pods are bound to a node and have not ended.
func (inv *Inventory) RunningPods() int {
	running := 0
	for _, pod := range inv.Pods {
		if pod.Spec.NodeName != "" && !Ended(pod) {
			running++
		}
	}
	return running
}

// Ended reports whether all containers of the pod have ended for good. Of one that is said to have ended, and of which a
// container is said to run, they have not.
func Ended(pod *v1.Pod) bool { return cluster.Ended(pod) && !cluster.Hidden(pod) }

// Hidden returns the pods on nodes that are hidden, by node.
func (inv *Inventory) Hidden() map[string][]*v1.Pod {
	hidden := map[string][]*v1.Pod{}
	for _, pod := range inv.Pods {
		if pod.Spec.NodeName != "" && cluster.Hidden(pod) {
			hidden[pod.Spec.NodeName] = append(hidden[pod.Spec.NodeName], pod)
		}
	}
	return hidden
}

type named interface {
	GetName() string
	GetNamespace() string
}

func byName[T named](a, b T) int {
	return cmp.Or(strings.Compare(a.GetNamespace(), b.GetNamespace()), strings.Compare(a.GetName(), b.GetName()))
}

// sort sorts every list. Those of one name stay in the order of the input.
func (inv *Inventory) sort() {
	slices.SortStableFunc(inv.Nodes, byName)
	slices.SortStableFunc(inv.Namespaces, byName)
	slices.SortStableFunc(inv.Pods, byName)
	slices.SortStableFunc(inv.RuntimeClasses, byName)
	slices.SortStableFunc(inv.PVCs, byName)
	slices.SortStableFunc(inv.Volumes, byName)
	slices.SortStableFunc(inv.StorageClasses, byName)
	slices.SortStableFunc(inv.Workloads, func(a, b Workload) int {
		return cmp.Or(byName(a.Pod, b.Pod), strings.Compare(a.Kind, b.Kind))
	})
	slices.Sort(inv.Warnings)
	inv.Warnings = slices.Compact(inv.Warnings)
}
