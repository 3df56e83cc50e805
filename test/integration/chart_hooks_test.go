package integration

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

// hookKubelet plays the scheduler and the kubelet of the chart's hooks: it runs what their pods name, as the
// account that they name, and reports how it has ended.
type hookKubelet struct {
	*testing.T

	plane   *controlplane.ControlPlane
	client  kubernetes.Interface
	program string

	mu  sync.Mutex
	ran []string
}

func playHooks(t *testing.T, plane *controlplane.ControlPlane) *hookKubelet {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	k := &hookKubelet{T: t, plane: plane, client: mustClient(t, plane), program: program}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		_ = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			if err := k.runPods(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			return false, nil
		})
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return k
}

func (k *hookKubelet) runPods(ctx context.Context) error {
	pods, err := k.client.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name", FieldSelector: "status.phase=Pending"})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		if err := k.runPod(ctx, &pods.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (k *hookKubelet) runPod(ctx context.Context, pod *corev1.Pod) error {
	container := pod.Spec.Containers[0]
	account, err := k.plane.ServiceAccount(ctx, pod.Namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return err
	}
	kubeconfig, err := k.plane.WriteKubeconfig(pod.Name, account)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, k.program, append(slices.Clone(container.Args), "--kubeconfig="+kubeconfig)...)
	output, err := cmd.CombinedOutput()
	pod.Status.Phase = corev1.PodSucceeded
	if err != nil {
		pod.Status.Phase = corev1.PodFailed
		k.Errorf("%v: %v: %s", container.Args, err, output)
	}
	k.mu.Lock()
	k.ran = append(k.ran, strings.Join(container.Args, " "))
	k.mu.Unlock()
	if _, err := k.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

// expect says which hooks have run since the last call.
func (k *hookKubelet) expect(want ...string) {
	k.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(k.ran, want) {
		k.Errorf("hooks that have run: %q, want %q", k.ran, want)
	}
	k.ran = nil
}

// startShipped starts the scheduler of the release and returns when it has looked at the policy.
func startShipped(t *testing.T, plane *controlplane.ControlPlane) *controlplane.Scheduler {
	t.Helper()
	account, err := plane.ServiceAccount(t.Context(), systemNamespace, schedulerName)
	if err != nil {
		t.Fatal(err)
	}
	scheduler, err := plane.StartScheduler(t.Context(), controlplane.SchedulerOptions{
		Config: manifests(t, "components", "policy", "scheduler-config.yaml"), User: account, Args: []string{"--v=2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	mustKubectl(t, plane, "wait", "isolationpolicy/default", "--for=condition=Accepted", "--timeout=1m")
	return scheduler
}

func mustKubectl(t *testing.T, plane *controlplane.ControlPlane, args ...string) string {
	t.Helper()
	output, err := plane.Kubectl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// dedicateNode returns when a tenant's pod has opened a node.
func dedicateNode(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	node := newNode("node")
	// Nobody reports it later.
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", Labels: labelMap([]label{tenant("acme")})}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none"}}}}
	if _, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod to be made", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods("acme").Create(ctx, pod, metav1.CreateOptions{})
		// The controller manager makes the namespace's account.
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "serviceaccount") {
			return false, nil
		}
		return err == nil, err
	})
	eventually(t, "the pod to be placed", func(ctx context.Context) (bool, error) {
		placed, err := client.CoreV1().Pods("acme").Get(ctx, "pod", metav1.GetOptions{})
		return err == nil && placed.Spec.NodeName != "", err
	})
	awaitTraces(t, client)
}

func awaitTraces(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	eventually(t, "the node to be dedicated", func(context.Context) (bool, error) { return traces(t, client) != "", nil })
}

// traces returns what nodes have of dedication.
func traces(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var found strings.Builder
	for i := range nodes.Items {
		node := &nodes.Items[i]
		if text := fmt.Sprint(node.Labels, node.Annotations, node.Spec.Taints); strings.Contains(text, "tenantisolation.dev/") {
			fmt.Fprintln(&found, node.Name, text)
		}
	}
	return found.String()
}
