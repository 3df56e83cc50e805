package integration

import (
	"maps"
	"testing"
	"time"
)

// Two profiles of one scheduler have a plugin each and share the nodes. One of them could be the
// cluster's default scheduler.
func TestProfilesKeepTheirPodsApart(t *testing.T) {
	const second = "second-profile"
	c := newFixtureRunning(t, func(t *testing.T, config map[string]any) {
		t.Helper()
		twin := maps.Clone(theProfile(t, config))
		twin["schedulerName"] = second
		profiles, _ := config["profiles"].([]any)
		config["profiles"] = append(profiles, twin)
	})
	node := c.node()
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"))
	resident := c.pod(acme)
	c.expectOn(node, resident, c.pod(acme, scheduledBy(second)))
	c.remove(resident)
	resident = c.pod(acme, scheduledBy(second))
	c.expectOn(node, resident)
	refused := c.pod(globex)
	c.refused(refused, foreignThere)
	c.refused(c.pod(globex, scheduledBy(second)), foreignThere)

	before := c.mark(refused)
	since := time.Now()
	c.relabel(acme, tenant("globex"))
	c.woken(before, since)
}
