package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// fixture is the shared control plane as one test uses it: it has no nodes and no pods when the
// test starts and when it ends.
type fixture struct {
	*testing.T

	environment *environment
	api         *kubernetes.Clientset
	scheduler   *schedulerRun
	// journal is the log of the fixture's scheduler, shared that of the shared scheduler.
	journal, shared *journal

	id         string
	namespaces []string
	nodes      []string
	serial     int
	// platformPods are in namespaces that are not the test's own.
	platformPods []*corev1.Pod
}

var fixtures atomic.Int32

// newFixture returns a fixture with the shared scheduler, which runs the shipped configuration.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	return newFixtureOf(t, w, w.scheduler)
}

// newFixtureWith returns a fixture with a scheduler of its own, beside the shared one, with this
// policy and otherwise the shipped configuration.
func newFixtureWith(t *testing.T, policy map[string]any) *fixture {
	t.Helper()
	return newFixtureRunning(t, inline(policy))
}

// newFixtureRunning returns a fixture with a scheduler of its own and an edited configuration.
func newFixtureRunning(t *testing.T, edits ...configEdit) *fixture {
	t.Helper()
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	profile := fmt.Sprintf("scheduler-%d", fixtures.Add(1))
	run, err := w.run(t.Context(), profile, writeConfig(t, append([]configEdit{alone(profile)}, edits...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.Stop)
	return newFixtureOf(t, w, run)
}

func newFixtureOf(t *testing.T, w *environment, run *schedulerRun) *fixture {
	t.Helper()
	if err := w.plane.Failed(); err != nil {
		t.Fatal(err)
	}
	c := &fixture{
		T: t, environment: w, api: w.api, scheduler: run,
		journal: newJournal(t, run.Log()),
		id:      fmt.Sprint(fixtures.Add(1)),
	}
	c.shared = c.journal
	if run != w.scheduler {
		c.shared = newJournal(t, w.scheduler.Log())
	}
	t.Cleanup(c.clear)
	return c
}

// configEdit changes a scheduler configuration that has been read from the shipped file.
type configEdit func(t *testing.T, config map[string]any)

// alone gives a scheduler its own name, and turns the election off.
func alone(profile string) configEdit {
	return func(t *testing.T, config map[string]any) {
		t.Helper()
		theProfile(t, config)["schedulerName"] = profile
		config["leaderElection"] = map[string]any{"leaderElect": false}
	}
}

// inline gives the plugin a policy in its arguments; nil leaves the shipped one.
func inline(policy map[string]any) configEdit {
	return func(t *testing.T, config map[string]any) {
		t.Helper()
		if policy == nil {
			return
		}
		args := map[string]any{
			"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": pluginName + "Args", "policy": policy,
		}
		theProfile(t, config)["pluginConfig"] = []any{map[string]any{"name": pluginName, "args": args}}
	}
}

func theProfile(t *testing.T, config map[string]any) map[string]any {
	t.Helper()
	profiles, _, err := unstructured.NestedFieldNoCopy(config, "profiles")
	if err != nil {
		t.Fatal(err)
	}
	list, ok := profiles.([]any)
	if !ok || len(list) != 1 {
		t.Fatalf("profiles of the shipped configuration: %v, want one", profiles)
	}
	profile, ok := list[0].(map[string]any)
	if !ok {
		t.Fatalf("profile of the shipped configuration: %v", list[0])
	}
	return profile
}

// writeConfig writes the shipped configuration with changes.
func writeConfig(t *testing.T, edits ...configEdit) string {
	t.Helper()
	config := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(readFile(t, schedulerConfigFile(t))), &config); err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(t, config)
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "config.yaml", string(text))
}

// must ends the test on an error of a step that is not under test.
func (c *fixture) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// name makes a name that no other object of the cluster has or had.
func (c *fixture) name(kind string) string {
	c.serial++
	return fmt.Sprintf("%s-%s-%d", kind, c.id, c.serial)
}

func (c *fixture) namespace(l ...label) string {
	c.Helper()
	return c.namespaceNamed(c.name("ns"), l...)
}

