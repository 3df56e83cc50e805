package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// Without findings and without having judged everything, no output says that nothing breaks the rule.
func TestNotJudged(t *testing.T) {
	placed := []string{node("n1"), namespace("shop", tenant("acme")), pod("shop", "web", "n1")}
	with := func(objects ...string) string { return list(append(objects, placed...)...) }
	// claiming is a PVC that a pod of shop mounts, bound to a volume that is missing.
	claiming := with("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n  namespace: shop\nspec:\n  volumeName: pv1",
		pod("shop", "db", "n1", "volumes:", "- name: data", "  persistentVolumeClaim:", "    claimName: data"))
	ofCluster := strings.Replace(policyInForce(4, nil), "metadata:", "metadata:\n  uid: abc", 1)
	notEnforced := strings.Replace(policyInForce(4, nil), `status: "True"`, `status: "False"`, 1)
	tests := map[string]struct {
		input string
		args  []string
		says  string
	}{
		"no namespace has a tenant":            {input: list(node("n1"), namespace("shop"), pod("shop", "web", "n1")), says: "no namespace has the label"},
		"a label that no namespace has":        {input: with(), args: []string{"--tenant-key=example.com/team"}, says: "no namespace has the label"},
		"no pod is on a node":                  {input: list(node("n1"), namespace("shop", tenant("acme")), pod("shop", "web", "")), says: "no pod of a tenant is on a node"},
		"only pods of others on nodes":         {input: list(node("n1"), namespace("shop", tenant("acme")), namespace("wiki"), pod("wiki", "page", "n1")), says: "no pod of a tenant is on a node"},
		"policies that are not enforced":       {input: with(notEnforced), says: "the admission policies are not enforced"},
		"another policy than the in force":     {input: with(policyInForce(4, func(s *v1alpha1.IsolationPolicySpec) { s.SeparateBy = s.SeparateBy[:1] })), args: []string{"--policy", "testdata/dedication.yaml"}, says: "generation 4 of the IsolationPolicy, which is in force"},
		"a policy that no scheduler accepted":  {input: with(ofCluster[:strings.Index(ofCluster, "\nstatus:")]), says: "no scheduler has accepted it"},
		"two policies":                         {input: with(policyInForce(4, nil), policyInForce(4, dedicating)), says: "IsolationPolicy default: in the input more than once and different"},
		"two namespaces of one name":           {input: with(namespace("shop", tenant("globex"))), says: "Namespace shop: in the input more than once and different"},
		"two RuntimeClasses of one name":       {input: with(kata, strings.Replace(kata, "handler: kata-qemu", "handler: runc", 1)), says: "RuntimeClass kata-qemu: in the input more than once"},
		"a kind in other letters":              {input: with("apiVersion: v1\nkind: pod\nmetadata:\n  name: x\nspec:\n  nodeName: n1"), says: "there is no kind pod of v1"},
		"a pod of a version that there is not": {input: with("apiVersion: v1beta1\nkind: Pod\nmetadata:\n  name: x"), says: "there is no kind Pod of v1beta1"},
		"a policy of another version":          {input: with("apiVersion: tenantisolation.dev/v1\nkind: IsolationPolicy\nmetadata:\n  name: default"), says: "there is no kind IsolationPolicy"},
		"an answer of an API server":           {input: with("apiVersion: v1\nkind: Status\nstatus: Failure\nmessage: pods is forbidden"), says: "pods is forbidden"},
		"a pod without a kind, of odd fields":  {input: with("metadata:\n  name: x\nspec:\n  serviceName: [a]\n  containers: []"), says: "may have pods"},
		"a volume whose storage is unknown":    {input: claiming, says: "or whose PersistentVolumes are"},
		"a volume that is not in the input": {
			input: list(node("n1"), namespace("shop", tenant("acme")), pod("shop", "web", "n1", "volumes:", "- name: data", "  persistentVolumeClaim:", "    claimName: data")),
			says:  "mount PVCs that are missing in the input",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			text := run(t, tc.input, append([]string{"audit", "-f", "-"}, tc.args...)...)
			if text.status != 2 || !strings.Contains(text.out, "Not judged: ") || !strings.Contains(unfolded(text.out), tc.says) || strings.Contains(text.out, "Nothing breaks") {
				t.Errorf("text: status %d, want 2 and %q:\n%s%s", text.status, tc.says, text.out, text.errOut)
			}
			var result struct {
				Judged    bool
				NotJudged []string
			}
			asJSON := run(t, tc.input, append([]string{"audit", "-f", "-", "-o", "json"}, tc.args...)...)
			if err := json.Unmarshal([]byte(asJSON.out), &result); err != nil {
				t.Fatalf("%v: %s%s", err, asJSON.out, asJSON.errOut)
			}
			if asJSON.status != 2 || result.Judged || len(result.NotJudged) == 0 {
				t.Errorf("JSON: status %d, want 2 and not judged:\n%s", asJSON.status, asJSON.out)
			}
			sarif := run(t, tc.input, append([]string{"audit", "-f", "-", "-o", "sarif"}, tc.args...)...)
			if sarif.status != 2 || !strings.Contains(sarif.out, `"executionSuccessful": false`) {
				t.Errorf("SARIF: status %d, want 2 and an invocation that was not successful:\n%s", sarif.status, sarif.out)
			}
			page := run(t, tc.input, append([]string{"report", "--html", "-f", "-"}, tc.args...)...)
			if page.status != 2 || !strings.Contains(page.out, "<title>Tenant isolation: not judged</title>") || strings.Contains(page.out, "verdict good\"") {
				t.Errorf("page: status %d, want 2 and no green verdict:\n%.1500s%s", page.status, page.out, page.errOut)
			}
		})
	}
}

