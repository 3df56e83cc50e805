// Package policy tests what is shipped as a platform engineer has it: installed by manifests/crds and
// manifests/overlays/default, changed by the IsolationPolicy, switched off and removed, on a real kube-apiserver
// with the scheduler as it is shipped.
//
// There are no kubelets and no controllers: a pod that is on a node stays as it is.
package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
	patience        = time.Minute
	// soon is how fast a change has to be in force, and a fault to be found.
	soon = 10 * time.Second
)

// installation is a cluster with everything installed.
type installation struct {
	*testing.T
	plane     *controlplane.ControlPlane
	api       *kubernetes.Clientset
	objects   dynamic.Interface
	scheduler *controlplane.Scheduler
	serial    int
}

// install starts a cluster, installs everything and returns when the policy is enforced.
func install(t *testing.T) *installation {
	t.Helper()
	c := &installation{T: t, plane: controlplanetest.Start(t, controlplane.Options{})}
	var err error
	c.api, err = c.plane.Client()
	c.must(err)
	c.objects, err = dynamic.NewForConfig(c.plane.Admin())
	c.must(err)
	c.apply("crds")
	c.kubectl("wait", "--for=condition=Established", "customresourcedefinition/isolationpolicies.tenantisolation.dev")
	c.apply("overlays/default")
	c.start()
	c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionTrue, patience)
	return c
}

// start starts the scheduler with the rights and the configuration of the overlay.
func (c *installation) start() {
	c.Helper()
	account, err := c.plane.ServiceAccount(c.Context(), systemNamespace, schedulerName)
	c.must(err)
	c.scheduler, err = c.plane.StartScheduler(c.Context(), controlplane.SchedulerOptions{
		Config: manifest(c.T, "components/policy/scheduler-config.yaml"), User: account,
		// A slow restart of the API server does not cost it its lease.
		Args: []string{"--v=2", "--leader-elect-lease-duration=90s", "--leader-elect-renew-deadline=80s"},
	})
	c.must(err)
}

func manifest(t *testing.T, path string) string {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "manifests", path)
}

func (c *installation) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *installation) kubectl(args ...string) string {
	c.Helper()
	out, err := c.plane.Kubectl(c.Context(), args...)
	c.must(err)
	return out
}

func (c *installation) apply(dir string) {
	c.Helper()
	c.kubectl("apply", "-k", manifest(c.T, dir))
}

// policy returns the IsolationPolicy of the cluster.
func (c *installation) policy() *v1alpha1.IsolationPolicy {
	c.Helper()
	object, err := c.objects.Resource(v1alpha1.Resource).Get(c.Context(), v1alpha1.DefaultName, metav1.GetOptions{})
	c.must(err)
	policy := &v1alpha1.IsolationPolicy{}
	c.must(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, policy))
	return policy
}

// change changes the spec.
func (c *installation) change(spec map[string]any) error {
	c.Helper()
	patch, err := json.Marshal(map[string]any{"spec": spec})
	c.must(err)
	_, err = c.objects.Resource(v1alpha1.Resource).Patch(c.Context(), v1alpha1.DefaultName, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func (c *installation) mustChange(spec map[string]any) {
	c.Helper()
	c.must(c.change(spec))
}

// within polls until the condition holds.
func (c *installation) within(d time.Duration, what string, done func() (bool, string)) {
	c.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(c.Context(), 50*time.Millisecond, d, true, func(context.Context) (bool, error) {
		if err := c.plane.Failed(); err != nil {
			return false, err
		}
		var ok bool
		ok, last = done()
		return ok, nil
	})
	if err != nil {
		c.Fatalf("after %s not %s (%v): %s", d, what, err, last)
	}
}

// awaitCondition waits for a condition of the policy and returns its reason and message.
func (c *installation) awaitCondition(kind string, status metav1.ConditionStatus, d time.Duration) string {
	c.Helper()
	said := ""
	c.within(d, fmt.Sprintf("%s=%s", kind, status), func() (bool, string) {
		condition := meta.FindStatusCondition(c.policy().Status.Conditions, kind)
		if condition == nil {
			return false, "no condition"
		}
		said = condition.Reason + ": " + condition.Message
		return condition.Status == status, said
	})
	return said
}

// inForce waits until the newest spec is in force.
func (c *installation) inForce() {
	c.Helper()
	c.within(soon, "in force", func() (bool, string) {
		p := c.policy()
		return p.Status.InForce != nil && p.Status.InForce.Generation == p.Generation, fmt.Sprint(p.Status)
	})
}

func (c *installation) name(kind string) string {
	c.serial++
	return fmt.Sprintf("%s-%d", kind, c.serial)
}

// namespace makes a namespace with labels, given as "key=value".
func (c *installation) namespace(labels ...string) string {
	c.Helper()
	ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.name("ns"), Labels: map[string]string{}}}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		ns.Labels[key] = value
	}
	_, err := c.api.CoreV1().Namespaces().Create(c.Context(), ns, metav1.CreateOptions{})
	c.must(err)
	return ns.Name
}

