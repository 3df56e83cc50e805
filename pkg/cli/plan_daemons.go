package cli

import (
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"tenantisolation.dev/scheduler/pkg/cli/plan"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// daemon is a DaemonSet, or a static pod.
type daemon struct {
	workload string
	size     plan.Size
	subject  isolation.Subject
	template *v1.Pod
	// nodes are those that have a pod of it now.
	nodes map[string]bool
}

// add adds a pod. If the requests of a DaemonSet's pods differ, the largest counts.
func (d *daemon) add(pod *v1.Pod) {
	if size := plan.Request(pod); size.MilliCPU > d.size.MilliCPU || size.Memory > d.size.Memory || d.size.Pods == 0 {
		d.size = size
	}
	if pod.Spec.NodeName != "" {
		d.nodes[pod.Spec.NodeName] = true
	}
}

// on reports whether a node has a pod of it, or will have one if there is none anywhere yet.
func (d *daemon) on(node *v1.Node) bool {
	if len(d.nodes) > 0 {
		return d.nodes[node.Name]
	}
	selected, err := nodeaffinity.GetRequiredNodeAffinity(d.template).Match(node)
	if err != nil || !selected {
		return false
	}
	_, untolerated := corev1.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, d.template.Spec.Tolerations, func(taint *v1.Taint) bool {
		return taint.Effect != v1.TaintEffectPreferNoSchedule
	}, true)
	return !untolerated
}

// everywhere reports whether further nodes will have a pod of it, as all nodes have now.
func (d *daemon) everywhere(nodes int) bool {
	if len(d.nodes) > 0 {
		return len(d.nodes) >= nodes
	}
	// One that is no one's yet, and of which nothing is known but that it runs Linux.
	next := &v1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1.LabelOSStable: "linux"}}}
	selected, err := nodeaffinity.GetRequiredNodeAffinity(d.template).Match(next)
	return err == nil && selected
}

// resident is what others meet on its nodes: nothing, of the platform.
func (d *daemon) resident() []plan.Everywhere {
	if d.subject.Platform() {
		return nil
	}
	return []plan.Everywhere{{Workload: d.workload, Subject: d.subject}}
}
