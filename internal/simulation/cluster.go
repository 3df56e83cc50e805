package simulation

import (
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Cluster is what is simulated. The simulation never changes it: a variant works on a copy.
type Cluster struct {
	// Source names the input, for the report.
	Source string
	// Mapping says how rows of a trace became pods of tenants; empty for manifests.
	Mapping string

	Nodes           []*corev1.Node
	Namespaces      []*corev1.Namespace
	RuntimeClasses  []*nodev1.RuntimeClass
	PriorityClasses []*schedulingv1.PriorityClass
	// Pods in the order of their creation. Those with a node run already.
	Pods []*corev1.Pod
	// Others are PVCs, volumes, services and other objects that the scheduler reads.
	Others []runtime.Object
	// Notes say what was added or left out.
	Notes []string
}

// others returns all objects but pods.
func (c *Cluster) others() []runtime.Object {
	objects := make([]runtime.Object, 0, len(c.Nodes)+len(c.Namespaces)+len(c.RuntimeClasses)+len(c.Others))
	for _, o := range c.Nodes {
		objects = append(objects, o)
	}
	for _, o := range c.Namespaces {
		objects = append(objects, o)
	}
	for _, o := range c.RuntimeClasses {
		objects = append(objects, o)
	}
	return append(objects, c.Others...)
}

// clone returns a copy whose pods and namespaces can be changed.
func (c *Cluster) clone() *Cluster {
	d := *c
	d.Namespaces, d.Pods = nil, nil
	for _, ns := range c.Namespaces {
		d.Namespaces = append(d.Namespaces, ns.DeepCopy())
	}
	for _, pod := range c.Pods {
		d.Pods = append(d.Pods, pod.DeepCopy())
	}
	d.RuntimeClasses = append([]*nodev1.RuntimeClass(nil), c.RuntimeClasses...)
	return &d
}

func (c *Cluster) namespace(name string) *corev1.Namespace {
	for _, ns := range c.Namespaces {
		if ns.Name == name {
			return ns
		}
	}
	return nil
}

func (c *Cluster) runtimeClass(name string) *nodev1.RuntimeClass {
	for _, class := range c.RuntimeClasses {
		if class.Name == name {
			return class
		}
	}
	return nil
}
