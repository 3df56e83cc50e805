package admission

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

const (
	// attackedNode has no kubelet but the tests themselves; no scheduler puts a pod there.
	attackedNode = "attacked"
	// freeNode is like it, and not dedicated.
	freeNode = "free"
	// livingNode has a kubelet, which kwok simulates.
	livingNode = "living"
	// Nodes with a simulated kubelet, each for pods that select it: one has Kata, one is for the
	// end-to-end test, and one is drained.
	kataNode    = "kata"
	poolNode    = "pool"
	drainedNode = "drained"

	kataClass    = "kata"      // of a handler that is a virtual machine
	plainClass   = "plain"     // of a handler that isolates nothing
	steeredClass = "kata-qemu" // a virtual machine on kataNode, for what runs from one end to the other
)

// reserved is the key of a taint that keeps pods away which do not know of it. The attacks
// leave many behind.
const reserved = "example.com/reserved"

func (w *environment) addNodes(ctx context.Context) error {
	var errs []error
	for _, name := range []string{attackedNode, freeNode, livingNode, kataNode, poolNode, drainedNode} {
		node := newNode(name)
		if name == attackedNode || name == freeNode {
			node.Spec.Unschedulable = true
		} else {
			node.Annotations[controlplane.FakeNodeAnnotation] = controlplane.FakeNodeValue
		}
		if name == kataNode || name == poolNode || name == drainedNode {
			node.Spec.Taints = []corev1.Taint{{Key: reserved, Value: name, Effect: corev1.TaintEffectNoSchedule}}
		}
		if name == kataNode {
			node.Labels["katacontainers.io/kata-runtime"] = "true"
		}
		_, err := w.admin.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func newNode(name string) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("64"),
		corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods:   resource.MustParse("1000"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{corev1.LabelHostname: name},
			Annotations: map[string]string{},
		},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
}

func (w *environment) addClasses(ctx context.Context) error {
	steered := newClass(steeredClass, "kata-qemu")
	steered.Overhead = &nodev1.Overhead{PodFixed: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("250m"),
		corev1.ResourceMemory: resource.MustParse("160Mi"),
	}}
	steered.Scheduling = &nodev1.Scheduling{
		NodeSelector: map[string]string{"katacontainers.io/kata-runtime": "true"},
		Tolerations:  []corev1.Toleration{tolerationOf(kataNode)},
	}
	var errs []error
	for _, class := range []*nodev1.RuntimeClass{steered, newClass(kataClass, "kata-qemu"), newClass(plainClass, "crun")} {
		_, err := w.admin.NodeV1().RuntimeClasses().Create(ctx, class, metav1.CreateOptions{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func newClass(name, handler string) *nodev1.RuntimeClass {
	return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}
}

// tolerationOf lets pods onto a reserved node.
func tolerationOf(node string) corev1.Toleration {
	return corev1.Toleration{Key: reserved, Operator: corev1.TolerationOpEqual, Value: node, Effect: corev1.TaintEffectNoSchedule}
}

// only lets a pod go to one reserved node and to no other.
func only(node string) podOption {
	return func(p *corev1.Pod) {
		tolerating(tolerationOf(node))(p)
		p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	}
}
