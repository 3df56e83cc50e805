// Package clusterfile writes the output of `kubectl get nodes,ns,pods,runtimeclasses -A` for a
// cluster of any size, for tests.
package clusterfile

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// Generator writes a cluster in which every node holds pods of one tenant, except for
// MixedNodes of them: these hold pods of two tenants.
type Generator struct {
	Nodes, PodsPerNode, Tenants, MixedNodes int
}

// Write writes the cluster as one List, in YAML or in JSON.
func (g Generator) Write(to io.Writer, asYAML bool) error {
	w := &writer{out: bufio.NewWriterSize(to, 1<<20), yaml: asYAML}
	w.begin()
	for i := range g.Nodes {
		w.object(node, "NODE", nodeName(i))
	}
	for i := range g.Tenants {
		w.object(namespace, "TENANT", tenantName(i))
	}
	w.object(runtimeClass)
	for i := range g.Nodes {
		for j := range g.PodsPerNode {
			tenant := i % g.Tenants
			if i < g.MixedNodes && j == 0 {
				tenant = (i + 1) % g.Tenants
			}
			w.object(pod, "TENANT", tenantName(tenant), "NODE", nodeName(i), "POD", fmt.Sprintf("%05d-%02d", i, j),
				"UID", fmt.Sprintf("%08x-1111-4222-8333-%012x", i, j))
		}
	}
	w.end()
	if w.err != nil {
		return w.err
	}
	return w.out.Flush()
}

func nodeName(i int) string   { return fmt.Sprintf("node-%05d", i) }
func tenantName(i int) string { return fmt.Sprintf("tenant-%03d", i) }

type writer struct {
	out   *bufio.Writer
	yaml  bool
	items int
	texts map[string]string
	err   error
}

func (w *writer) print(text string) {
	if w.err == nil {
		_, w.err = w.out.WriteString(text)
	}
}

func (w *writer) begin() {
	w.texts = map[string]string{}
	if w.yaml {
		w.print("apiVersion: v1\nitems:\n")
		return
	}
	w.print("{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n")
}

func (w *writer) end() {
	if w.yaml {
		w.print("kind: List\nmetadata:\n  resourceVersion: \"\"\n")
		return
	}
	w.print("\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n")
}

// object writes an object, with pairs of old and new words replaced in it.
func (w *writer) object(of func() any, replace ...string) {
	object := of()
	key := fmt.Sprintf("%T", object)
	if w.texts[key] == "" {
		w.texts[key] = w.render(object)
	}
	if w.items > 0 && !w.yaml {
		w.print(",\n")
	}
	w.items++
	w.print(strings.NewReplacer(replace...).Replace(w.texts[key]))
}

func (w *writer) render(object any) string {
	text, err := json.Marshal(object)
	var whole map[string]any
	if err == nil {
		err = json.Unmarshal(text, &whole)
	}
	if err == nil && w.yaml {
		text, err = yaml.Marshal(whole)
	} else if err == nil {
		text, err = json.MarshalIndent(whole, "        ", "    ")
	}
	if err != nil {
		w.err = err
		return "-"
	}
	if !w.yaml {
		return "        " + string(text)
	}
	return "- " + strings.TrimSuffix(strings.ReplaceAll(string(text), "\n", "\n  "), "  ")
}

func runtimeClass() any {
	return &nodev1.RuntimeClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: "node.k8s.io/v1", Kind: "RuntimeClass"},
		ObjectMeta: metav1.ObjectMeta{Name: "kata-qemu"},
		Handler:    "kata-qemu",
	}
}

func namespace() any {
	return &v1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: "TENANT", Labels: map[string]string{
			v1.LabelMetadataName: "TENANT", "tenantisolation.dev/tenant": "TENANT",
		}},
	}
}

