package integration

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// label is one label of a namespace or a pod.
type label struct{ key, value string }

func tenant(name string) label       { return label{"tenantisolation.dev/tenant", name} }
func dataClass(class string) label   { return label{"tenantisolation.dev/data-class", class} }
func privilege(level string) label   { return label{"tenantisolation.dev/privilege", level} }
func boundary(boundary string) label { return label{"tenantisolation.dev/boundary", boundary} }
func otherLabel(value string) label  { return label{"example.com/team", value} }

func labelMap(l []label) map[string]string {
	m := map[string]string{}
	for _, each := range l {
		m[each.key] = each.value
	}
	return m
}

// podOption changes a pod that would otherwise be a plain container of the Pod Security
// Standards' baseline level, at the default user namespace, asking for no resources.
type podOption func(*corev1.Pod)

func named(name string) podOption { return func(p *corev1.Pod) { p.Name = name } }

func labelled(l ...label) podOption {
	return func(p *corev1.Pod) { maps.Copy(p.Labels, labelMap(l)) }
}

func annotated(key, value string) podOption {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{key: value} }
}

func runtimeClass(name string) podOption {
	return func(p *corev1.Pod) { p.Spec.RuntimeClassName = &name }
}

func ownUserNamespace(p *corev1.Pod) { p.Spec.HostUsers = ptr.To(false) }
func hostNetwork(p *corev1.Pod)      { p.Spec.HostNetwork = true }
func hostPID(p *corev1.Pod)          { p.Spec.HostPID = true }
func hostIPC(p *corev1.Pod)          { p.Spec.HostIPC = true }

func hostPath(p *corev1.Pod) {
	withVolume(p, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib"}})
}

func pvc(name string) podOption {
	return func(p *corev1.Pod) {
		withVolume(p, corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}})
	}
}

func withVolume(p *corev1.Pod, source corev1.VolumeSource) {
	name := fmt.Sprintf("v%d", len(p.Spec.Volumes))
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
}

func privileged(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext = privilegedContext() }

func privilegedInit(p *corev1.Pod) {
	p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{
		Name: "init", Image: "none", SecurityContext: privilegedContext(),
	})
}

func privilegedContext() *corev1.SecurityContext {
	return &corev1.SecurityContext{Privileged: ptr.To(true)}
}

// restrictedSpec meets the restricted level of the Pod Security Standards.
func restrictedSpec(p *corev1.Pod) {
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot:   ptr.To(true),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func cpu(quantity string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(quantity)}
	}
}

func priority(class string) podOption {
	return func(p *corev1.Pod) { p.Spec.PriorityClassName = class }
}

// lingering pods stay terminating as long as no kubelet ends them; all others
// are gone as soon as they are deleted.
func lingering(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = ptr.To[int64](30) }

func gated(p *corev1.Pod) {
	p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
}

// boundTo puts a pod on a node without this project's scheduler, as another scheduler or
// a user with spec.nodeName does.
func boundTo(node string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.NodeName = node
		p.Spec.SchedulerName = corev1.DefaultSchedulerName
	}
}

// onlyOn lets a pod go to one node and no other.
func onlyOn(node string) podOption { return selecting(corev1.LabelHostname, node) }

func selecting(key, value string) podOption {
	return func(p *corev1.Pod) {
		if p.Spec.NodeSelector == nil {
			p.Spec.NodeSelector = map[string]string{}
		}
		p.Spec.NodeSelector[key] = value
	}
}

func scheduledBy(profile string) podOption {
	return func(p *corev1.Pod) { p.Spec.SchedulerName = profile }
}

// nodeOption changes a node that would otherwise have room for 110 pods and 8 CPUs, and
// report no runtime handlers, as a kubelet does whose runtime reports none.
type nodeOption func(*corev1.Node)

func newNode(name string) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("8"),
		corev1.ResourceMemory: resource.MustParse("32Gi"),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
}

func handlers(names ...string) nodeOption {
	return func(n *corev1.Node) { n.Status.RuntimeHandlers = runtimeHandlers(names...) }
}

func runtimeHandlers(names ...string) []corev1.NodeRuntimeHandler {
	var all []corev1.NodeRuntimeHandler
	for _, name := range names {
		all = append(all, corev1.NodeRuntimeHandler{Name: name})
	}
	return all
}

// kataCapable nodes can start the pods of every class in handlerOf, plainOnly ones only
// ordinary containers.
func kataCapable(n *corev1.Node) {
	handlers("runc", "crun", "runsc", handlerOf[kata], handlerOf[otherKata])(n)
}

func plainOnly(n *corev1.Node) { handlers("runc", "crun")(n) }

func nodeLabel(key, value string) nodeOption {
	return func(n *corev1.Node) { n.Labels[key] = value }
}

func cpus(quantity string) nodeOption {
	return func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourceCPU] = resource.MustParse(quantity) }
}

func tainted(key string) nodeOption {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	}
}