func (c *fixture) namespaceNamed(name string, l ...label) string {
	c.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labelMap(l)}}
	_, err := c.api.CoreV1().Namespaces().Create(c.Context(), ns, metav1.CreateOptions{})
	c.must(err)
	c.namespaces = append(c.namespaces, name)
	return name
}

// relabel sets a label of a namespace.
func (c *fixture) relabel(namespace string, l label) {
	c.Helper()
	c.patchNamespace(namespace, fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, l.key, l.value))
}

func (c *fixture) unlabel(namespace, key string) {
	c.Helper()
	c.patchNamespace(namespace, fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, key))
}

func (c *fixture) patchNamespace(name, patch string) {
	c.Helper()
	_, err := c.api.CoreV1().Namespaces().Patch(c.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	c.must(err)
}

// node adds a node and waits until the scheduler knows it: tests that count attempts
// would otherwise count one that came too early.
func (c *fixture) node(options ...nodeOption) string {
	c.Helper()
	return c.nodeNamed(c.name("node"), options...)
}

func (c *fixture) nodeNamed(name string, options ...nodeOption) string {
	c.Helper()
	node := newNode(name)
	for _, option := range options {
		option(node)
	}
	_, err := c.api.CoreV1().Nodes().Create(c.Context(), node, metav1.CreateOptions{})
	c.must(err)
	c.nodes = append(c.nodes, name)
	c.eventually("the scheduler to know node "+name, func(context.Context) (bool, error) {
		return c.journal.added(name), nil
	})
	return name
}

// newPod returns a pod without creating it in the cluster.
func (c *fixture) newPod(namespace string, options ...podOption) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: c.name("pod"), Namespace: namespace, Labels: map[string]string{}},
		Spec: corev1.PodSpec{
			SchedulerName:                 c.scheduler.profile,
			Containers:                    []corev1.Container{{Name: "c", Image: "none"}},
			TerminationGracePeriodSeconds: ptr.To[int64](0),
		},
	}
	for _, option := range options {
		option(pod)
	}
	return pod
}

func (c *fixture) pod(namespace string, options ...podOption) *corev1.Pod {
	c.Helper()
	pod, err := c.api.CoreV1().Pods(namespace).Create(c.Context(), c.newPod(namespace, options...), metav1.CreateOptions{})
	c.must(err)
	return pod
}

func (c *fixture) patchPod(pod *corev1.Pod, patch string, subresources ...string) {
	c.Helper()
	_, err := c.api.CoreV1().Pods(pod.Namespace).Patch(c.Context(), pod.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	c.must(err)
}

// remove deletes a pod at once, as a kubelet does when its containers have ended.
func (c *fixture) remove(pod *corev1.Pod) {
	c.Helper()
	c.must(c.api.CoreV1().Pods(pod.Namespace).Delete(c.Context(), pod.Name, *metav1.NewDeleteOptions(0)))
}

// terminate deletes a pod; no kubelet here ends it.
func (c *fixture) terminate(pod *corev1.Pod) {
	c.Helper()
	c.must(c.api.CoreV1().Pods(pod.Namespace).Delete(c.Context(), pod.Name, metav1.DeleteOptions{}))
	if c.get(pod).DeletionTimestamp == nil {
		c.Fatalf("%s is not terminating", podKey(pod))
	}
}

func (c *fixture) get(pod *corev1.Pod) *corev1.Pod {
	c.Helper()
	got, err := c.api.CoreV1().Pods(pod.Namespace).Get(c.Context(), pod.Name, metav1.GetOptions{})
	c.must(err)
	return got
}

// runtimeClass creates a RuntimeClass that is deleted with the test.
func (c *fixture) runtimeClass(name, handler string) {
	c.Helper()
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}
	_, err := c.api.NodeV1().RuntimeClasses().Create(c.Context(), class, metav1.CreateOptions{})
	c.must(err)
}

func (c *fixture) removeRuntimeClass(name string) {
	c.Helper()
	c.must(c.api.NodeV1().RuntimeClasses().Delete(c.Context(), name, metav1.DeleteOptions{}))
}

const patience = 30 * time.Second

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
