package admission

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

// Both schedulers run only here: elsewhere the tests bind pods themselves.
func TestEndToEnd(t *testing.T) {
	w := getEnvironment(t)
	program := buildScheduler(t, w.root)
	if err := w.clearWaiting(t.Context()); err != nil {
		t.Fatal(err)
	}
	// It takes over what the policies read; the other tests go on with theirs.
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(w.writeParameters(ctx), w.dedicate(ctx)); err != nil {
			t.Fatal(err)
		}
	})
	w.runScheduler(t, program, "ours", ourScheduler, filepath.Join(w.root, "manifests", "components", "policy", "scheduler-config.yaml"))
	if _, err := w.plane.Kubectl(t.Context(), "wait", "--for=condition=Enforced", "--timeout=1m", "isolationpolicy/default"); err != nil {
		t.Fatal(err)
	}
	// The same code as kube-scheduler, and without a profile of its own the same behaviour.
	stock := filepath.Join(t.TempDir(), "stock.yaml")
	if err := os.WriteFile(stock, []byte(stockConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	w.runScheduler(t, program, "stock", stockScheduler, stock)

	t.Run("a pod that says nothing gets a virtual machine", vmForAPodThatSaysNothing)
	t.Run("the cluster's own scheduler binds no tenant's pod", stockSchedulerIsKeptOut)
	t.Run("every kind of workload runs and goes away", workloadsRun)
}

// clearWaiting removes the pods that the attacks have left on no node: some tolerate every
// taint, and would be placed on the nodes that are for something else here.
func (w *environment) clearWaiting(ctx context.Context) error {
	pods, err := w.admin.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		err := w.admin.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *metav1.NewDeleteOptions(0))
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

const stockConfig = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
podInitialBackoffSeconds: 1
`

func (w *environment) runScheduler(t *testing.T, program, name string, who user, config string) {
	t.Helper()
	scheduler, err := w.plane.StartScheduler(t.Context(), controlplane.SchedulerOptions{
		Name: name, Program: program, Config: config, User: w.users[who],
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(scheduler.Stop)
}

func vmForAPodThatSaysNothing(t *testing.T) {
	s := newScene(t)
	for _, name := range []string{"acme", "initech"} {
		namespace := s.namespace(labels(tenant(name), defaultClass(steeredClass)))
		pod, err := s.create(namespace, scheduledBy(""))
		s.allowed("its creation", err)
		s.placedOn(kataNode, pod)
		got := s.get(pod)
		if class := ptr.Deref(got.Spec.RuntimeClassName, ""); class != steeredClass {
			t.Errorf("its RuntimeClass is %q, want %q", class, steeredClass)
		}
		if memory := got.Spec.Overhead[corev1.ResourceMemory]; !memory.Equal(resource.MustParse("160Mi")) {
			t.Errorf("its overhead is %v, want that of the RuntimeClass", got.Spec.Overhead)
		}
		if selected := got.Spec.NodeSelector["katacontainers.io/kata-runtime"]; selected != "true" {
			t.Errorf("its node selector is %v, want that of the RuntimeClass", got.Spec.NodeSelector)
		}
		if got.Spec.SchedulerName != schedulerName {
			t.Errorf("its scheduler is %q, want ours", got.Spec.SchedulerName)
		}
		want := "tenant=" + name + ",data-class=unclassified,privilege=baseline,user-namespace=host,boundary=vm"
		if evidence := got.Annotations[evidenceKey]; evidence != want {
			t.Errorf("its evidence is %q, want %q", evidence, want)
		}
	}
}

// placedOn waits until a pod is on a node.
func (s *scene) placedOn(node string, pod *corev1.Pod) {
	s.tb.Helper()
	var last *corev1.Pod
	err := poll(s.ctx, func(context.Context) (bool, error) {
		last = s.get(pod)
		return last.Spec.NodeName != "", s.plane.Failed()
	})
	if err != nil {
		s.tb.Fatalf("it is on no node (%v): %v", err, last.Status.Conditions)
	}
	if last.Spec.NodeName != node {
		s.tb.Errorf("it is on %s, want %s", last.Spec.NodeName, node)
	}
}

func stockSchedulerIsKeptOut(t *testing.T) {
	s := newScene(t)
	namespace := s.namespace(nil)
	// It names the cluster's own scheduler, and was there before its namespace was a tenant's.
	options := []podOption{scheduledBy("default-scheduler"), only(poolNode), gated}
	pod := s.waiting(namespace, options...)
	s.relabel(namespace, tenant("acme"))
	s.ungate(pod)

	s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
		events, err := s.admin.EventsV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedScheduling"})
		if err != nil {
			return false, err
		}
		for _, event := range events.Items {
			// By the policy on who binds, or the one on dedicated nodes: whichever is asked first.
			if strings.Contains(event.Note, "ValidatingAdmissionPolicy 'tenant-isolation-") && strings.Contains(event.Note, schedulerName) {
				return true, nil
			}
		}
		return false, s.plane.Failed()
	}))
	if got := s.get(pod); got.Spec.NodeName != "" {
		t.Errorf("it is on %s, want it on no node", got.Spec.NodeName)
	}
	// It would have bound it.
	other := s.waiting(s.namespace(nil), options...)
	s.ungate(other)
	s.placedOn(poolNode, other)
	s.must(s.remove(administrator, other, ptr.To[int64](0)))
	s.must(s.remove(editor, pod, nil))
}

func (s *scene) ungate(pod *corev1.Pod) {
	s.must(s.patch(editor, pod, types.JSONPatchType, []map[string]any{{"op": "remove", "path": "/spec/schedulingGates"}}))
}

func workloadsRun(t *testing.T) {
	for kind, create := range map[string]func(s *scene, namespace string, template corev1.PodTemplateSpec) error{
		"deployment": (*scene).deployment, "statefulset": (*scene).statefulSet, "daemonset": (*scene).daemonSet,
		"job": (*scene).job, "cronjob": (*scene).cronJob,
	} {
		t.Run("a "+kind, func(t *testing.T) {
			s := newScene(t)
			namespace := s.managed()
			s.allowed("its creation", create(s, namespace, templateOf(only(poolNode))))
			first := s.runs(namespace, nil)
			if got, want := first.Annotations[evidenceKey], evidenceOf("baseline"); got != want {
				t.Errorf("the evidence on its pod is %q, want %q", got, want)
			}
			if kind == "deployment" || kind == "statefulset" || kind == "daemonset" {
				s.allowed("a new image", s.kubectl(editor, "--namespace", namespace, "set", "image", kind+"/workload", "c=other"))
				s.runs(namespace, first)
			}
			s.allowed("its deletion", s.kubectl(editor, "--namespace", namespace, "delete", kind, "workload"))
			s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
				pods, err := s.admin.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
				return err == nil && len(pods.Items) == 0, err
			}))
		})
	}
	t.Run("and a namespace with one", func(t *testing.T) {
		s := newScene(t)
		namespace := s.managed()
		s.must(s.deployment(namespace, templateOf(only(poolNode))))
		s.runs(namespace, nil)
		s.must(s.as(administrator).CoreV1().Namespaces().Delete(s.ctx, namespace, metav1.DeleteOptions{}))
		s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
			_, err := s.admin.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return true, nil
			}
			return false, err
		}))
	})
}

// runs waits until the one pod of a namespace runs where it should, and is another than
// the one before.
func (s *scene) runs(namespace string, before *corev1.Pod) *corev1.Pod {
	s.tb.Helper()
	var pod *corev1.Pod
	s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
		pods, err := s.admin.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil || len(pods.Items) != 1 {
			return false, err
		}
		pod = &pods.Items[0]
		return pod.Status.Phase == corev1.PodRunning && (before == nil || pod.UID != before.UID), nil
	}))
	if pod.Spec.NodeName != poolNode || pod.Spec.SchedulerName != schedulerName {
		s.tb.Errorf("it is on %s by %s, want it on %s by ours", pod.Spec.NodeName, pod.Spec.SchedulerName, poolNode)
	}
	return pod
}
