package integration

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Each of these violations bypasses the scheduler, or comes long after it: only the audit can find it.
func TestAuditReportsViolations(t *testing.T) {
	c := newFixture(t)
	token := c.scraper()
	c.auditing(token)

	t.Run("a pod that was bound by hand", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		resident := c.pod(c.namespace(tenant("acme")), onlyOn(node))
		c.expectOn(node, resident)
		intruder := c.pod(c.namespace(tenant("globex")), scheduledBy("by-hand"))
		since := time.Now()
		c.smuggle(intruder, node)
		c.reported(token, "ForeignResident", since, intruder)
		c.remove(intruder)
		c.over(token, "ForeignResident")
	})

	t.Run("a pod without a tenant, made with its node", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		c.expectOn(node, c.pod(c.namespace(tenant("acme")), onlyOn(node)))
		since := time.Now()
		intruder := c.pod(c.namespace(), boundTo(node))
		c.reported(token, "UnmanagedResident", since, intruder)
		c.remove(intruder)
		c.over(token, "UnmanagedResident")
	})

	t.Run("a static pod, by its mirror", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		c.expectOn(node, c.pod(c.namespace(tenant("acme")), onlyOn(node)))
		since := time.Now()
		mirror := c.pod(c.namespace(tenant("globex")), boundTo(node), annotated(corev1.MirrorPodAnnotationKey, "x"), func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node, UID: "of-a-node", Controller: new(true)}}
		})
		c.reported(token, "ForeignResident", since, mirror)
		c.remove(mirror)
		c.over(token, "ForeignResident")
	})

	t.Run("a namespace that moves to another tenant", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		moving := c.namespace(tenant("acme"))
		stays, moves := c.pod(c.namespace(tenant("acme")), onlyOn(node)), c.pod(moving, onlyOn(node))
		c.expectOn(node, stays, moves)
		since := time.Now()
		c.relabel(moving, tenant("globex"))
		c.reported(token, "ForeignResident", since, stays, moves)
		c.relabel(moving, tenant("acme"))
		c.over(token, "ForeignResident")
	})

	t.Run("a RuntimeClass that is recreated with another handler", func(t *testing.T) {
		c := newFixture(t)
		node := c.node(kataCapable)
		class := c.name("kata")
		c.runtimeClass(class, handlerOf[kata])
		a := c.pod(c.namespace(tenant("acme")), runtimeClass(class), onlyOn(node))
		c.expectOn(node, a)
		b := c.pod(c.namespace(tenant("globex")), runtimeClass(class), onlyOn(node))
		c.expectOn(node, b)
		since := time.Now()
		c.removeRuntimeClass(class)
		c.runtimeClass(class, handlerOf[plainClass])
		c.reported(token, "ForeignResident", since, a, b)
		c.remove(b)
		c.over(token, "ForeignResident")
		c.removeRuntimeClass(class)
	})

	t.Run("an ephemeral container that raises the privilege", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		ns := c.namespace(tenant("acme"))
		a, b := c.pod(ns, onlyOn(node)), c.pod(ns, onlyOn(node))
		c.expectOn(node, a, b)
		since := time.Now()
		c.patchPod(b, `{"spec":{"ephemeralContainers":[{"name":"debug","image":"none","securityContext":{"privileged":true}}]}}`, "ephemeralcontainers")
		c.reported(token, "ForeignResident", since, a, b)
		c.remove(b)
		c.over(token, "ForeignResident")
	})

	t.Run("one PVC in two trust domains, on two nodes", func(t *testing.T) {
		c := newFixture(t)
		one, other := c.node(), c.node()
		ns := c.namespace(tenant("acme"))
		c.pod(ns, boundTo(one), pvc("data"))
		since := time.Now()
		b := c.pod(ns, boundTo(other), pvc("data"), ownUserNamespace)
		c.reported(token, "SharedPVC", since, b)
		c.remove(b)
		c.over(token, "SharedPVC")
	})

	t.Run("one directory of a node in two trust domains", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		c.pod(c.namespace(tenant("acme")), boundTo(node), hostPath)
		since := time.Now()
		b := c.pod(c.namespace(tenant("globex")), boundTo(node), func(p *corev1.Pod) {
			withVolume(p, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/globex"}})
		})
		c.reported(token, "SharedHostPath", since, b)
		c.remove(b)
		c.over(token, "SharedHostPath")
	})

	// Every end was reported too, once for each finding that was reported.
	t.Run("their end", func(t *testing.T) {
		c := newFixture(t)
		c.eventually("Events about the end", func(context.Context) (bool, error) {
			list, err := c.api.EventsV1().Events(systemNamespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return false, err
			}
			ended := 0
			for i := range list.Items {
				if list.Items[i].Reason == "FindingEnded" {
					ended++
				}
			}
			return ended >= 8, nil
		})
	})
}

func TestAuditEvictsTheLastPod(t *testing.T) {
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.mayEvict(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := newFixtureWith(t, map[string]any{"audit": map[string]any{"remediation": "Evict", "evictionsPerMinute": 60}})
	token := c.scraper()
	c.auditing(token)

	node := c.node()
	resident := c.pod(c.namespace(tenant("acme")), onlyOn(node))
	c.expectOn(node, resident)
	c.started(resident)
	elsewhere := c.namespace(tenant("globex"))
	c.must(c.budget(elsewhere, "web"))
	agent := c.pod("kube-system", boundTo(node), named(c.name("agent")))
	c.platformPods = append(c.platformPods, agent)
	kept := c.pod(elsewhere, boundTo(node), labelled(label{"app", "web"}))
	c.started(kept)

	c.eventually("an eviction that the budget refuses", func(context.Context) (bool, error) {
		for series, value := range c.metric(token, "tenant_isolation_audit_evictions_total") {
			if value > 0 && strings.Contains(series, `"blocked"`) {
				return true, nil
			}
		}
		return false, nil
	})
	if c.get(kept).DeletionTimestamp != nil {
		t.Fatal("a pod was evicted in spite of its budget")
	}
	c.must(c.api.PolicyV1().PodDisruptionBudgets(elsewhere).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	// The eviction is requested again half a minute later, which is as long as tests wait.
	c.remove(kept)
	evicted := c.pod(elsewhere, boundTo(node))
	c.eventually("the eviction of the pod that came last", func(ctx context.Context) (bool, error) {
		list, err := c.api.CoreV1().Pods(elsewhere).List(ctx, metav1.ListOptions{})
		return err == nil && !slices.ContainsFunc(list.Items, func(p corev1.Pod) bool {
			return p.UID == evicted.UID && p.DeletionTimestamp == nil
		}), err
	})
	if c.get(resident).DeletionTimestamp != nil || c.get(agent).DeletionTimestamp != nil {
		t.Error("another pod was evicted too")
	}
	c.over(token, "ForeignResident")
}

// budget allows no disruption of an app. No controller runs here that would compute its status.
func (c *fixture) budget(namespace, app string) error {
	none := intstr.FromInt32(0)
	b, err := c.api.PolicyV1().PodDisruptionBudgets(namespace).Create(c.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &none, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	b.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: b.Generation, CurrentHealthy: 1, DesiredHealthy: 1, ExpectedPods: 1}
	_, err = c.api.PolicyV1().PodDisruptionBudgets(namespace).UpdateStatus(c.Context(), b, metav1.UpdateOptions{})
	return err
}