func tenant(name string) string { return "tenantisolation.dev/tenant=" + name }

func (c *installation) node(change ...func(*v1.Node)) string {
	c.Helper()
	node := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: c.name("node")},
		Status: v1.NodeStatus{
			Capacity: resources(), Allocatable: resources(),
			Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}},
		},
	}
	for _, each := range change {
		each(node)
	}
	_, err := c.api.CoreV1().Nodes().Create(c.Context(), node, metav1.CreateOptions{})
	c.must(err)
	return node.Name
}

func newPod(name string, change ...func(*v1.Pod)) *v1.Pod {
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1.PodSpec{Containers: []v1.Container{{Name: "c", Image: "none"}}},
	}
	for _, ch := range change {
		ch(pod)
	}
	return pod
}

// create makes a pod, or says why not.
func (c *installation) create(namespace string, change ...func(*v1.Pod)) (*v1.Pod, error) {
	c.Helper()
	return c.api.CoreV1().Pods(namespace).Create(c.Context(), newPod(c.name("pod"), change...), metav1.CreateOptions{})
}

func (c *installation) pod(namespace string, change ...func(*v1.Pod)) *v1.Pod {
	c.Helper()
	pod, err := c.create(namespace, change...)
	c.must(err)
	return pod
}

// placed waits until the pod is on a node, and returns which.
func (c *installation) placed(pod *v1.Pod, d time.Duration) string {
	c.Helper()
	node := ""
	c.within(d, "placed "+pod.Name, func() (bool, string) {
		got, err := c.api.CoreV1().Pods(pod.Namespace).Get(c.Context(), pod.Name, metav1.GetOptions{})
		c.must(err)
		node = got.Spec.NodeName
		return node != "", fmt.Sprint(got.Status.Conditions)
	})
	return node
}

// says waits until the pod's condition has a text.
func (c *installation) says(pod *v1.Pod, text string) {
	c.Helper()
	c.within(soon, "told "+text, func() (bool, string) {
		got, err := c.api.CoreV1().Pods(pod.Namespace).Get(c.Context(), pod.Name, metav1.GetOptions{})
		c.must(err)
		said := ""
		for _, condition := range got.Status.Conditions {
			said += condition.Message
		}
		return strings.Contains(said, text), said
	})
}

// traces returns which nodes bear something of dedication.
func (c *installation) traces() []string {
	c.Helper()
	nodes, err := c.api.CoreV1().Nodes().List(c.Context(), metav1.ListOptions{})
	c.must(err)
	var with []string
	for i := range nodes.Items {
		node := &nodes.Items[i]
		text, err := json.Marshal([]any{node.Labels, node.Annotations, node.Spec.Taints})
		c.must(err)
		if strings.Contains(string(text), "tenantisolation.") {
			with = append(with, node.Name+" "+string(text))
		}
	}
	return with
}
