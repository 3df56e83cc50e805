package integration

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func newObserving(t *testing.T) *fixture {
	t.Helper()
	return newFixtureWith(t, map[string]any{"enforcement": "Audit"})
}

// placements returns the scheduler's counts of placements by reason and enforcement, once there are
// that many of them.
func (c *fixture) placements(token string, want int) map[string]int {
	c.Helper()
	var got map[string]int
	c.eventually("the metric to count the placements", func(context.Context) (bool, error) {
		got = c.metric(token, "tenant_isolation_placements_total")
		sum := 0
		for value := range maps.Values(got) {
			sum += value
		}
		return sum >= want, nil
	})
	return got
}

func placementSeries(enforcement, reason string) string {
	return `tenant_isolation_placements_total{enforcement="` + enforcement + `",reason="` + reason + `"`
}

func TestEnforcementAuditKeepsTheRuleIfItCan(t *testing.T) {
	c := newObserving(t)
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"))
	c.node()
	c.node()
	// Each has a node of its own, although all would fit on one.
	onAcme := c.placed(c.pod(acme))
	onGlobex := c.placed(c.pod(globex))
	if onAcme == onGlobex {
		t.Errorf("two tenants are on %s, and another node is free", onAcme)
	}
	c.expectOn(onAcme, c.pod(acme), c.pod(acme))
	c.expectOn(onGlobex, c.pod(globex), c.pod(globex))
}

func TestEnforcementAuditReportsTheRest(t *testing.T) {
	c := newObserving(t)
	token := c.scraper()
	node := c.node()
	acme := c.pod(c.namespace(tenant("acme")))
	c.expectOn(node, acme)
	globex := c.pod(c.namespace(tenant("globex"), dataClass("internal")))
	c.expectOn(node, globex)
	stray := c.pod(c.namespace())
	c.expectOn(node, stray)
	weak := c.pod(c.namespace(tenant("acme"), boundary("vm")))
	c.expectOn(node, weak)

	want := map[string]int{
		placementSeries("Audit", "EmptyNode"):          1,
		placementSeries("Audit", "ForeignResident"):    1,
		placementSeries("Audit", "UnmanagedNamespace"): 1,
		placementSeries("Audit", "WeakBoundary"):       1,
	}
	if diff := cmp.Diff(want, c.placements(token, 4)); diff != "" {
		t.Errorf("placements (-want +got):\n%s", diff)
	}
	resolutions := c.metric(token, "tenant_isolation_resolutions_total")
	for _, outcome := range []string{"managed", "UnmanagedNamespace", "WeakBoundary"} {
		if resolutions[`tenant_isolation_resolutions_total{outcome="`+outcome+`"`] < 1 {
			t.Errorf("no resolution to %s in %v", outcome, resolutions)
		}
	}
	evidence := "tenant=globex,data-class=internal,privilege=baseline,user-namespace=host,boundary=container"
	if got := c.get(globex).Annotations[isolation.EvidenceAnnotation]; got != evidence {
		t.Errorf("evidence: got %s, want %s", got, evidence)
	}
	if got, ok := c.get(stray).Annotations[isolation.EvidenceAnnotation]; ok {
		t.Errorf("a pod without a trust domain has the evidence %q", got)
	}
	said := c.journal.reported()
	if diff := cmp.Diff([]string{podKey(globex), podKey(stray), podKey(weak)}, said); diff != "" {
		t.Errorf("pods that the log says would have been refused (-want +got):\n%s", diff)
	}
}

// reported returns the pods that, by the log, would have been refused.
func (j *journal) reported() []string {
	var pods []string
	j.read()
	for _, e := range j.entries {
		if e.message == "Placed a pod that would have been refused" {
			pods = append(pods, e.fields["pod"])
		}
	}
	return slices.Compact(pods)
}

func TestPlacementMetric(t *testing.T) {
	c := newFixtureWith(t, nil)
	token := c.scraper()
	node := c.node()
	acme := c.namespace(tenant("acme"))
	c.expectOn(node, c.pod(acme), c.pod(acme))
	c.refused(c.pod(c.namespace(tenant("globex"))), foreignThere)
	want := map[string]int{
		placementSeries("Enforce", "EmptyNode"):       1,
		placementSeries("Enforce", "SameTrustDomain"): 1,
	}
	if diff := cmp.Diff(want, c.placements(token, 2)); diff != "" {
		t.Errorf("placements (-want +got):\n%s", diff)
	}
}
