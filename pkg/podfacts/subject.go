package podfacts

import (
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Lookup finds what the rule reads around a pod. Whatever is not known makes the pod
// unknown, or its boundary void.
type Lookup interface {
	// Namespace returns a namespace, and whether it is known.
	Namespace(name string) (Namespace, bool)
	// RuntimeClass returns a RuntimeClass, and whether it is known.
	RuntimeClass(name string) (RuntimeClass, bool)
	// PVCOnHost reports whether the volume of a PVC ("namespace/name") is a directory
	// of the host, and whether the PVC is known.
	PVCOnHost(key string) (onHost, known bool)
}

// Namespace is what the rule reads of a namespace.
type Namespace struct {
	Labels  map[string]string
	Created metav1.Time
}

// clockSkew is by how much the clocks of two API servers may differ, after rounding to seconds: a
// namespace may be made by one, and its first pod by the other.
const clockSkew = time.Second

// youngerThan reports whether the namespace was made after the pod. Manifests say no times.
func (n *Namespace) youngerThan(pod *v1.Pod) bool {
	return !pod.CreationTimestamp.IsZero() && pod.CreationTimestamp.Add(clockSkew).Before(n.Created.Time)
}

// RuntimeClass is what the rule reads of a RuntimeClass.
type RuntimeClass struct {
	Handler string
	Created metav1.Time
	// Nodes selects the nodes that support the class, nil if it does not say.
	Nodes labels.Selector
}

// NewRuntimeClass reads a RuntimeClass.
func NewRuntimeClass(class *nodev1.RuntimeClass) RuntimeClass {
	read := RuntimeClass{Handler: class.Handler, Created: class.CreationTimestamp}
	if class.Scheduling != nil && len(class.Scheduling.NodeSelector) > 0 {
		read.Nodes = labels.SelectorFromSet(class.Scheduling.NodeSelector)
	}
	return read
}

// Subject returns the subject of a pod, from the facts that were gathered of this version
// of it.
func (r *Rules) Subject(pod *v1.Pod, f *Facts, around Lookup) isolation.Subject {
	p := isolation.Pod{
		Labels:        pod.Labels,
		Annotations:   pod.Annotations,
		Privilege:     f.Privilege,
		UserNamespace: userNamespace(pod),
		RuntimeClass:  RuntimeClassName(pod),
		HostAccess:    f.HostAccess,
		Resident:      pod.Spec.NodeName != "",
		MountsPVCs:    len(f.PVCs) > 0,
	}
	if namespace, ok := around.Namespace(pod.Namespace); ok {
		p.Namespace = &isolation.Namespace{
			Name:             pod.Namespace,
			Labels:           namespace.Labels,
			PlatformSelected: r.platform.Matches(labels.Set(namespace.Labels)),
		}
		p.OlderThanNamespace = namespace.youngerThan(pod)
	}
	if p.RuntimeClass != "" {
		var class RuntimeClass
		class, p.RuntimeClassFound = around.RuntimeClass(p.RuntimeClass)
		p.Handler = class.Handler
		// The kubelet looks the handler up when it starts the pod, and never again.
		p.HandlerUncertain = pod.Status.StartTime != nil && pod.Status.StartTime.Before(&class.Created)
	}
	for _, pvc := range f.PVCs {
		// A PVC that is not known yet may turn out to be a directory of the host.
		if onHost, known := around.PVCOnHost(pvc); !known || onHost {
			p.HostAccess |= isolation.HostPath
		}
	}
	for _, driver := range f.CSIDrivers {
		if slices.Contains(r.hostPathProvisioners, driver) {
			p.HostAccess |= isolation.HostPath
		}
	}
	return r.Resolve(p)
}
