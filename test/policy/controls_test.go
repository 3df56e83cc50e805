package policy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// A policy that is there and refuses nothing is found, whatever was done to it.
func TestDisabledPoliciesAreFound(t *testing.T) {
	c := install(t)
	const policies, bindings = "validatingadmissionpolicy", "validatingadmissionpolicybinding"
	for what, tc := range map[string]struct{ kind, name, patch string }{
		"a validation that is true":           {policies, "tenant-isolation-pods", `[{"op":"replace","path":"/spec/validations/1/expression","value":"true"}]`},
		"a narrowed binding":                  {bindings, "tenant-isolation-binding", `[{"op":"add","path":"/spec/matchResources","value":{"namespaceSelector":{"matchLabels":{"no":"one"}}}}]`},
		"a failure that is ignored":           {policies, "tenant-isolation-fence", `[{"op":"replace","path":"/spec/failurePolicy","value":"Ignore"}]`},
		"a missing parameter that is allowed": {bindings, "tenant-isolation-pods.needs-configmap.tenant-isolation-system.tenant-isolation-policy", `[{"op":"replace","path":"/spec/paramRef/parameterNotFoundAction","value":"Allow"}]`},
		"a condition that is false":           {policies, "tenant-isolation-deletion", `[{"op":"add","path":"/spec/matchConditions","value":[{"name":"never","expression":"false"}]}]`},
		"a binding that only warns":           {bindings, "tenant-isolation-status", `[{"op":"replace","path":"/spec/validationActions","value":["Warn"]}]`},
		"a mutation of nothing":               {"mutatingadmissionpolicy", "tenant-isolation-pods", `[{"op":"add","path":"/spec/matchConditions/-","value":{"name":"never","expression":"false"}}]`},
	} {
		t.Run(what, func(t *testing.T) {
			c := &installation{T: t, plane: c.plane, api: c.api, objects: c.objects}
			c.kubectl("patch", tc.kind, tc.name, "--type=json", "-p", tc.patch)
			if said := c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionFalse, soon); !strings.Contains(said, tc.name) {
				t.Errorf("the condition does not name %s: %s", tc.name, said)
			}
			// apply alone would keep a field that somebody added.
			c.kubectl("delete", tc.kind, tc.name)
			c.apply("overlays/default")
			c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionTrue, patience)
		})
	}
}

func (c *installation) removePolicies(keepers bool) {
	c.Helper()
	kinds := []string{"validatingadmissionpolicy", "validatingadmissionpolicybinding", "mutatingadmissionpolicy", "mutatingadmissionpolicybinding"}
	rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, kind := range kinds {
		var names []string
		for name := range strings.FieldsSeq(c.kubectl("get", kind, "-o", "name")) {
			if _, name, _ = strings.Cut(name, "/"); keepers || name != "tenant-isolation-keeper" {
				names = append(names, name)
			}
		}
		c.kubectl(append([]string{"delete", kind}, names...)...)
	}
}

// fenced reports whether an unmanaged pod is kept off a node by the fence.
func (c *installation) fenced(namespace, node string) error {
	c.Helper()
	pod := c.pod(namespace, by("nobody"))
	err := c.api.CoreV1().Pods(namespace).Bind(c.Context(), &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, Target: v1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
	if err == nil {
		return fmt.Errorf("pod %s was bound to %s", pod.Name, node)
	}
	return nil
}

// With the keepers there, everything else can be removed and made again: the fence holds.
func TestPoliciesMadeAgain(t *testing.T) {
	c := install(t)
	unmanaged := c.namespace()
	for i, pause := range []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second} {
		c.removePolicies(false)
		// The table changes while nothing is there to see it.
		c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionFalse, soon)
		<-time.After(pause)
		c.apply("overlays/default")
		c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionTrue, patience)
		node := c.node()
		if got := c.placed(c.pod(c.namespace(tenant(fmt.Sprintf("tenant-%d", i)))), soon); got != node {
			t.Fatalf("after %s the tenant's pod is on %s", pause, got)
		}
		if err := c.fenced(unmanaged, node); err != nil {
			t.Errorf("after %s: %v", pause, err)
		}
	}
}

// Without them the API server goes on with an old parameter. That is noticed, nothing is placed by it, and a
// restart of the API server mends it.
func TestStaleParameter(t *testing.T) {
	c := install(t)
	acme := c.namespace(tenant("acme"))
	c.removePolicies(true)
	c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionFalse, soon)
	<-time.After(5 * time.Second)
	c.apply("crds")
	c.apply("overlays/default")
	c.within(patience, "noticed", func() (bool, string) {
		said := c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionFalse, patience)
		return strings.Contains(said, "StaleParameter") && strings.Contains(said, "restart kube-apiserver"), said
	})
	c.node()
	pod := c.pod(acme)
	c.says(pod, "dedicated nodes")
	c.must(c.plane.RestartAPIServer(c.Context()))
	c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionTrue, patience)
	c.placed(pod, patience)
}

// No request outside of managed namespaces is refused when the API server is back.
func TestAPIServerRestarted(t *testing.T) {
	c := install(t)
	unmanaged, acme := c.namespace(), c.namespace(tenant("acme"))
	c.node()
	c.placed(c.pod(acme), soon)
	c.must(c.plane.RestartAPIServer(c.Context()))
	for range 50 {
		c.pod(unmanaged)
	}
	c.node()
	c.placed(c.pod(acme), patience)
	c.awaitCondition(v1alpha1.ConditionEnforced, metav1.ConditionTrue, patience)
}