// A finding is true whatever else was not judged.
func TestFindingsGoBeforeWhatWasNotJudged(t *testing.T) {
	input := shared() + "---\n" + strings.Replace(policyInForce(4, nil), `status: "True"`, `status: "False"`, 1)
	if got := run(t, input, "audit", "-f", "-"); got.status != 1 || !strings.Contains(got.out, "Not judged: ") || !strings.Contains(got.out, "generation 4 in force") {
		t.Errorf("status %d, want 1, and what was not judged:\n%s%s", got.status, got.out, got.errOut)
	}
}

func TestPlanPolicyExitStatus(t *testing.T) {
	same := list(policyInForce(2, nil), node("n1"), namespace("shop", tenant("acme")), pod("shop", "web", "n1"))
	sharedNode := strings.Replace(node("n1"), "\nstatus:", "\nspec:\n  taints:\n  - effect: NoSchedule\n    key: tenantisolation.dev/boundary\n    value: vm\nstatus:", 1)
	tests := map[string]struct {
		input  string
		policy string
		want   int
		says   string
	}{
		"nothing would change":                      {same, "{}", 0, "Nothing would change"},
		"a platform namespace that does not exist":  {same, "{platformNamespaces: {names: [kube-system, tenant-isolation-system, none]}}", 0, "platformNamespaces.names"},
		"a field that takes effect only later":      {same, "{enforcement: Audit}", 1, "enforcement: Audit, instead of Enforce"},
		"a policy that the API server would refuse": {same, "{separateBy: [data-class]}", 2, "spec.separateBy"},
		"a label that would make tenants": {
			list(policyInForce(2, nil), node("n1"), namespace("shop", tenant("acme")), namespace("wiki", "example.com/team: docs"), pod("shop", "web", "n1"), pod("wiki", "page", "n1")),
			"{tenantFrom: {namespaceLabel: example.com/team}}", 1, "docs: 1 pod, unmanaged -> tenant=docs",
		},
		"a node that would be of others": {
			list(policyInForce(2, dedicating), sharedNode, namespace("shop", tenant("acme")), kata, pod("shop", "vm", "n1", inVM)),
			"{dedication: {mode: Enabled}, boundaries: {handlers: {kata-qemu: container}}}", 1, "pods on it would not be of those to whom it is dedicated",
		},
		"no namespace has a tenant":                    {list(node("n1"), namespace("shop"), pod("shop", "web", "n1")), "{}", 2, "Not judged"},
		"files without pods on nodes are planned":      {list(namespace("shop", tenant("acme")), pod("shop", "web", "")), "{}", 0, "with the rule"},
		"pods beside which others may not be any more": {separate() + "---\n" + policyInForce(2, nil), "{boundaries: {handlers: {kata-qemu: container}}}", 1, "vm -> container, weaker"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, "new.yaml", "apiVersion: tenantisolation.dev/v1alpha1\nkind: IsolationPolicy\nmetadata: {name: default}\nspec: "+tc.policy+"\n")
			got := run(t, tc.input, "plan", "-f", "-", "--policy", path)
			if got.status != tc.want || !strings.Contains(unfolded(got.out+got.errOut), unfolded(tc.says)) {
				t.Errorf("status %d, want %d and %q:\n%s%s", got.status, tc.want, tc.says, got.out, got.errOut)
			}
		})
	}
}

