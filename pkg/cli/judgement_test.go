package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// Without findings and without having judged everything, no output says that nothing breaks the rule.
func TestNotJudged(t *testing.T) {
	placed := []string{node("n1"), namespace("shop", tenant("acme")), pod("shop", "web", "n1")}
	with := func(objects ...string) string { return list(append(objects, placed...)...) }
	notEnforced := strings.Replace(policyInForce(4, nil), `status: "True"`, `status: "False"`, 1)
	tests := map[string]struct {
		input string
		args  []string
		says  string
	}{
		"no namespace has a tenant":        {input: list(node("n1"), namespace("shop"), pod("shop", "web", "n1")), says: "no namespace has the label"},
		"a label that no namespace has":    {input: with(), args: []string{"--tenant-key=example.com/team"}, says: "no namespace has the label"},
		"no pod is on a node":              {input: list(node("n1"), namespace("shop", tenant("acme")), pod("shop", "web", "")), says: "no pod of a tenant is on a node"},
		"only pods of others on nodes":     {input: list(node("n1"), namespace("shop", tenant("acme")), namespace("wiki"), pod("wiki", "page", "n1")), says: "no pod of a tenant is on a node"},
		"policies that are not enforced":   {input: with(notEnforced), says: "the admission policies are not enforced"},
		"another policy than the in force": {input: with(policyInForce(4, func(s *v1alpha1.IsolationPolicySpec) { s.SeparateBy = s.SeparateBy[:1] })), args: []string{"--policy", "testdata/dedication.yaml"}, says: "generation 4 of the IsolationPolicy, which is in force"},
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
