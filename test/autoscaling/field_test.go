package autoscaling

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/internal/checker"
	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
	"tenantisolation.dev/scheduler/internal/karpenter"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
	// scenarioLabel separates the pools of scenarios that run side by side.
	scenarioLabel = "example.com/scenario"
	patience      = 2 * time.Minute
)

// field is a cluster as its users have it: installed by the default overlay, with the stock scheduler beside
// ours, and controllers. It starts without a node. Scenarios run on it side by side, each with nodes of its own.
type field struct {
	plane   *controlplane.ControlPlane
	api     *kubernetes.Clientset
	journal *journal
	// karpenter makes the nodes; nil where the test does.
	karpenter *karpenter.Cluster
}

// newKarpenterField has Karpenter as well.
func newKarpenterField(t *testing.T) *field {
	t.Helper()
	if _, err := karpenter.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := newField(t)
	var err error
	if f.karpenter, err = karpenter.Start(t.Context(), f.plane, karpenter.Options{}); err != nil {
		t.Fatal(err)
	}
	return f
}

func newField(t *testing.T) *field {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := controlplane.ModuleRoot()
	must(err)
	// An old binary would wait for other policies than those that are installed.
	if output, err := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", root, "build").CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, output)
	}
	f := &field{plane: controlplanetest.Start(t, controlplane.Options{ControllerManager: true, Kwok: true})}
	kubectl := func(args ...string) {
		t.Helper()
		_, err := f.plane.Kubectl(t.Context(), args...)
		must(err)
	}
	manifests := filepath.Join(root, "manifests")
	f.api, err = f.plane.Client()
	must(err)
	kubectl("apply", "-k", filepath.Join(manifests, "crds"))
	kubectl("wait", "--for=condition=Established", "customresourcedefinition/isolationpolicies.tenantisolation.dev")
	kubectl("apply", "-k", filepath.Join(manifests, "examples", "kata-runtimeclasses"))
	kubectl("apply", "-k", filepath.Join(manifests, "overlays", "default"))
	// Its pods would need an image.
	kubectl("scale", "deployment", schedulerName, "--namespace", systemNamespace, "--replicas=0")
	account, err := f.plane.ServiceAccount(t.Context(), systemNamespace, schedulerName)
	must(err)
	_, err = f.plane.StartScheduler(t.Context(), controlplane.SchedulerOptions{
		Config: filepath.Join(manifests, "components", "policy", "scheduler-config.yaml"), User: account,
	})
	must(err)
	stock := filepath.Join(t.TempDir(), "stock.yaml")
	must(os.WriteFile(stock, []byte("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nleaderElection: {leaderElect: false}\n"), 0o600))
	user, err := f.plane.AddUser("system:kube-scheduler")
	must(err)
	_, err = f.plane.StartScheduler(t.Context(), controlplane.SchedulerOptions{Name: "stock", Stock: true, Config: stock, User: user})
	must(err)
	kubectl("wait", "--for=condition=Enforced", "isolationpolicy/default", "--timeout="+patience.String())
	f.journal, err = newJournal(t.Context(), f.api)
	must(err)
	t.Cleanup(func() {
		if t.Failed() {
			f.keepLog(t, "scheduler")
			if f.karpenter != nil {
				f.keepLog(t, "karpenter")
			}
		}
	})
	return f
}

// keepLog copies a program's log to where it outlives the control plane, if a variable names a folder.
func (f *field) keepLog(t *testing.T, program string) {
	t.Helper()
	dir := os.Getenv("AUTOSCALING_LOGS")
	if dir == "" {
		return
	}
	text, err := os.ReadFile(filepath.Join(f.plane.Dir(), "log", program+".log"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+"-"+program+".log"), text, 0o600)
	}
	if err != nil {
		t.Log(err)
	}
}

// scenario is what one test does on a field: its tenants have names of their own, and its nodes are those
// of its pools.
type scenario struct {
	*testing.T
	*field
	name  string
	begin time.Time
}

