package explain

import (
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

func (x *Explainer) boundary(pod *v1.Pod, facts *podfacts.Facts, subject isolation.Subject) Boundary {
	b := Boundary{Value: subject.Boundary().String(), RuntimeClass: podfacts.RuntimeClassName(pod)}
	if namespace, known := x.Store.Namespace(pod.Namespace); known {
		b.Demanded = namespace.Labels[isolation.BoundaryLabel]
	}
	if b.RuntimeClass == "" {
		return b
	}
	class, known := x.Store.RuntimeClass(b.RuntimeClass)
	if !known {
		b.Voided = []string{fmt.Sprintf("spec.runtimeClassName: RuntimeClass %s does not exist", b.RuntimeClass)}
		return b
	}
	b.Handler = class.Handler
	given := x.Rules.BoundaryOf(class.Handler)
	b.HandlerGives = given.String()
	if given == subject.Boundary() {
		return b
	}
	b.Voided = x.voided(pod, facts, subject.HostAccess())
	if stamp, stamped := isolation.StampedBoundary(pod.Annotations); stamped && pod.Spec.NodeName != "" {
		if len(b.Voided) == 0 && stamp < given {
			b.Voided = []string{fmt.Sprintf("the pod was bound with boundary=%s (annotation %s), and stays so until it is made again", stamp, isolation.EvidenceAnnotation)}
		}
		return b
	}
	if len(b.Voided) == 0 && pod.Status.StartTime != nil && pod.Status.StartTime.Before(&class.Created) {
		b.Voided = []string{"the RuntimeClass was created after the pod was started, so the handler of the pod is unknown"}
	}
	return b
}

// voided names the fields that void the boundary.
func (x *Explainer) voided(pod *v1.Pod, facts *podfacts.Facts, access isolation.HostAccess) []string {
	var fields []string
	for _, kind := range []struct {
		bit   isolation.HostAccess
		field string
	}{
		{isolation.HostNetwork, "spec.hostNetwork"},
		{isolation.HostPID, "spec.hostPID"},
		{isolation.HostIPC, "spec.hostIPC"},
	} {
		if access&kind.bit != 0 {
			fields = append(fields, kind.field)
		}
	}
	if access&isolation.HostPath != 0 {
		fields = append(fields, x.hostPaths(pod, facts)...)
	}
	if access&isolation.PrivilegedContainer != 0 {
		fields = append(fields, privileged(&pod.Spec)...)
	}
	if access&isolation.RuntimeAnnotation != 0 {
		for key := range pod.Annotations {
			if isolation.ReconfiguresRuntime(key) && !slices.Contains(x.Policy.Boundaries.AllowedAnnotations, key) {
				fields = append(fields, fmt.Sprintf("metadata.annotations[%s]", key))
			}
		}
	}
	if access&isolation.SELinuxLabel != 0 {
		fields = append(fields, "securityContext.seLinuxOptions of the pod or a container")
	}
	if access&isolation.FlexVolume != 0 {
		for i := range pod.Spec.Volumes {
			if v := &pod.Spec.Volumes[i]; v.FlexVolume != nil {
				fields = append(fields, fmt.Sprintf("spec.volumes[%s].flexVolume", v.Name))
			}
		}
	}
	slices.Sort(fields)
	return fields
}

func (x *Explainer) hostPaths(pod *v1.Pod, facts *podfacts.Facts) []string {
	var fields []string
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.HostPath != nil {
			fields = append(fields, fmt.Sprintf("spec.volumes[%s].hostPath", v.Name))
		}
	}
	_, stamped := isolation.StampedBoundary(pod.Annotations)
	for _, key := range facts.PVCs {
		if pod.Spec.NodeName != "" && !stamped {
			fields = append(fields, fmt.Sprintf("PersistentVolumeClaim %s: the pod was not bound by this scheduler, so its volume may be a directory of the host", key))
			continue
		}
		switch onHost, known := x.Store.PVCOnHost(key); {
		case !known:
			fields = append(fields, fmt.Sprintf("PersistentVolumeClaim %s is unknown", key))
		case onHost:
			fields = append(fields, fmt.Sprintf("PersistentVolumeClaim %s is or may become a directory of the host", key))
		}
	}
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.CSI != nil && slices.Contains(x.Policy.Boundaries.HostPathProvisioners, v.CSI.Driver) {
			fields = append(fields, fmt.Sprintf("spec.volumes[%s].csi.driver", v.Name))
		}
	}
	return fields
}

func privileged(spec *v1.PodSpec) []string {
	var fields []string
	add := func(list, name string, sc *v1.SecurityContext) {
		if sc == nil {
			return
		}
		if sc.Privileged != nil && *sc.Privileged {
			fields = append(fields, fmt.Sprintf("spec.%s[%s].securityContext.privileged", list, name))
		}
		if sc.WindowsOptions != nil && sc.WindowsOptions.HostProcess != nil && *sc.WindowsOptions.HostProcess {
			fields = append(fields, fmt.Sprintf("spec.%s[%s].securityContext.windowsOptions.hostProcess", list, name))
		}
	}
	for i := range spec.InitContainers {
		add("initContainers", spec.InitContainers[i].Name, spec.InitContainers[i].SecurityContext)
	}
	for i := range spec.Containers {
		add("containers", spec.Containers[i].Name, spec.Containers[i].SecurityContext)
	}
	for i := range spec.EphemeralContainers {
		add("ephemeralContainers", spec.EphemeralContainers[i].Name, spec.EphemeralContainers[i].SecurityContext)
	}
	if sc := spec.SecurityContext; sc != nil && sc.WindowsOptions != nil && sc.WindowsOptions.HostProcess != nil && *sc.WindowsOptions.HostProcess {
		fields = append(fields, "spec.securityContext.windowsOptions.hostProcess")
	}
	return fields
}
