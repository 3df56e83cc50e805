// Package autoscaling tests what an autoscaler sees of dedicated nodes. The simulation runs the filters that
// the Cluster Autoscaler runs, to which Karpenter has equivalents, on the taints and labels that dedication
// writes and on what a real API server adds to pods. The other tests run Karpenter itself, and the descheduler.
package autoscaling

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/tainttoleration"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
	"tenantisolation.dev/scheduler/pkg/admission"
	judged "tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// kataHandler is one of the handlers that have the boundary vm by default.
const kataHandler = "kata-qemu"

// simulation is a real API server with the policies that add tolerations and node affinity, the store that
// judges its pods, and the filters that an autoscaler simulates.
type simulation struct {
	*testing.T
	api     *kubernetes.Clientset
	rules   *podfacts.Rules
	store   *judged.Store
	filters []fwk.FilterPlugin
}

func newSimulation(t *testing.T) *simulation {
	t.Helper()
	plane := controlplanetest.Start(t, controlplane.Options{})
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	c := &simulation{T: t}
	if c.api, err = plane.Client(); err != nil {
		t.Fatal(err)
	}
	if c.rules, err = podfacts.NewRules(policy.Default()); err != nil {
		t.Fatal(err)
	}
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		t.Fatal(err)
	}
	c.store = judged.New(c.rules, gatherer)
	taints, err := tainttoleration.New(t.Context(), nil, nil, feature.Features{})
	if err != nil {
		t.Fatal(err)
	}
	affinity, err := nodeaffinity.New(t.Context(), &config.NodeAffinityArgs{}, nil, feature.Features{})
	if err != nil {
		t.Fatal(err)
	}
	c.filters = []fwk.FilterPlugin{taints.(fwk.FilterPlugin), affinity.(fwk.FilterPlugin)}

	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata"}, Handler: kataHandler}
	if _, err := c.api.NodeV1().RuntimeClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.must(c.store.Set(class))
	c.writeParameter(policy.Default())
	for _, component := range []string{"admission", "dedication"} {
		_, err := plane.Kubectl(t.Context(), "apply", "-k", filepath.Join(root, "manifests", "components", component, "policies"))
		c.must(err)
	}
	return c
}

// writeParameter does what the leader does, before the policies let nobody else.
func (c *simulation) writeParameter(spec *v1alpha1.IsolationPolicySpec) {
	c.Helper()
	parameter := admission.Parameters(&v1alpha1.InForce{
		Spec:           *spec,
		RuntimeClasses: []v1alpha1.RuntimeClassBoundary{{Name: "kata", Handler: kataHandler, Boundary: v1alpha1.BoundaryVM}},
	}, []string{"tenant-isolation-scheduler"})
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: parameter.Namespace}}
	_, err := c.api.CoreV1().Namespaces().Create(c.Context(), ns, metav1.CreateOptions{})
	c.must(err)
	_, err = c.api.CoreV1().ConfigMaps(parameter.Namespace).Create(c.Context(), parameter, metav1.CreateOptions{})
	c.must(err)
}

func (c *simulation) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *simulation) namespace(name string, labels map[string]string) {
	c.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if name != metav1.NamespaceSystem {
		_, err := c.api.CoreV1().Namespaces().Create(c.Context(), ns, metav1.CreateOptions{})
		c.must(err)
	}
	c.must(c.store.Set(ns))
}

// admitted returns a pod as the API server keeps it, and what it is judged to be.
func (c *simulation) admitted(namespace, name string, change ...func(*corev1.Pod)) (*corev1.Pod, isolation.Subject) {
	c.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none"}}},
	}
	for _, each := range change {
		each(pod)
	}
	pod, err := c.api.CoreV1().Pods(namespace).Create(c.Context(), pod, metav1.CreateOptions{})
	c.must(err)
	// The engine judges pods that are somewhere.
	placed := pod.DeepCopy()
	placed.Spec.NodeName = "somewhere"
	c.must(c.store.Set(placed))
	subject := c.store.Judge(placed)
	return pod, subject
}

// policiesActive waits until the API server has read every policy that the test relies on. It reads them one
// after the other, so that one being there says nothing about the next.
func (c *simulation) policiesActive(tenant, platform string) {
	c.Helper()
	given := func(namespace string, change ...func(*corev1.Pod)) map[string]bool {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Namespace: namespace},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none"}}},
		}
		for _, each := range change {
			each(pod)
		}
		keys := map[string]bool{}
		got, err := c.api.CoreV1().Pods(namespace).Create(c.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			for _, toleration := range got.Spec.Tolerations {
				keys[toleration.Key] = true
			}
		}
		return keys
	}
	c.must(wait.PollUntilContextTimeout(c.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return given(tenant)[isolation.TenantTaint] && given(tenant, inVM)[isolation.BoundaryTaint] && given(platform)[isolation.BoundaryTaint], nil
	}))
}

// fits asks the autoscaler's filters.
func (c *simulation) fits(pod *corev1.Pod, node simulated) bool {
	c.Helper()
	info := framework.NewNodeInfo()
	info.SetNode(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: node.labels}, Spec: corev1.NodeSpec{Taints: node.taints}})
	for _, filter := range c.filters {
		if !filter.Filter(c.Context(), framework.NewCycleState(), pod, info).IsSuccess() {
			return false
		}
	}
	return true
}

