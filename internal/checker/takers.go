package checker

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	podresources "k8s.io/component-helpers/resource"
	corehelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// Takers returns the nodes that could run an unplaced pod now. If there is one, the pod should
// not be waiting.
//
// It returns none for pods with what it does not model (affinity between pods, topology spread,
// volumes, PVCs, host ports): it finds pods that wait in vain, and is no second scheduler.
func (c *Cluster) Takers(pod *corev1.Pod) []string {
	id := c.Identify(pod)
	refused := !id.Platform && (!id.Managed || id.Unknown != "" || !id.meetsDemand())
	if refused || len(pod.Spec.SchedulingGates) > 0 || pod.DeletionTimestamp != nil || isBeyondModel(&pod.Spec) {
		return nil
	}
	var takers []string
	for i := range c.Nodes {
		node := &c.Nodes[i]
		residents := c.PodsOn(node.Name)
		if c.admitsPod(node, pod) && fits(node, residents, pod) && c.keepsRule(residents, id) {
			takers = append(takers, node.Name)
		}
	}
	return takers
}

func isBeyondModel(spec *corev1.PodSpec) bool {
	if spec.Affinity != nil && (spec.Affinity.PodAffinity != nil || spec.Affinity.PodAntiAffinity != nil) {
		return true
	}
	for _, constraint := range spec.TopologySpreadConstraints {
		if constraint.WhenUnsatisfiable == corev1.DoNotSchedule {
			return true
		}
	}
	for _, volume := range spec.Volumes {
		if volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil {
			return true
		}
	}
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, port := range container.Ports {
			if port.HostPort != 0 {
				return true
			}
		}
	}
	return len(spec.ResourceClaims) > 0
}

// admitsPod reports whether a node admits a pod, whatever else runs there.
func (c *Cluster) admitsPod(node *corev1.Node, pod *corev1.Pod) bool {
	taints := slices.Clone(node.Spec.Taints)
	if node.Spec.Unschedulable {
		taints = append(taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	keepsAway := func(t *corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }
	if _, untolerated := corehelpers.FindMatchingUntoleratedTaint(klog.Background(), taints, pod.Spec.Tolerations, keepsAway, false); untolerated {
		return false
	}
	if matches, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !matches {
		return false
	}
	if pod.Spec.RuntimeClassName == nil || len(node.Status.RuntimeHandlers) == 0 {
		return true
	}
	class := c.runtimeClass(*pod.Spec.RuntimeClassName)
	return class != nil && slices.ContainsFunc(node.Status.RuntimeHandlers, func(h corev1.NodeRuntimeHandler) bool {
		return h.Name == class.Handler
	})
}

func fits(node *corev1.Node, residents []*corev1.Pod, pod *corev1.Pod) bool {
	free := node.Status.Allocatable.DeepCopy()
	for _, p := range append(slices.Clone(residents), pod) {
		for name, wanted := range Requests(p) {
			left := free[name]
			left.Sub(wanted)
			free[name] = left
		}
	}
	for name := range Requests(pod) {
		if left := free[name]; left.Sign() < 0 {
			return false
		}
	}
	return true
}

// Requests returns what a pod takes of a node: its resources, overhead included, and one of the
// node's pods.
func Requests(pod *corev1.Pod) corev1.ResourceList {
	requests := podresources.PodRequests(pod, podresources.PodResourcesOptions{})
	requests[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return requests
}

func (c *Cluster) keepsRule(residents []*corev1.Pod, incoming Identity) bool {
	for _, resident := range residents {
		if c.violation(c.Identify(resident), incoming) != "" {
			return false
		}
		if affinity := resident.Spec.Affinity; affinity != nil && affinity.PodAntiAffinity != nil {
			return false // it may be meant
		}
	}
	return true
}
