package checker

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Cluster is all that the rule depends on, at one moment.
type Cluster struct {
	Pods           []corev1.Pod
	Namespaces     []corev1.Namespace
	Nodes          []corev1.Node
	RuntimeClasses []nodev1.RuntimeClass
	PVCs           []corev1.PersistentVolumeClaim
	Volumes        []corev1.PersistentVolume

	// Minimum is the boundary that two pods of different trust domains need to share a node, "vm" if empty.
	Minimum string
	// VMHandlers are handlers that give each pod a virtual machine, beside those that are known.
	VMHandlers []string
}

// Read reads from the API server, not from a cache.
func Read(ctx context.Context, client kubernetes.Interface) (*Cluster, error) {
	all := metav1.ListOptions{}
	pods, err1 := client.CoreV1().Pods("").List(ctx, all)
	namespaces, err2 := client.CoreV1().Namespaces().List(ctx, all)
	nodes, err3 := client.CoreV1().Nodes().List(ctx, all)
	classes, err4 := client.NodeV1().RuntimeClasses().List(ctx, all)
	pvcs, err5 := client.CoreV1().PersistentVolumeClaims("").List(ctx, all)
	volumes, err6 := client.CoreV1().PersistentVolumes().List(ctx, all)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return nil, err
	}
	return &Cluster{
		Pods: pods.Items, Namespaces: namespaces.Items, Nodes: nodes.Items,
		RuntimeClasses: classes.Items, PVCs: pvcs.Items, Volumes: volumes.Items,
	}, nil
}

// PodsOn returns the pods that are bound to a node and have not finished. A terminating pod counts
// until it is gone.
func (c *Cluster) PodsOn(node string) []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range c.Pods {
		if pod := &c.Pods[i]; pod.Spec.NodeName == node && !finished(pod) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// Unplaced returns the pods that wait for a node.
func (c *Cluster) Unplaced() []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range c.Pods {
		if pod := &c.Pods[i]; pod.Spec.NodeName == "" && !finished(pod) {
			pods = append(pods, pod)
		}
	}
	return pods
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func (c *Cluster) namespace(name string) *corev1.Namespace {
	for i := range c.Namespaces {
		if c.Namespaces[i].Name == name {
			return &c.Namespaces[i]
		}
	}
	return nil
}

func (c *Cluster) runtimeClass(name string) *nodev1.RuntimeClass {
	for i := range c.RuntimeClasses {
		if c.RuntimeClasses[i].Name == name {
			return &c.RuntimeClasses[i]
		}
	}
	return nil
}

func (c *Cluster) pvc(namespace, name string) *corev1.PersistentVolumeClaim {
	for i := range c.PVCs {
		if c.PVCs[i].Namespace == namespace && c.PVCs[i].Name == name {
			return &c.PVCs[i]
		}
	}
	return nil
}

func (c *Cluster) volume(name string) *corev1.PersistentVolume {
	for i := range c.Volumes {
		if c.Volumes[i].Name == name {
			return &c.Volumes[i]
		}
	}
	return nil
}
