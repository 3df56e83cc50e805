//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/realnode"
)

const tenantLabel = "tenantisolation.dev/tenant"

// The tenants; each has the namespace of its name.
var tenants = []string{"acme", "globex", "initech"}

// RuntimeClasses. The overhead of a virtual machine is its memory and what QEMU takes beside it.
const (
	sandboxClass = "gvisor"
	vmClass      = "test-vm"
	vmOverhead   = "400Mi"
)

// confession makes a container say which kernel it is in, and wait.
const confession = `echo "version: $(cat /proc/version)"; echo "boot: $(cat /proc/sys/kernel/random/boot_id)"
dmesg 2>/dev/null | head -n 3; trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done`

// podOf is a pod of a tenant that meets the Pod Security Standard restricted.
func podOf(tenant, name string, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](5),
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](1000),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "probe", Image: realnode.ProbeImage, ImagePullPolicy: corev1.PullNever,
				Command: []string{"/bin/sh", "-c", confession},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	for _, c := range change {
		c(pod)
	}
	return pod
}

func on(node string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	}
}

func class(name string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.RuntimeClassName = &name }
}

func (l lab) create(pods ...*corev1.Pod) {
	l.Helper()
	for _, pod := range pods {
		// The account of a new namespace is made by a controller.
		l.eventually("pod "+pod.Name+" is created", func(ctx context.Context) (bool, string) {
			_, err := l.api.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
			if err != nil && !apierrors.IsForbidden(err) {
				l.Fatalf("creating %s/%s: %v", pod.Namespace, pod.Name, err)
			}
			return err == nil, fmt.Sprint(err)
		})
	}
}

func (l lab) get(ctx context.Context, namespace, name string) *corev1.Pod {
	l.Helper()
	pod, err := l.api.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil && ctx.Err() == nil {
		l.Fatal(err)
	}
	return pod
}

// awaitRunning waits until containers run, and notes the kernel that each pod says it is in.
func (l lab) awaitRunning(pods ...*corev1.Pod) {
	l.Helper()
	for _, pod := range pods {
		l.eventually("pod "+pod.Namespace+"/"+pod.Name+" runs", func(ctx context.Context) (bool, string) {
			got := l.get(ctx, pod.Namespace, pod.Name)
			if got.Status.Phase != corev1.PodRunning {
				return false, describe(got)
			}
			return l.note(ctx, got)
		})
	}
}

func describe(pod *corev1.Pod) string {
	text := fmt.Sprintf("%s on %q", pod.Status.Phase, pod.Spec.NodeName)
	for _, c := range pod.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			text += fmt.Sprintf("; %s: %s", c.Type, c.Message)
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Waiting != nil {
			text += "; " + c.State.Waiting.Reason + " " + c.State.Waiting.Message
		}
		if c.State.Terminated != nil {
			text += "; " + c.State.Terminated.Reason + " " + c.State.Terminated.Message
		}
	}
	return text
}

// awaitRefused waits until the scheduler has found no node for a pod, and expects what the pod's owner is told.
func (l lab) awaitRefused(pod *corev1.Pod, want string) {
	l.Helper()
	l.eventually("pod "+pod.Namespace+"/"+pod.Name+" is refused", func(ctx context.Context) (bool, string) {
		got := l.get(ctx, pod.Namespace, pod.Name)
		if got.Spec.NodeName != "" {
			l.Fatalf("pod %s/%s is on %s, want it refused", pod.Namespace, pod.Name, got.Spec.NodeName)
		}
		for _, c := range got.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable && strings.Contains(c.Message, want) {
				return true, ""
			}
		}
		return false, describe(got)
	})
}

var (
	versionLine = regexp.MustCompile(`(?m)^version: (.+?)\s*$`)
	bootLine    = regexp.MustCompile(`(?m)^boot: ([0-9a-f-]{36})\s*$`)
)