// A folder has files that are not read, of which some may have pods.
func TestFolders(t *testing.T) {
	for name, file := range map[string]struct {
		path string
		want int
		says string
	}{
		"letters of another case": {"MORE.YAML", 1, "ForeignResident"},
		"lines of JSON":           {"more.jsonl", 1, "ForeignResident"},
		"an archive":              {"more.zip", 2, "more.zip"},
		"objects in an archive":   {"more.json.xz", 2, "more.json.xz"},
		"a log in an archive":     {"more.log.xz", 0, "Nothing breaks the rule"},
		"a text":                  {"more.txt", 0, "Nothing breaks the rule"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(filepath.Dir(writeFile(t, "all.yaml", separate())), file.path)
			if err := os.WriteFile(path, []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"more","namespace":"api"},"spec":{"nodeName":"n1","containers":[{"name":"a"}]}}`), 0o600); err != nil {
				t.Fatal(err)
			}
			got := run(t, "", "audit", "-f", filepath.Dir(path))
			if got.status != file.want || !strings.Contains(unfolded(got.out+got.errOut), file.says) {
				t.Errorf("status %d, want %d and %q:\n%s%s", got.status, file.want, file.says, got.out, got.errOut)
			}
		})
	}
	t.Run("links to folders", func(t *testing.T) {
		folder := filepath.Dir(writeFile(t, "all.yaml", separate()))
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(folder, link); err != nil {
			t.Fatal(err)
		}
		if got := run(t, "", "audit", "-f", link); got.status != 0 {
			t.Errorf("named: status %d:\n%s%s", got.status, got.out, got.errOut)
		}
		if err := os.Symlink(t.TempDir(), filepath.Join(folder, "more")); err != nil {
			t.Fatal(err)
		}
		if got := run(t, "", "audit", "-f", folder, "-R"); got.status != 2 || !strings.Contains(unfolded(got.out), "name links to folders") {
			t.Errorf("within a folder: status %d, want 2:\n%s%s", got.status, got.out, got.errOut)
		}
	})
}

// Of two objects of one name the answer is the same each time, however many goroutines decode them.
func TestTheLastOfTwoCounts(t *testing.T) {
	filler := "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: filler\ndata:\n  text: " + strings.Repeat("x", 300<<10)
	input := shared() + filler + "\n---\n" + namespace("api", tenant("acme")) + "\n"
	first := run(t, input, "audit", "-f", "-", "-o", "json")
	for range 20 {
		if again := run(t, input, "audit", "-f", "-", "-o", "json"); again != first {
			t.Fatalf("another answer:\n%+v\n%+v", first, again)
		}
	}
}

func TestAuditFindsWhatAPodsStatusHides(t *testing.T) {
	ended := strings.Replace(pod("api", "server", "n1"), "phase: Running", "phase: Succeeded\n  containerStatuses:\n  - name: app\n    state:\n      running: {}", 1)
	claim := func(name string, spec ...string) string {
		return strings.Replace(pod("shop", name, "n1", append(spec, inVM)...), "\nspec:", "\n  labels:\n    tenantisolation.dev/data-class: "+map[string]string{"a": "public", "b": "internal"}[name]+"\nspec:", 1)
	}
	for name, tc := range map[string]struct {
		input string
		want  string
	}{
		"a pod that is said to have ended": {list(node("n1"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")), pod("shop", "web", "n1"), ended), "ForeignResident"},
		"a ResourceClaim of a template": {
			list(node("n1"), kata, namespace("shop", tenant("acme")),
				claim("a", "resourceClaims:", "- name: gpu", "  resourceClaimTemplateName: gpu")+"\n  resourceClaimStatuses:\n  - name: gpu\n    resourceClaimName: a-gpu-xyz",
				claim("b", "resourceClaims:", "- name: gpu", "  resourceClaimName: a-gpu-xyz")),
			"SharedResourceClaim",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(t, tc.input, "audit", "-f", "-"); got.status != 1 || !strings.Contains(got.out, tc.want) {
				t.Errorf("status %d, want 1 and %s:\n%s%s", got.status, tc.want, got.out, got.errOut)
			}
		})
	}
}

// What stands for a colour within the tool is no character that an object can have.
func TestNoColourComesFromTheCluster(t *testing.T) {
	for r := rune(0xfdd0); r <= 0xfdef; r++ {
		path := fmt.Sprintf("hostPath: {path: \"/d\\u%04xx\"}", r)
		input := list(node("n1"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")),
			pod("shop", "a", "n1", "volumes:", "- name: d", "  "+path), pod("api", "b", "n1", "volumes:", "- name: d", "  "+path))
		for _, format := range []string{"json", "sarif", "wide"} {
			got := run(t, input, "audit", "-f", "-", "-o", format)
			if got.status != 1 || strings.Contains(got.out, "\x1b") || format != "wide" && !json.Valid([]byte(got.out)) {
				t.Fatalf("%q as %s: status %d\n%q", r, format, got.status, got.out)
			}
		}
	}
}

func TestPolicyOfSeveralDocuments(t *testing.T) {
	text := "apiVersion: tenantisolation.dev/v1alpha1\nkind: IsolationPolicy\nmetadata: {name: default}\nspec: {}\n"
	for name, tc := range map[string]struct {
		text string
		want int
	}{
		"one":                   {"# A comment.\n---\n" + text + "---\n", 0},
		"two":                   {text + "---\n" + text, 2},
		"another that is wrong": {text + "---\nbogus: 1\n", 2},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, separate(), "audit", "-f", "-", "--policy", writeFile(t, "policy.yaml", tc.text))
			if got.status != tc.want || tc.want == 2 && !strings.Contains(got.errOut, "2 documents") {
				t.Errorf("status %d, want %d:\n%s%s", got.status, tc.want, got.out, got.errOut)
			}
		})
	}
}

// What is in the input twice and the same, or as a manifest beside what the cluster has, is judged.
func TestTheSameTwice(t *testing.T) {
	stored := strings.Replace(namespace("shop", tenant("acme")), "\n  labels:", "\n  uid: abc\n  resourceVersion: \"7\"\n  labels:", 1)
	first := list(node("n1"), stored, pod("shop", "web", "n1"))
	raw := `{"apiVersion":"v1","kind":"NamespaceList","items":[{"metadata":{"name":"shop","uid":"abc","resourceVersion":"7","labels":{"tenantisolation.dev/tenant":"acme"}}}]}`
	for name, tc := range map[string]struct{ other, says string }{
		"a list without kinds":             {raw, ""},
		"a manifest":                       {namespace("shop", tenant("acme")), "as a manifest and as the cluster has it, which counts: Namespace shop"},
		"an error in the place of objects": {`["failed to list containers: forbidden"]`, "left out"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Dir(writeFile(t, "first.yaml", first))
			if err := os.WriteFile(filepath.Join(folder, "other.yaml"), []byte(tc.other), 0o600); err != nil {
				t.Fatal(err)
			}
			got := run(t, "", "audit", "-f", folder)
			if got.status != 0 || !strings.Contains(unfolded(got.errOut), tc.says) || tc.says == "" && got.errOut != "" {
				t.Errorf("status %d, want 0 and %q:\n%s%s", got.status, tc.says, got.out, got.errOut)
			}
		})
	}
}
