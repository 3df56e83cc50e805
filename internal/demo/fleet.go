package demo

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

const (
	// DefaultNodes is what the embedded workload is made for.
	DefaultNodes = 24

	// kataLabel is the label that Kata's own installer sets.
	kataLabel = "katacontainers.io/kata-runtime"
	poolLabel = "demo.tenantisolation.dev/pool"
	edgePool  = "edge"
	edgeNodes = 2
)

// fleet is a mixed cluster: every third node can start Kata's virtual machines.
func fleet(count int) []*corev1.Node {
	kata := count / 3
	var nodes []*corev1.Node
	for i := 1; i <= count-kata; i++ {
		node := fakeNode("plain", i, "8", "32Gi", "runc")
		if i <= edgeNodes {
			node.Labels[poolLabel] = edgePool
		}
		nodes = append(nodes, node)
	}
	for i := 1; i <= kata; i++ {
		node := fakeNode("kata", i, "32", "128Gi", "runc", "kata-qemu", "kata-clh")
		node.Labels[kataLabel] = "true"
		nodes = append(nodes, node)
	}
	return nodes
}

func fakeNode(kind string, number int, cpu, memory string, handlers ...string) *corev1.Node {
	name := fmt.Sprintf("%s-%02d", kind, number)
	resources := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse(cpu),
		corev1.ResourceMemory: resource.MustParse(memory),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{controlplane.FakeNodeAnnotation: controlplane.FakeNodeValue},
			Labels: map[string]string{
				corev1.LabelHostname:     name,
				corev1.LabelOSStable:     "linux",
				corev1.LabelArchStable:   "amd64",
				corev1.LabelTopologyZone: string(rune('a' + (number-1)%3)),
			},
		},
		Status: corev1.NodeStatus{Capacity: resources, Allocatable: resources},
	}
	// A kubelet reports the handler of pods that name none as one without a name.
	for _, handler := range append([]string{""}, handlers...) {
		node.Status.RuntimeHandlers = append(node.Status.RuntimeHandlers, corev1.NodeRuntimeHandler{Name: handler})
	}
	return node
}

func kindOf(node *corev1.Node) string {
	if node.Labels[kataLabel] == "true" {
		return "kata"
	}
	return "plain"
}

// createFleet returns when every node takes pods.
func (d *demo) createFleet(ctx context.Context) error {
	for _, node := range fleet(d.Nodes) {
		if _, err := d.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	err := d.until(ctx, func(ctx context.Context) (bool, error) { return allReady(ctx, d.client) })
	if err != nil {
		return fmt.Errorf("waiting for the nodes: %w", err)
	}
	return nil
}

func allReady(ctx context.Context, client kubernetes.Interface) (bool, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	for i := range nodes.Items {
		// The controller manager takes the not-ready taint away once a node is ready.
		if len(nodes.Items[i].Spec.Taints) > 0 || len(nodes.Items[i].Status.Conditions) == 0 {
			return false, nil
		}
	}
	return true, nil
}