// note reads in the pod's log which kernel it is in; false, and why, if it has not said so yet.
func (l lab) note(ctx context.Context, pod *corev1.Pod) (bool, string) {
	text, err := l.api.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: "probe"}).DoRaw(ctx)
	if err != nil {
		return false, err.Error()
	}
	version, boot := versionLine.FindSubmatch(text), bootLine.FindSubmatch(text)
	if version == nil || boot == nil {
		return false, "it says: " + string(text)
	}
	s := sighting{Pod: pod.Namespace + "/" + pod.Name, Tenant: pod.Namespace, Node: pod.Spec.NodeName, Runtime: "runc", Version: string(version[1]), Boot: string(boot[1])}
	if pod.Spec.RuntimeClassName != nil {
		s.Runtime = *pod.Spec.RuntimeClassName
	}
	l.seen.add(s)
	return true, ""
}

func (l lab) remove(pods ...*corev1.Pod) {
	l.Helper()
	for _, pod := range pods {
		err := l.api.CoreV1().Pods(pod.Namespace).Delete(l.Context(), pod.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			l.Fatal(err)
		}
	}
	for _, pod := range pods {
		l.eventually("pod "+pod.Namespace+"/"+pod.Name+" is gone", func(ctx context.Context) (bool, string) {
			_, err := l.api.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), fmt.Sprint(err)
		})
	}
}

// awaitFree waits until no worker is dedicated.
func (l lab) awaitFree() {
	l.Helper()
	l.eventually("no worker is dedicated", func(ctx context.Context) (bool, string) {
		for _, name := range workers {
			node, err := l.api.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return false, err.Error()
			}
			if len(node.Spec.Taints) > 0 {
				return false, fmt.Sprint(name, ": ", node.Spec.Taints)
			}
		}
		return true, ""
	})
}

// addTenants makes the namespaces and RuntimeClasses that the parts use.
func (l lab) addTenants() {
	l.Helper()
	for _, tenant := range tenants {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant, Labels: map[string]string{tenantLabel: tenant}}}
		if _, err := l.api.CoreV1().Namespaces().Create(l.Context(), namespace, metav1.CreateOptions{}); err != nil {
			l.Fatal(err)
		}
	}
	for _, c := range []*nodev1.RuntimeClass{
		{ObjectMeta: metav1.ObjectMeta{Name: sandboxClass}, Handler: realnode.HandlerSandbox},
		{
			ObjectMeta: metav1.ObjectMeta{Name: vmClass}, Handler: realnode.HandlerVM,
			Overhead: &nodev1.Overhead{PodFixed: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(vmOverhead)}},
		},
	} {
		if _, err := l.api.NodeV1().RuntimeClasses().Create(l.Context(), c, metav1.CreateOptions{}); err != nil {
			l.Fatal(err)
		}
	}
}

// setPolicy changes the cluster's policy and waits until it is in force and enforced.
func (l lab) setPolicy(patch string) {
	l.Helper()
	l.kubectl("patch", "isolationpolicy/default", "--type=merge", "--patch="+patch)
	l.eventually("the policy is in force", func(context.Context) (bool, string) {
		state := l.kubectl("get", "isolationpolicy/default",
			`--output=jsonpath={.metadata.generation} {.status.observedGeneration} {.status.conditions[?(@.type=="Accepted")].status} {.status.conditions[?(@.type=="Enforced")].status}`)
		fields := strings.Fields(state)
		return len(fields) == 4 && fields[0] == fields[1] && fields[2] == "True" && fields[3] == "True", state
	})
}

func (l lab) patchPod(pod *corev1.Pod, patch string, subresources ...string) error {
	_, err := l.api.CoreV1().Pods(pod.Namespace).Patch(l.Context(), pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	return err
}

// memberOf is a client of somebody who may edit the namespace of a tenant, and nothing else.
func (l lab) memberOf(tenant string) kubernetes.Interface {
	l.Helper()
	config, err := l.cluster.AddUser(tenant + "-member")
	if err != nil {
		l.Fatal(err)
	}
	l.kubectl("create", "rolebinding", "member", "--namespace="+tenant, "--clusterrole=edit", "--user="+tenant+"-member")
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		l.Fatal(err)
	}
	if err := l.cluster.AwaitAccess(l.Context(), authorizationv1.SubjectAccessReviewSpec{
		User:               tenant + "-member",
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: tenant, Verb: "delete", Resource: "pods"},
	}); err != nil {
		l.Fatal(err)
	}
	return client
}
