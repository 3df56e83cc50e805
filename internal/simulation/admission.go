package simulation

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
)

// admit changes the pods as an API server would at their creation: it sets the RuntimeClass
// of their namespace, merges its overhead and scheduling fields, and resolves priorities.
func (c *Cluster) admit() {
	for _, pod := range c.Pods {
		if name := c.namespace(pod.Namespace).Labels[runtimeClassLabel]; name != "" && pod.Spec.RuntimeClassName == nil {
			pod.Spec.RuntimeClassName = &name
		}
		if pod.Spec.RuntimeClassName != nil {
			if class := c.runtimeClass(*pod.Spec.RuntimeClassName); class != nil {
				mergeRuntimeClass(pod, class)
			}
		}
		c.setPriority(pod)
		defaultRequests(&pod.Spec)
	}
}

func mergeRuntimeClass(pod *corev1.Pod, class *nodev1.RuntimeClass) {
	if class.Overhead != nil && pod.Spec.Overhead == nil {
		pod.Spec.Overhead = class.Overhead.PodFixed
	}
	if class.Scheduling == nil {
		return
	}
	if len(class.Scheduling.NodeSelector) > 0 {
		selector := maps.Clone(class.Scheduling.NodeSelector)
		maps.Copy(selector, pod.Spec.NodeSelector)
		pod.Spec.NodeSelector = selector
	}
	pod.Spec.Tolerations = append(pod.Spec.Tolerations, class.Scheduling.Tolerations...)
}

func (c *Cluster) setPriority(pod *corev1.Pod) {
	if pod.Spec.Priority != nil {
		return
	}
	var value int32
	switch pod.Spec.PriorityClassName {
	case "system-node-critical":
		value = 2000001000
	case "system-cluster-critical":
		value = 2000000000
	default:
		for _, class := range c.PriorityClasses {
			if class.Name == pod.Spec.PriorityClassName || (pod.Spec.PriorityClassName == "" && class.GlobalDefault) {
				value = class.Value
			}
		}
	}
	pod.Spec.Priority = &value
}

// defaultRequests sets missing requests to the limits.
func defaultRequests(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			r := &containers[i].Resources
			for name, limit := range r.Limits {
				if _, set := r.Requests[name]; !set {
					if r.Requests == nil {
						r.Requests = corev1.ResourceList{}
					}
					r.Requests[name] = limit
				}
			}
		}
	}
}
