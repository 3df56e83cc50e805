package checker

import (
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

type option func(*corev1.Pod)

// restrictedPod meets the strictest standard, so that a case shows nothing but what its
// options change.
func restrictedPod(namespace, name string, options ...option) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name),
			Labels: map[string]string{}, Annotations: map[string]string{},
		},
		Spec: corev1.PodSpec{
			NodeName: "n1",
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{Name: "c", Image: "none", SecurityContext: restrictedContext()}},
		},
	}
	for _, apply := range options {
		apply(&pod)
	}
	return pod
}

func restrictedContext() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func privilegedContext() *corev1.SecurityContext {
	return &corev1.SecurityContext{Privileged: ptr.To(true)}
}

func on(node string) option { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func label(key, value string) option { return func(p *corev1.Pod) { p.Labels[key] = value } }

func runtimeClass(name string) option {
	return func(p *corev1.Pod) { p.Spec.RuntimeClassName = &name }
}

func cpu(amount string) option {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(amount)}
	}
}

func baseline(p *corev1.Pod) { p.Spec.SecurityContext, p.Spec.Containers[0].SecurityContext = nil, nil }

func privileged(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext = privilegedContext() }

func ownUsers(p *corev1.Pod) { p.Spec.HostUsers = ptr.To(false) }

func terminating(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }

func completed(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }

func pvcs(name string) option {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}})
	}
}

func namespace(name string, labels ...string) corev1.Namespace {
	ns := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for i := 0; i < len(labels); i += 2 {
		ns.Labels[labels[i]] = labels[i+1]
	}
	return ns
}

func class(name, handler string) nodev1.RuntimeClass {
	return nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}
}

func pvc(namespace, name, volume string) corev1.PersistentVolumeClaim {
	return corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: volume},
	}
}

func volume(name string, source corev1.PersistentVolumeSource) corev1.PersistentVolume {
	return corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.PersistentVolumeSpec{PersistentVolumeSource: source},
	}
}

func plainNode(name string) corev1.Node {
	return corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"),
			corev1.ResourcePods: resource.MustParse("10"),
		}},
	}
}

// world is a cluster with a namespace of every kind, into which a case puts its pods.
func world(pods ...corev1.Pod) *Cluster {
	return &Cluster{
		Pods: pods,
		Namespaces: []corev1.Namespace{
			namespace("red", tenantLabel, "red"),
			namespace("red-too", tenantLabel, "red"),
			namespace("red-secret", tenantLabel, "red", dataClassLabel, "confidential"),
			namespace("red-odd", tenantLabel, "red", dataClassLabel, "topsecret"),
			namespace("red-vm", tenantLabel, "red", boundaryLabel, "vm"),
			namespace("red-alone", tenantLabel, "red", boundaryLabel, "node"),
			namespace("red-bunker", tenantLabel, "red", boundaryLabel, "bunker"),
			namespace("blue", tenantLabel, "blue"),
			namespace("empty", tenantLabel, ""),
			namespace("nobody"),
			namespace("nobody-else"),
			namespace("kube-system"),
			namespace("tenant-isolation-system", tenantLabel, "red"),
		},
		Nodes: []corev1.Node{plainNode("n1"), plainNode("n2")},
		RuntimeClasses: []nodev1.RuntimeClass{
			class("kata", "kata-qemu"), class("kata-in-name-only", "runc"), class("gvisor", "runsc"),
		},
		PVCs: []corev1.PersistentVolumeClaim{
			pvc("blue", "on-host", "directory"), pvc("blue", "on-disk", "disk"), pvc("blue", "unbound", ""),
		},
		Volumes: []corev1.PersistentVolume{
			volume("directory", corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}),
			volume("disk", corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disks"}}),
		},
	}
}
