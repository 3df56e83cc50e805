package policy

import (
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Switching dedication off under load stops nobody, and leaves no trace; switched on again, it dedicates what
// is in use.
func TestDedicationOffAndOn(t *testing.T) {
	c := install(t)
	const tenants, pods = 10, 500
	namespaces := make([]string, 0, tenants)
	for i := range tenants {
		namespaces = append(namespaces, c.namespace(tenant(fmt.Sprintf("tenant-%d", i))))
		c.node()
		c.node(ofKarpenter)
	}
	var all []*v1.Pod
	for i := range pods {
		all = append(all, c.pod(namespaces[i%tenants]))
		if i == pods/2 {
			c.mustChange(map[string]any{"dedication": map[string]any{"mode": "Disabled"}})
		}
	}
	for _, pod := range all {
		c.placed(pod, patience)
	}
	c.within(patience, "off", func() (bool, string) {
		said := c.awaitCondition(v1alpha1.ConditionDedication, metav1.ConditionFalse, patience)
		return strings.HasPrefix(said, v1alpha1.ReasonOff), said
	})
	if traces := c.traces(); len(traces) > 0 {
		t.Errorf("%d nodes keep a trace: %s", len(traces), traces[0])
	}
	c.expectSeparate()
	c.expectKept()

	c.mustChange(map[string]any{"dedication": map[string]any{"mode": "Enabled"}})
	c.within(patience, "dedicated again", func() (bool, string) {
		dedicated := len(c.traces())
		return dedicated >= tenants, fmt.Sprintf("%d nodes are dedicated", dedicated)
	})
	c.within(soon, "labelled again, where it is dedicated and Karpenter's", c.labelled)
	c.expectKept()
	c.placed(c.pod(namespaces[0]), soon)
}

// ofKarpenter makes a node one of those that are labelled by default.
func ofKarpenter(node *v1.Node) { node.Labels = map[string]string{"karpenter.sh/nodepool": "default"} }

// labelled reports whether the dedicated nodes of Karpenter, and no others, have the labels of their tenant.
func (c *installation) labelled() (bool, string) {
	c.Helper()
	nodes, err := c.api.CoreV1().Nodes().List(c.Context(), metav1.ListOptions{})
	c.must(err)
	labelled := 0
	for i := range nodes.Items {
		node := &nodes.Items[i]
		want := ""
		if node.Labels["karpenter.sh/nodepool"] != "" && len(node.Spec.Taints) > 0 {
			want = node.Spec.Taints[0].Value
			labelled++
		}
		for _, axis := range isolation.Axes() {
			got, has := node.Labels[isolation.NodeLabelKey(axis)]
			if has != (want != "") || axis == isolation.AxisTenant && got != want {
				return false, fmt.Sprintf("%s has %s %q, want the tenant %q", node.Name, axis, got, want)
			}
		}
	}
	return labelled > 0, "none is"
}

// expectKept asks the kubelet's own check whether it would keep every pod if it started again.
func (c *installation) expectKept() {
	c.Helper()
	pods, err := c.api.CoreV1().Pods(metav1.NamespaceAll).List(c.Context(), metav1.ListOptions{})
	c.must(err)
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.NodeName == "" {
			continue
		}
		node, err := c.api.CoreV1().Nodes().Get(c.Context(), pod.Spec.NodeName, metav1.GetOptions{})
		c.must(err)
		info := framework.NewNodeInfo()
		info.SetNode(node)
		if rejected := scheduler.AdmissionCheck(pod, info, true); len(rejected) > 0 {
			c.Errorf("the kubelet of %s would reject %s/%s: %v, labels %v", node.Name, pod.Namespace, pod.Name, rejected, node.Labels)
		}
	}
}

