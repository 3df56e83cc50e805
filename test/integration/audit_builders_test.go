package integration

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// smuggle binds a pod to a node past every scheduler, as any user with the right to bind can.
func (c *fixture) smuggle(pod *corev1.Pod, node string) {
	c.Helper()
	c.must(c.api.CoreV1().Pods(pod.Namespace).Bind(c.Context(), &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{}))
}

// started marks a pod as started, as a kubelet does.
func (c *fixture) started(pod *corev1.Pod) {
	c.Helper()
	patch := fmt.Sprintf(`{"status":{"phase":"Running","startTime":%q,"conditions":[{"type":"Ready","status":"True"}]}}`, time.Now().UTC().Format(time.RFC3339))
	_, err := c.api.CoreV1().Pods(pod.Namespace).Patch(c.Context(), pod.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	c.must(err)
}

// findings reads the gauge of a reason, 0 as long as the scheduler does not audit.
func (c *fixture) findings(token, reason string) int {
	c.Helper()
	for series, value := range c.metric(token, "tenant_isolation_audit_findings") {
		if strings.Contains(series, strconv.Quote(reason)) {
			return value
		}
	}
	return 0
}

// auditing waits until the scheduler of the test audits.
func (c *fixture) auditing(token string) {
	c.Helper()
	c.eventually("the first sweep", func(context.Context) (bool, error) {
		return len(c.metric(token, "tenant_isolation_audit_findings")) > 0, nil
	})
}

// administratorsRead returns the notes of the Events that are about the scheduler's
// Deployment and name one of the pods.
func (c *fixture) administratorsRead(reason string, pods ...*corev1.Pod) []eventsv1.Event {
	c.Helper()
	list, err := c.api.EventsV1().Events(systemNamespace).List(c.Context(), metav1.ListOptions{})
	c.must(err)
	return slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool {
		if e.Regarding.Kind != "Deployment" || e.Regarding.Name != schedulerName || e.Reason != reason {
			return true
		}
		return !slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return strings.Contains(e.Note, podKey(p)) })
	})
}

// reported waits until a violation is reported by metric and by Event, and logs how long that
// took since it came about. Because the machine may be busy, the promised 5 seconds are checked by
// the tests of package audit, with a clock of their own.
func (c *fixture) reported(token, reason string, since time.Time, pods ...*corev1.Pod) {
	c.Helper()
	c.eventually("a finding "+reason+" in the metric", func(context.Context) (bool, error) {
		return c.findings(token, reason) > 0, nil
	})
	byMetric := time.Since(since)
	c.eventually("an Event "+reason, func(context.Context) (bool, error) {
		return len(c.administratorsRead(reason, pods...)) > 0, nil
	})
	byEvent := time.Since(since)
	c.Logf("%s: by metric within %v, by Event within %v", reason, byMetric.Round(10*time.Millisecond), byEvent.Round(10*time.Millisecond))
	if events := c.administratorsRead(reason, pods...); len(events) != 1 {
		c.Errorf("%s: want one Event, got %d", reason, len(events))
	}
	for _, pod := range pods {
		events, err := c.api.EventsV1().Events(pod.Namespace).List(c.Context(), metav1.ListOptions{})
		c.must(err)
		for i := range events.Items {
			if events.Items[i].ReportingController == "tenantisolation.dev/audit" {
				c.Errorf("a tenant reads in its own namespace: %s", events.Items[i].Note)
			}
		}
	}
}

// over waits until a finding has ended and its end was reported.
func (c *fixture) over(token, reason string) {
	c.Helper()
	c.eventually("the end of the findings "+reason, func(context.Context) (bool, error) {
		return c.findings(token, reason) == 0, nil
	})
}

// mayEvict gives the scheduler the right that remediation needs, which the base lacks.
func (w *environment) mayEvict(ctx context.Context) error {
	return w.grant(ctx, "may-evict",
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/eviction"}, Verbs: []string{"create"}})
}