// scenario makes the shipped example NodePool for tenants, for the scenario alone.
func (f *field) scenario(t *testing.T, name string) *scenario {
	t.Helper()
	s := &scenario{T: t, field: f, name: name, begin: time.Now()}
	pool, _, err := karpenter.ExampleNodePools()
	s.must(err)
	s.addNodePool(pool, name)
	return s
}

// addNodePool adds a pool for pods of the scenario, which changes its nodes as soon as it may.
func (s *scenario) addNodePool(pool *unstructured.Unstructured, name string) {
	s.Helper()
	pool.SetName(name)
	s.must(unstructured.SetNestedField(pool.Object, s.name, "spec", "template", "metadata", "labels", scenarioLabel))
	s.must(unstructured.SetNestedField(pool.Object, "10s", "spec", "disruption", "consolidateAfter"))
	s.must(unstructured.SetNestedSlice(pool.Object, []any{map[string]any{"nodes": "100%"}}, "spec", "disruption", "budgets"))
	s.must(s.karpenter.AddNodePool(s.Context(), pool))
}

func (s *scenario) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// report prints what was measured, with the time since the scenario began.
func (s *scenario) report(format string, args ...any) {
	s.Helper()
	s.Logf("%5.0f s: "+format, append([]any{time.Since(s.begin).Seconds()}, args...)...)
}

// within polls until done returns an empty text, which otherwise says what is lacking. It gives up only long after
// d, as a busy machine takes longer.
func (s *scenario) within(d time.Duration, what string, done func() string) time.Duration {
	s.Helper()
	begin, lacking := time.Now(), ""
	err := wait.PollUntilContextTimeout(s.Context(), 100*time.Millisecond, d+patience, true, func(context.Context) (bool, error) {
		if err := s.plane.Failed(); err != nil {
			return false, err
		}
		lacking = done()
		return lacking == "", nil
	})
	if err != nil {
		s.Fatalf("after %s not %s (%v): %s\n%s", d+patience, what, err, lacking, s.warnings())
	}
	took := time.Since(begin)
	if took > d {
		s.report("%s after %.1f s, LATER than the %s that are to be expected", what, took.Seconds(), d)
	}
	return took
}

// warnings are the last of the scenario's namespaces: why pods are not there, or wait.
func (s *scenario) warnings() string {
	events, err := s.api.CoreV1().Events("").List(s.Context(), metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, event := range events.Items {
		if strings.HasPrefix(event.Namespace, s.name) {
			lines = append(lines, event.InvolvedObject.Kind+" "+event.Namespace+"/"+event.InvolvedObject.Name+": "+event.Message)
		}
	}
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// nodes are those of the scenario's pools.
func (s *scenario) nodes() []corev1.Node {
	s.Helper()
	nodes, err := s.api.CoreV1().Nodes().List(s.Context(), metav1.ListOptions{LabelSelector: scenarioLabel + "=" + s.name})
	s.must(err)
	return nodes.Items
}

// pods are those of the scenario, in all of its namespaces.
func (s *scenario) pods() []corev1.Pod {
	s.Helper()
	pods, err := s.api.CoreV1().Pods("").List(s.Context(), metav1.ListOptions{})
	s.must(err)
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return pod.Spec.NodeSelector[scenarioLabel] != s.name })
}

// machines are the types of the scenario's nodes, in order.
func (s *scenario) machines() []string {
	s.Helper()
	var types []string
	for _, node := range s.nodes() {
		types = append(types, node.Labels[corev1.LabelInstanceTypeStable])
	}
	slices.Sort(types)
	return types
}

// keepsTheRule asks the independent checker about the whole cluster.
func (s *scenario) keepsTheRule() {
	s.Helper()
	cluster, err := checker.Read(s.Context(), s.api)
	s.must(err)
	if result := cluster.Check(); !result.Sound() {
		s.Error(result)
	}
}

// labelsOf are the four labels of a node, in the order of the axes; empty ones are not there.
func labelsOf(node *corev1.Node) isolation.NodeLabels {
	var labels isolation.NodeLabels
	for _, axis := range isolation.Axes() {
		labels[axis] = node.Labels[isolation.NodeLabelKey(axis)]
	}
	return labels
}