// expectSeparate looks at the cluster itself: no node holds pods of two tenants.
func (c *installation) expectSeparate() {
	c.Helper()
	pods, err := c.api.CoreV1().Pods(metav1.NamespaceAll).List(c.Context(), metav1.ListOptions{})
	c.must(err)
	holder := map[string]string{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.NodeName == "" {
			continue
		}
		if other, taken := holder[pod.Spec.NodeName]; taken && other != pod.Namespace {
			c.Fatalf("%s has pods of %s and %s", pod.Spec.NodeName, other, pod.Namespace)
		}
		holder[pod.Spec.NodeName] = pod.Namespace
	}
}

// From enforcing to observing and back nothing is moved.
func TestEnforceAuditEnforce(t *testing.T) {
	c := install(t)
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"))
	node := c.node()
	c.placed(c.pod(acme), soon)
	c.apply("overlays/audit")
	c.inForce()
	c.within(soon, "observing", func() (bool, string) {
		said := c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionFalse, soon)
		return strings.HasPrefix(said, "Observing"), said
	})
	met := c.pod(globex, by(schedulerName))
	if got := c.placed(met, soon); got != node {
		t.Errorf("while only observed, the pod is on %s", got)
	}
	c.apply("overlays/default")
	c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionTrue, patience)
	c.inForce()
	c.within(soon, "found", func() (bool, string) {
		findings := c.policy().Status.Findings
		return findings != nil && *findings > 0, "no findings"
	})
	c.says(c.pod(globex), "pods of another trust domain")
}

// A namespace whose tenant another product names has it copied, old ones as well as new ones.
func TestTenantFrom(t *testing.T) {
	c := install(t)
	const theirs = "capsule.clastix.io/tenant"
	old, agents := c.namespace(theirs+"=acme"), c.namespace(theirs+"=acme")
	c.mustChange(map[string]any{"platformNamespaces": map[string]any{"names": []string{"kube-system", systemNamespace, agents}}})
	c.mustChange(map[string]any{"tenantFrom": map[string]any{"namespaceLabel": theirs}})
	c.inForce()
	label := func(namespace string) string {
		ns, err := c.api.CoreV1().Namespaces().Get(c.Context(), namespace, metav1.GetOptions{})
		c.must(err)
		return ns.Labels["tenantisolation.dev/tenant"]
	}
	c.within(soon, "copied to a namespace that was there", func() (bool, string) { return label(old) == "acme", label(old) })
	c.within(soon, "copied to a new one", func() (bool, string) {
		got := label(c.namespace(theirs + "=globex"))
		return got == "globex", got
	})
	if got := label(agents); got != "" {
		t.Errorf("a namespace of the platform is %s's", got)
	}
}

// What is removed in the order of docs/operations.md leaves nothing.
func TestUninstall(t *testing.T) {
	c := install(t)
	c.node()
	c.placed(c.pod(c.namespace(tenant("acme"))), soon)
	c.mustChange(map[string]any{"dedication": map[string]any{"mode": "Disabled"}})
	c.kubectl("wait", `--for=jsonpath={.status.conditions[?(@.type=="Dedication")].reason}=Off`, "isolationpolicy/default", "--timeout=30s")
	c.kubectl("delete", "-k", manifest(t, "overlays/default"), "--wait=false")
	c.kubectl("delete", "-k", manifest(t, "crds"), "--wait=false")
	if traces := c.traces(); len(traces) > 0 {
		t.Errorf("nodes keep a trace: %s", traces)
	}
	c.within(patience, "gone", func() (bool, string) {
		left := c.kubectl("get", "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,"+
			"mutatingadmissionpolicybindings,clusterroles,clusterrolebindings,customresourcedefinitions", "-o", "name")
		for name := range strings.FieldsSeq(left) {
			if strings.Contains(name, "tenant-isolation") || strings.Contains(name, "tenantisolation") {
				return false, name
			}
		}
		return true, ""
	})
	// A pod of the former tenant is made like any other.
	acme := c.namespace(tenant("acme"))
	c.within(soon, "made like any other", func() (bool, string) {
		pod, err := c.create(acme)
		return err == nil && pod.Spec.SchedulerName == v1.DefaultSchedulerName, fmt.Sprint(err)
	})
}
