package admission

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	tenantKey       = "tenantisolation.dev/tenant"
	dataClassKey    = "tenantisolation.dev/data-class"
	privilegeKey    = "tenantisolation.dev/privilege"
	boundaryKey     = "tenantisolation.dev/boundary"
	runtimeClassKey = "tenantisolation.dev/runtime-class"
	evidenceKey     = "tenantisolation.dev/trust-domain"
	dedicationKey   = "tenantisolation.dev/dedication"
	openedByKey     = "tenantisolation.dev/opened-by"
	nodeLabelKey    = "tenantisolation.node-restriction.kubernetes.io/tenant"
	kataPath        = "io.katacontainers.config.hypervisor.path"
)

// label is a label of a namespace or a pod.
type label struct{ key, value string }

func tenant(name string) label       { return label{tenantKey, name} }
func dataClass(class string) label   { return label{dataClassKey, class} }
func privilege(level string) label   { return label{privilegeKey, level} }
func boundary(boundary string) label { return label{boundaryKey, boundary} }
func defaultClass(name string) label { return label{runtimeClassKey, name} }
func labels(l ...label) map[string]string {
	m := map[string]string{}
	for _, each := range l {
		m[each.key] = each.value
	}
	return m
}

// acmeLabels are those of a namespace of the tenant acme.
func acmeLabels(l ...label) map[string]string { return labels(append(l, tenant("acme"))...) }

// evidenceOf is what the scheduler writes on acme's pods of this privilege.
func evidenceOf(level string) string {
	return fmt.Sprintf("tenant=acme,data-class=unclassified,privilege=%s,user-namespace=host,boundary=container", level)
}

// podOption changes a pod that would otherwise be one plain container of the Pod Security
// Standards' baseline level, for our scheduler.
type podOption func(*corev1.Pod)

func newPod(options ...podOption) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:        unique("pod"),
			Labels:      map[string]string{},
			Annotations: map[string]string{},
		},
		Spec: corev1.PodSpec{
			SchedulerName: schedulerName,
			Containers: []corev1.Container{{
				Name: "c", Image: "none",
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")},
				},
			}},
		},
	}
	for _, option := range options {
		option(pod)
	}
	return pod
}

func labelled(l ...label) podOption {
	return func(p *corev1.Pod) { maps.Copy(p.Labels, labels(l...)) }
}

func annotated(key, value string) podOption {
	return func(p *corev1.Pod) { p.Annotations[key] = value }
}

func scheduledBy(name string) podOption {
	return func(p *corev1.Pod) { p.Spec.SchedulerName = name }
}

func onNode(name string) podOption {
	return func(p *corev1.Pod) { p.Spec.NodeName = name }
}

func runtimeClass(name string) podOption {
	return func(p *corev1.Pod) { p.Spec.RuntimeClassName = &name }
}

func tolerating(t ...corev1.Toleration) podOption {
	return func(p *corev1.Pod) { p.Spec.Tolerations = append(p.Spec.Tolerations, t...) }
}

func graceSeconds(n int64) podOption {
	return func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &n }
}

// gated pods are bound by no scheduler.
func gated(p *corev1.Pod) {
	p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
}

func hostNetwork(p *corev1.Pod) { p.Spec.HostNetwork = true }
func hostPID(p *corev1.Pod)     { p.Spec.HostPID = true }
func hostIPC(p *corev1.Pod)     { p.Spec.HostIPC = true }

func hostPath(p *corev1.Pod) {
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{
		Name:         "host",
		VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib"}},
	})
}

func privileged(p *corev1.Pod) {
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
}

func privilegedInit(p *corev1.Pod) {
	p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{
		Name: "init", Image: "none", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)},
	})
}

// restricted meets the restricted level of the Pod Security Standards.
func restricted(p *corev1.Pod) {
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot:   ptr.To(true),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	p.Spec.Containers[0].SecurityContext = restrictedContainer()
}

func restrictedContainer() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}
