package podfacts

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Lookup finds what the rule reads around a pod. Whatever is not known makes the pod
// unknown, or its boundary void.
type Lookup interface {
	// NamespaceLabels returns the labels of a namespace, and whether it is known.
	NamespaceLabels(name string) (map[string]string, bool)
	// RuntimeClass returns a RuntimeClass, and whether it is known.
	RuntimeClass(name string) (RuntimeClass, bool)
	// PVCOnHost reports whether the volume of a PVC ("namespace/name") is a directory
	// of the host, and whether the PVC is known.
	PVCOnHost(key string) (onHost, known bool)
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
	if namespaceLabels, ok := around.NamespaceLabels(pod.Namespace); ok {
		p.Namespace = &isolation.Namespace{
			Name:             pod.Namespace,
			Labels:           namespaceLabels,
			PlatformSelected: r.platform.Matches(labels.Set(namespaceLabels)),
		}
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