// simulated is what an autoscaler knows of a node.
type simulated struct {
	labels map[string]string
	taints []corev1.Taint
}

// openedBy is a node that the subject has opened.
func (c *simulation) openedBy(opener isolation.Subject) simulated {
	c.Helper()
	dedication, ok := opener.Dedication()
	labels, labelled := c.rules.Policy.OpenedNodeLabels(&opener)
	if !ok || !labelled {
		c.Fatalf("%s opens no node", opener)
	}
	node := simulated{labels: labels.Map()}
	for _, taint := range dedication.Taints() {
		node.taints = append(node.taints, corev1.Taint{Key: taint.Key, Value: taint.Value, Effect: corev1.TaintEffectNoSchedule})
	}
	return node
}

func inVM(p *corev1.Pod) { p.Spec.RuntimeClassName = ptr.To("kata") }

func privileged(p *corev1.Pod) {
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
}

func TestNodesAsAnAutoscalerSeesThem(t *testing.T) {
	c := newSimulation(t)
	const prefix = "tenantisolation.dev/"
	c.namespace("acme", map[string]string{prefix + "tenant": "acme"})
	c.namespace("acme-secret", map[string]string{prefix + "tenant": "acme", prefix + "data-class": "confidential"})
	c.namespace("globex", map[string]string{prefix + "tenant": "globex"})
	c.namespace("vault", map[string]string{prefix + "tenant": "globex", prefix + "boundary": "node"})
	c.namespace("wiki", nil)
	c.namespace(metav1.NamespaceSystem, nil)
	c.policiesActive("acme", metav1.NamespaceSystem)

	type judged struct {
		pod     *corev1.Pod
		subject isolation.Subject
	}
	pods := map[string]judged{}
	add := func(name, namespace string, change ...func(*corev1.Pod)) {
		pod, subject := c.admitted(namespace, name, change...)
		pods[name] = judged{pod, subject}
	}
	add("acme", "acme")
	add("acme-privileged", "acme", privileged)
	add("acme-remapped", "acme", func(p *corev1.Pod) { p.Spec.HostUsers = ptr.To(false) })
	add("acme-vm", "acme", inVM)
	add("acme-secret", "acme-secret")
	add("globex", "globex")
	add("globex-vm", "globex", inVM)
	add("vault-vm", "vault", inVM)
	add("wiki", "wiki")
	add("agent", metav1.NamespaceSystem)

	openers := []string{"acme", "acme-privileged", "acme-remapped", "acme-secret", "globex", "acme-vm", "vault-vm"}
	got := map[string][]string{}
	for name, p := range pods {
		for _, opener := range openers {
			resident := pods[opener].subject
			node := isolation.Node{Occupancy: isolation.NewOccupancy([]isolation.Resident{{UID: "resident", Subject: resident}})}
			dedication, _ := resident.Dedication()
			allowed := isolation.Decide(&p.subject, &node).Allowed() && (name == "agent" || dedication.Admits(&p.subject))
			fits := c.fits(p.pod, c.openedBy(resident))
			// The heart of it: room in the simulation is where the rule and the dedication admit.
			if fits != allowed {
				t.Errorf("%s on a node opened by %s: in the simulation it fits: %t, it is admitted: %t", name, opener, fits, allowed)
			}
			if fits {
				got[name] = append(got[name], opener)
			}
		}
	}
	want := map[string][]string{
		"acme":            {"acme"},
		"acme-privileged": {"acme-privileged"},
		"acme-remapped":   {"acme-remapped"},
		"acme-vm":         {"acme", "acme-vm"},
		"acme-secret":     {"acme-secret"},
		"globex":          {"globex", "vault-vm"},
		"globex-vm":       {"globex", "acme-vm", "vault-vm"},
		"vault-vm":        {"globex", "vault-vm"},
		"agent":           openers,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes, by who opened them, on which pods fit in the simulation (-want +got):\n%s", diff)
	}

	t.Run("a pod that no dedicated node admits fits on a new one", func(t *testing.T) {
		for name, p := range pods {
			if !c.fits(p.pod, simulated{}) {
				t.Errorf("%s does not", name)
			}
		}
	})
	// The Cluster Autoscaler makes the template of a group from a live node. It leaves out the taints that it is
	// told of, and no label.
	t.Run("a template with the labels of a dedicated node fits no other trust domain", func(t *testing.T) {
		template := simulated{labels: c.openedBy(pods["acme"].subject).labels}
		if c.fits(pods["globex"].pod, template) {
			t.Error("it fits: the default of nodeLabel.selector is needed no longer")
		}
	})
	t.Run("a node with unmanaged pods is no room for a tenant's", func(t *testing.T) {
		node := simulated{labels: isolation.UnmanagedNodeLabels().Map()}
		for name, p := range pods {
			if fits, want := c.fits(p.pod, node), name == "agent" || name == "wiki"; fits != want {
				t.Errorf("%s fits: %t, want %t", name, fits, want)
			}
		}
	})
}