func node() any {
	return &v1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: "NODE", Labels: map[string]string{
			v1.LabelHostname: "NODE", v1.LabelArchStable: "amd64", v1.LabelOSStable: "linux",
		}},
		Status: v1.NodeStatus{
			Allocatable: v1.ResourceList{
				v1.ResourceCPU: resource.MustParse("32"), v1.ResourceMemory: resource.MustParse("128Gi"), v1.ResourcePods: resource.MustParse("110"),
			},
			Images: []v1.ContainerImage{{Names: []string{"example.com/image@sha256:" + strings.Repeat("0f", 32)}, SizeBytes: 123456789}},
		},
	}
}

func pod() any {
	started := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	container := v1.Container{
		Name: "app", Image: "registry.example.com/team/application:v1.2.3", ImagePullPolicy: v1.PullIfNotPresent,
		Args: []string{"--config=/etc/app/config.yaml", "--listen=:8080", "--log-format=json"},
		Env: []v1.EnvVar{
			{Name: "DATABASE_URL", Value: "postgres://db.TENANT.svc:5432/app"},
			{Name: "POD_NAME", ValueFrom: &v1.EnvVarSource{FieldRef: &v1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}},
			{Name: "GREETING", Value: "It's a long text: longer than one line of eighty characters, which is where lines are broken by the emitter"},
		},
		Ports: []v1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: v1.ProtocolTCP}},
		Resources: v1.ResourceRequirements{
			Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse("100m"), v1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   v1.ResourceList{v1.ResourceMemory: resource.MustParse("256Mi")},
		},
		SecurityContext: &v1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false),
			Capabilities:             &v1.Capabilities{Drop: []v1.Capability{"ALL"}},
			RunAsNonRoot:             ptr.To(true),
			SeccompProfile:           &v1.SeccompProfile{Type: v1.SeccompProfileTypeRuntimeDefault},
		},
		VolumeMounts: []v1.VolumeMount{
			{Name: "config", MountPath: "/etc/app", ReadOnly: true},
			{Name: "kube-api-access", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true},
		},
	}
	return &v1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "app-POD", Namespace: "TENANT", UID: types.UID("UID"), ResourceVersion: "123456", CreationTimestamp: started,
			Labels: map[string]string{"app.kubernetes.io/name": "app", "pod-template-hash": "6d4b75cb6d"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "app-6d4b75cb6d", UID: "12345678-aaaa-bbbb-cccc-1234567890ab", Controller: ptr.To(true),
			}},
		},
		Spec: v1.PodSpec{
			NodeName: "NODE", ServiceAccountName: "default", RestartPolicy: v1.RestartPolicyAlways, SchedulerName: "default-scheduler",
			Containers: []v1.Container{container},
			Tolerations: []v1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute, TolerationSeconds: ptr.To(int64(300))},
				{Key: "node.kubernetes.io/unreachable", Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute, TolerationSeconds: ptr.To(int64(300))},
			},
			Volumes: []v1.Volume{
				{Name: "config", VolumeSource: v1.VolumeSource{ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: v1.LocalObjectReference{Name: "app"}}}},
				{Name: "kube-api-access", VolumeSource: v1.VolumeSource{Projected: &v1.ProjectedVolumeSource{Sources: []v1.VolumeProjection{
					{ServiceAccountToken: &v1.ServiceAccountTokenProjection{ExpirationSeconds: ptr.To(int64(3607)), Path: "token"}},
				}}}},
			},
		},
		Status: v1.PodStatus{
			Phase: v1.PodRunning, StartTime: &started, HostIP: "10.0.0.1", PodIP: "10.244.1.2", PodIPs: []v1.PodIP{{IP: "10.244.1.2"}},
			Conditions: []v1.PodCondition{
				{Type: v1.PodInitialized, Status: v1.ConditionTrue, LastTransitionTime: started},
				{Type: v1.PodReady, Status: v1.ConditionTrue, LastTransitionTime: started},
				{Type: v1.ContainersReady, Status: v1.ConditionTrue, LastTransitionTime: started},
				{Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: started},
			},
			ContainerStatuses: []v1.ContainerStatus{{
				Name: "app", Ready: true, Image: container.Image, ImageID: "registry.example.com/team/application@sha256:" + strings.Repeat("0f", 32),
				ContainerID: "containerd://" + strings.Repeat("ab", 32), State: v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: started}},
			}},
		},
	}
}
