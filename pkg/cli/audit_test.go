package cli_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cli"
)

func TestAuditExitStatus(t *testing.T) {
	tests := map[string]struct {
		input string
		args  []string
		want  int
		// says is what has to be said, on either stream.
		says []string
	}{
		"nothing shares a kernel against the rule":            {input: separate(), want: 0, says: []string{"Nothing breaks the rule", "3 nodes, 4 pods, 1 pair"}},
		"two trust domains share a kernel":                    {input: shared(), want: 1, says: []string{"n1", "ForeignResident", "shop/web-0", "api/server", "1 finding"}},
		"an unknown flag":                                     {input: shared(), args: []string{"--nope"}, want: 2, says: []string{"--help"}},
		"an unknown output format":                            {input: shared(), args: []string{"-o", "xml"}, want: 2, says: []string{"json, yaml, wide, sarif, policyreport"}},
		"a tenant label that no API server takes":             {input: shared(), args: []string{"--tenant-key=a/b/c"}, want: 2, says: []string{"is not a valid label key"}},
		"no namespace has the tenant label":                   {input: shared(), args: []string{"--tenant-key=example.com/team"}, want: 2, says: []string{"Not judged: no namespace has the label", "--tenant-key"}},
		"every namespace is a tenant, but not the platform's": {input: separate(), args: []string{"--tenant-key=namespace"}, want: 0, says: []string{"Nothing breaks"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.input, append([]string{"audit", "-f", "-"}, tc.args...)...)
			if got.status != tc.want {
				t.Errorf("status %d, want %d\n%s%s", got.status, tc.want, got.out, got.errOut)
			}
			for _, text := range tc.says {
				if !strings.Contains(unfolded(got.out+got.errOut), unfolded(text)) {
					t.Errorf("%q is not said:\n%s%s", text, got.out, got.errOut)
				}
			}
		})
	}
}

func TestAuditJSON(t *testing.T) {
	const want = `{
  "judged": true,
  "notJudged": [],
  "source": "files -",
  "policy": "the defaults: no IsolationPolicy is there",
  "policyGeneration": 0,
  "summary": {
    "nodes": 2,
    "pods": 4,
    "pairsChecked": 1,
    "pairsBreaking": 1
  },
  "findings": [
    {
      "node": "n1",
      "reason": "ForeignResident",
      "pods": [
        "api/server",
        "shop/web-0"
      ],
      "sides": [
        {
          "trustDomain": "acme/unclassified/baseline",
          "pods": [
            "shop/web-0"
          ]
        },
        {
          "trustDomain": "globex/unclassified/baseline",
          "pods": [
            "api/server"
          ]
        }
      ],
      "conflicts": [
        [
          0,
          1
        ]
      ]
    }
  ]
}
`
	got := run(t, shared(), "audit", "-f", "-", "-o", "json")
	if diff := cmp.Diff(want, got.out); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	asYAML := run(t, shared(), "audit", "-f", "-", "-o", "yaml")
	fromYAML, err := yaml.YAMLToJSON([]byte(asYAML.out))
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal(fromYAML, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got.out), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("YAML says something else than JSON (-JSON +YAML):\n%s", diff)
	}
	clean := run(t, separate(), "audit", "-f", "-", "-o", "json")
	if !strings.Contains(clean.out, `"findings": []`) {
		t.Errorf("no findings are not an empty list:\n%s", clean.out)
	}
}

func TestAuditTenantKey(t *testing.T) {
	const key = "capsule.clastix.io/tenant"
	// Rancher and others label the platform as well.
	input := list(node("n1"), namespace("one", key+": oil"), namespace("two", key+": gas"), namespace("kube-system", key+": system"),
		pod("one", "a", "n1"), pod("two", "b", "n1"), pod("kube-system", "c", "n1"))
	got := run(t, input, "audit", "-f", "-", "-o", "json", "--tenant-key="+key)
	if got.status != 1 || !strings.Contains(got.out, `"pairsBreaking": 1`) || strings.Contains(got.out, "kube-system") {
		t.Errorf("status %d:\n%s%s", got.status, got.out, got.errOut)
	}
}

// A user who waits for YAML is pointed to JSON.
func TestAuditLargeYAML(t *testing.T) {
	padding := strings.Repeat("# "+strings.Repeat("x", 1000)+"\n", 9000)
	for name, tc := range map[string]struct {
		input string
		want  bool
	}{
		"small YAML": {input: separate(), want: false},
		"large YAML": {input: padding + "---\n" + separate(), want: true},
		"large JSON": {input: `{"apiVersion":"v1","kind":"List","items":[]` + strings.Repeat(" ", len(padding)) + "}", want: false},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.input, "audit", "-f", "-", "--tenant-key=namespace")
			if said := strings.Contains(got.errOut, "standard input is large, and YAML takes"); said != tc.want {
				t.Errorf("pointed to JSON: %v, want %v:\n%.500s", said, tc.want, got.errOut)
			}
		})
	}
}

func TestAuditSARIF(t *testing.T) {
	for name, input := range map[string]string{"with findings": shared(), "without": separate()} {
		t.Run(name, func(t *testing.T) {
			got := run(t, input, "audit", "-f", "-", "-o", "sarif")
			report, err := sarif.FromBytes([]byte(got.out))
			if err != nil {
				t.Fatal(err)
			}
			if err := report.Validate(); err != nil {
				t.Errorf("not valid: %v\n%s", err, got.out)
			}
		})
	}
}

// A location names a file only if there is one that it is in.
func TestSARIFLocations(t *testing.T) {
	one, other := writeFile(t, "a b.yaml", shared()), writeFile(t, "other.yaml", node("n9"))
	for want, args := range map[string][]string{
		(&url.URL{Path: one}).String(): {"-f", one},
		"cluster":                      {"-f", one, "-f", other},
	} {
		var report struct {
			Runs []struct {
				Results []struct {
					Locations []struct {
						PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
					}
				}
			}
		}
		got := run(t, "", append([]string{"audit", "-o", "sarif"}, args...)...)
		if err := json.Unmarshal([]byte(got.out), &report); err != nil {
			t.Fatalf("%v: %s%s", err, got.out, got.errOut)
		}
		if uri := report.Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI; uri != want {
			t.Errorf("%s: %s, want %s", args, uri, want)
		}
	}
}

func TestAdviceOnEveryReason(t *testing.T) {
	for _, reason := range audit.Reasons() {
		if means, fix := cli.AdviceOn(reason); means == "" || fix == "" {
			t.Errorf("%s has no meaning or no fix", reason)
		}
	}
}
