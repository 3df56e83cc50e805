package cli_test

import (
	"strings"
	"testing"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"sigs.k8s.io/yaml"
)

func TestAuditPolicyReport(t *testing.T) {
	for format, kind := range map[string]string{"policyreport": "wgpolicyk8s.io/v1alpha2 ClusterPolicyReport", "openreports": "openreports.io/v1alpha1 ClusterReport"} {
		got := run(t, shared(), "audit", "-f", "-", "-o", format)
		var r openreports.ClusterReport
		if err := yaml.UnmarshalStrict([]byte(got.out), &r); err != nil {
			t.Fatalf("%s: %v: %s%s", format, err, got.out, got.errOut)
		}
		if is := r.APIVersion + " " + r.Kind; got.status != 1 || is != kind || r.Namespace != "" {
			t.Errorf("%s: status %d, %s in namespace %q", format, got.status, is, r.Namespace)
		}
		if r.Summary.Fail != 1 || r.Summary.Pass != 1 || r.Summary.Error != 0 || len(r.Results) != 1 {
			t.Fatalf("%s: %+v", format, r)
		}
		subjects := ""
		for _, s := range r.Results[0].Subjects {
			subjects += " " + s.Kind + " " + s.Namespace + "/" + s.Name
		}
		if want := " Node /n1 Pod shop/web-0 Pod api/server"; subjects != want || r.Results[0].Result != "fail" {
			t.Errorf("%s: the subjects are%s, want%s", format, subjects, want)
		}
		// What was not judged has not passed.
		got = run(t, list(node("n1"), namespace("shop"), pod("shop", "web", "n1")), "audit", "-f", "-", "-o", format)
		if got.status != 2 || !strings.Contains(got.out, "result: error") || !strings.Contains(got.out, "pass: 0") {
			t.Errorf("%s: status %d, want 2, an error and nothing that has passed:\n%s", format, got.status, got.out)
		}
	}
}

// However many pods a side has, the others are named too, and the report stays small.
func TestPolicyReportNamesEachSide(t *testing.T) {
	objects := []string{node("n1"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")), pod("api", "server", "n1")}
	for name := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyz", "") {
		objects = append(objects, pod("shop", "web-"+name, "n1"))
	}
	got := run(t, list(objects...), "audit", "-f", "-", "-o", "openreports")
	if !strings.Contains(got.out, "name: server") || strings.Count(got.out, "kind: Pod") > 10 {
		t.Errorf("the subjects:\n%s%s", got.out, got.errOut)
	}
}
