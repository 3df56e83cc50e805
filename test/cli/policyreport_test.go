package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// wgPolicy is the module that has the kinds of wgpolicyk8s.io, and the sum of its content. No code of it is needed,
// so no go.mod names it.
const (
	wgPolicy    = "sigs.k8s.io/wg-policy-prototypes@v0.0.0-20230505033312-51c21979086a"
	wgPolicySum = "h1:tbASfGvbUgbwsJuh9T0+IZ0hhUNOkryo9Vquv1vjw+o="
)

// reportKinds returns the files with the kinds of both groups, as their projects ship them.
func reportKinds(t *testing.T) []string {
	t.Helper()
	var module struct{ Dir, Sum, Error string }
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", wgPolicy).Output()
	if jsonErr := json.Unmarshal(out, &module); jsonErr != nil || err != nil || module.Error != "" {
		t.Skipf("%s cannot be had: %v, %v, %s", wgPolicy, err, jsonErr, module.Error)
	}
	if module.Sum != wgPolicySum {
		t.Fatalf("%s has the sum %s, want %s", wgPolicy, module.Sum, wgPolicySum)
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/openreports/reports-api")
	successor, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		filepath.Join(module.Dir, "policy-report", "crd", "v1alpha2", "wgpolicyk8s.io_clusterpolicyreports.yaml"),
		filepath.Join(strings.TrimSpace(string(successor)), "config", "crd"),
	}
}

// A real API server takes the reports, with every field: an unknown one is refused, and what is stored is what was
// sent. A cluster with a finding, and one that was not judged.
func TestReportsAreTakenByTheAPIServer(t *testing.T) {
	w := newEnvironment(t)
	for _, path := range reportKinds(t) {
		w.kubectl(t, "apply", "-f", path)
	}
	for format, version := range map[string]string{"policyreport": "clusterpolicyreports.v1alpha2.wgpolicyk8s.io", "openreports": "clusterreports.v1alpha1.openreports.io"} {
		resource, rest, _ := strings.Cut(version, ".")
		_, group, _ := strings.Cut(rest, ".")
		w.kubectl(t, "wait", "--for=condition=Established", "customresourcedefinition/"+resource+"."+group)
		for name, tenants := range map[string][2]string{"a finding": {"acme", "globex"}, "not judged": {}} {
			t.Run(format+" of "+name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "cluster.yaml")
				if err := os.WriteFile(path, []byte(twoPods(tenants)), 0o600); err != nil {
					t.Fatal(err)
				}
				got := w.run(t, filepath.Join(t.TempDir(), "none"), "audit", "-f", path, "-o", format)
				report := filepath.Join(t.TempDir(), "report.yaml")
				if err := os.WriteFile(report, []byte(got.out), 0o600); err != nil {
					t.Fatal(err)
				}
				w.kubectl(t, "create", "--validate=strict", "-f", report)
				stored, err := w.plane.Kubectl(t.Context(), "get", version, "tenant-isolation", "-o", "json")
				w.kubectl(t, "delete", version, "tenant-isolation")
				if err != nil {
					t.Fatal(err)
				}
				lacks(t, "", parsed(t, got.out), parsed(t, stored))
			})
		}
	}
}

// twoPods is a node with a pod of each of two namespaces.
func twoPods(tenants [2]string) string {
	text := "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"
	for i, name := range []string{"shop", "api"} {
		text += "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: " + name + "\n"
		if tenants[i] != "" {
			text += "  labels: {tenantisolation.dev/tenant: " + tenants[i] + "}\n"
		}
		text += "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: " + name + "}\nspec: {nodeName: n1, containers: [{name: c, image: example.com/c}]}\n"
	}
	return text
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	var object any
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// lacks reports the fields that were sent and are not stored.
func lacks(t *testing.T, path string, sent, stored any) {
	t.Helper()
	switch sent := sent.(type) {
	case map[string]any:
		got, _ := stored.(map[string]any)
		for key, value := range sent {
			if _, there := got[key]; !there {
				t.Errorf("%s.%s was not stored", path, key)
				continue
			}
			lacks(t, path+"."+key, value, got[key])
		}
	case []any:
		got, _ := stored.([]any)
		if len(got) != len(sent) {
			t.Errorf("%s: %d items are stored, want %d", path, len(got), len(sent))
			return
		}
		for i := range sent {
			lacks(t, path, sent[i], got[i])
		}
	default:
		if sent != stored {
			t.Errorf("%s: %v is stored, want %v", path, stored, sent)
		}
	}
}
