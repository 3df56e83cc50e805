// Package cli runs kubectl isolation against a real control plane, and on manifests of other
// projects.
package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/internal/controlplane"
	tool "tenantisolation.dev/scheduler/pkg/cli"
)

// environment is the control plane of all tests. Each test has its own namespaces and nodes where
// it can; the audit sees all of them.
type environment struct {
	plane *controlplane.ControlPlane
	api   *kubernetes.Clientset
}

var (
	sharedEnvironment = sync.OnceValues(startEnvironment)
	stopEnvironment   []func() error
)

func TestMain(m *testing.M) {
	m.Run()
	for _, stop := range stopEnvironment {
		if err := stop(); err != nil {
			panic(err)
		}
	}
}

func startEnvironment() (*environment, error) {
	// Not a test's context: it would end with the first of them.
	plane, err := controlplane.Start(testContext(), controlplane.Options{})
	if err != nil {
		return nil, err
	}
	stopEnvironment = append(stopEnvironment, plane.Stop)
	api, err := plane.Client()
	return &environment{plane, api}, err
}

func newEnvironment(t *testing.T) *environment {
	t.Helper()
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// result is what a command prints, and its exit status.
type result struct {
	out, errOut string
	status      int
}

// run runs the tool with a kubeconfig.
func (w *environment) run(t *testing.T, kubeconfig string, args ...string) result {
	t.Helper()
	t.Setenv("KUBECONFIG", kubeconfig)
	t.Setenv("HOME", t.TempDir())
	var out, errOut bytes.Buffer
	command := tool.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	command.SetArgs(args)
	err := command.ExecuteContext(t.Context())
	tool.PrintError(&errOut, err)
	return result{out.String(), errOut.String(), tool.ExitStatus(err)}
}

func (w *environment) node(t *testing.T, name string) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	created, err := w.api.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created.Status.Allocatable = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	created.Status.Capacity = created.Status.Allocatable
	if _, err := w.api.CoreV1().Nodes().UpdateStatus(t.Context(), created, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.api.CoreV1().Nodes().Delete(testContext(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func (w *environment) namespace(t *testing.T, name, tenant string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if tenant != "" {
		ns.Labels = map[string]string{"tenantisolation.dev/tenant": tenant}
	}
	if _, err := w.api.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// pod creates a pod on a node, as if some scheduler had put it there.
func (w *environment) pod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if _, err := w.api.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		err := w.api.CoreV1().Pods(pod.Namespace).Delete(testContext(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		if err != nil {
			t.Error(err)
		}
	})
}

func plainPod(namespace, name, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "app", Image: "example.com/app"}}},
	}
}

// build builds the tool as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubectl-isolation")
	// The same settings as the Makefile's, so that it is in the build cache.
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "tenantisolation.dev/scheduler/cmd/kubectl-isolation")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func repository(t *testing.T, path ...string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, path...)...)
}

// unfolded is a text in one line, whose words are where they are said in prose.
func unfolded(text string) string { return strings.Join(strings.Fields(text), " ") }
