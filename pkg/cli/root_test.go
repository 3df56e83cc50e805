package cli_test

import (
	"strings"
	"testing"
	"unicode"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

func TestSpelling(t *testing.T) {
	tests := map[string]struct {
		args []string
		says string
	}{
		"a misspelled command":              {[]string{"adit"}, "did you mean audit?"},
		"a command that is like none":       {[]string{"frobnicate"}, `unknown command "frobnicate"`},
		"a misspelled flag":                 {[]string{"audit", "--tenant-kye=a"}, "did you mean --tenant-key?"},
		"a flag that is like none":          {[]string{"audit", "--frobnicate"}, "See `kubectl isolation audit --help`"},
		"a namespace, for a whole cluster":  {[]string{"audit", "-n", "shop"}, "leave --namespace out"},
		"a namespace, for a report":         {[]string{"report", "--html", "-n", "shop"}, "leave --namespace out"},
		"a namespace, for a plan":           {[]string{"plan", "-n", "shop"}, "leave --namespace out"},
		"a namespace, for the preflight":    {[]string{"preflight", "-n", "shop"}, "leave --namespace out"},
		"a policy that is in a wrong place": {[]string{"plan", "--policy", "none.yaml"}, "none.yaml"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := run(t, "", tc.args...); got.status != 2 || !strings.Contains(got.errOut, tc.says) {
				t.Errorf("status %d, want 2 and %q:\n%s", got.status, tc.says, got.errOut)
			}
		})
	}
}

// Messages and names that come from a cluster command no terminal, in any output.
func TestControlCharactersOfTheCluster(t *testing.T) {
	policy := policyInForce(2, func(*v1alpha1.IsolationPolicySpec) {})
	policy = strings.Replace(policy, "message: every admission policy is as shipped",
		`message: "\e]0;title\a \u009b31m \u202e \u2028 \U000e0041 \r gone"`, 1)
	policy = strings.Replace(policy, `status: "True"`, `status: "False"`, 1)
	hostile := pod("shop", "debug", "", "hostPID: true", "volumes:", `- name: "root\e[2J"`, "  hostPath:", "    path: /")
	input := list(policy, node("n1"), namespace("shop", tenant("acme")), pod("shop", "web", "n1"), hostile)
	for _, args := range [][]string{
		{"audit"},
		{"audit", "-o", "wide"},
		{"audit", "-o", "json"},
		{"audit", "-o", "yaml"},
		{"audit", "-o", "sarif"},
		{"report", "--html"},
		{"report", "-o", "json"},
		{"explain", "debug", "-n", "shop"},
		{"explain", "debug", "-n", "shop", "-o", "json"},
		{"plan", "--policy", "testdata/new-policy.yaml"},
		{"plan", "--policy", "testdata/new-policy.yaml", "-o", "json"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			got := run(t, input, append(args, "-f", "-")...)
			if !strings.Contains(got.out, "gone") {
				t.Errorf("the message is not in the output:\n%.2000s%s", got.out, got.errOut)
			}
			for _, r := range got.out + got.errOut {
				if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
					t.Fatalf("%U in the output:\n%.2000q", r, got.out)
				}
			}
		})
	}
}
