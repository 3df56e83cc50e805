package policy

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/audit/clusterreport"
)

// installReports installs the kinds of OpenReports as their project ships them.
func (c *installation) installReports() {
	c.Helper()
	dir, err := exec.CommandContext(c.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/openreports/reports-api").Output()
	c.must(err)
	c.kubectl("apply", "-f", filepath.Join(strings.TrimSpace(string(dir)), "config", "crd"))
	c.kubectl("wait", "--for=condition=Established", "customresourcedefinition/clusterreports.openreports.io")
}

// report reads the report of the leader, nil without one.
func (c *installation) report() *openreports.ClusterReport {
	c.Helper()
	object, err := c.objects.Resource(clusterreport.Resource).Get(c.Context(), clusterreport.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	c.must(err)
	text, err := json.Marshal(object)
	c.must(err)
	report := &openreports.ClusterReport{}
	c.must(json.Unmarshal(text, report))
	return report
}

// The leader writes what it finds where it is switched on, and nothing stays when it is switched off.
func TestReportsOfTheAudit(t *testing.T) {
	c := install(t)
	c.installReports()
	if c.report() != nil {
		t.Error("there is a report, although it is off")
	}
	_, err := c.api.NodeV1().RuntimeClasses().Create(t.Context(), &nodev1.RuntimeClass{
		ObjectMeta: metav1.ObjectMeta{Name: "own"}, Handler: "own-vm",
	}, metav1.CreateOptions{})
	c.must(err)
	c.mustChange(map[string]any{"boundaries": map[string]any{"handlers": map[string]string{"own-vm": "vm"}}})
	c.inForce()
	node := c.node()
	for _, name := range []string{"acme", "globex"} {
		if got := c.placed(c.pod(c.namespace(tenant(name)), class("own")), patience); got != node {
			t.Fatalf("the VM of %s is on %s, want %s", name, got, node)
		}
	}

	c.mustChange(map[string]any{"audit": map[string]any{"reports": "OpenReports"}})
	c.within(patience, "a report without findings", func() (bool, string) {
		r := c.report()
		return r != nil && r.Summary.Fail == 0 && r.Summary.Error == 0 && r.Summary.Pass > 0, "no such report"
	})
	owners := c.report().OwnerReferences
	if len(owners) != 1 || owners[0].UID != c.policy().UID {
		t.Errorf("the report goes with %+v, want the IsolationPolicy", owners)
	}

	// Distrusted, the two VMs are containers on one kernel.
	c.mustChange(map[string]any{"boundaries": map[string]any{"handlers": map[string]string{"own-vm": "container"}}})
	c.within(patience, "the finding in the report", func() (bool, string) {
		r := c.report()
		if r == nil || r.Summary.Fail == 0 {
			return false, "no finding"
		}
		text, err := json.Marshal(r.Results)
		c.must(err)
		return strings.Contains(string(text), node), string(text)
	})

	c.mustChange(map[string]any{"audit": map[string]any{"reports": "None"}})
	c.within(patience, "no report", func() (bool, string) { return c.report() == nil, "it is there" })
}
