package cli_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli"
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
		"a misspelled command of report":    {[]string{"report", "verfy"}, "did you mean verify?"},
		"help with what there is not":       {[]string{"help", "adit"}, "did you mean audit?"},
		"help with a part of a report":      {[]string{"help", "report", "verfy"}, "did you mean verify?"},
		"files, for the preflight":          {[]string{"preflight", "-f", "x.yaml"}, "preflight needs an API server"},
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

// An answer that could not be written is no success.
func TestFullDisk(t *testing.T) {
	for _, format := range []string{"", "json", "sarif"} {
		command := cli.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(separate()), Out: full{}, ErrOut: io.Discard})
		command.SetArgs([]string{"audit", "-f", "-", "-o", format})
		if err := command.ExecuteContext(t.Context()); cli.ExitStatus(err) != cli.ExitBadInput || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v, want the error of the disk", format, err)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What people read fits a narrow terminal, as far as its words do.
func TestColumns(t *testing.T) {
	long := strings.Repeat("ip-10-0-1-23.eu-central-1.compute.", 2) + "internal"
	for _, args := range [][]string{{"--help"}, {"audit", "--help"}, {"explain", "--help"}, {"plan", "--help"}, {"preflight", "--help"}, {"report", "--help"}, {"report", "verify", "--help"}, {"chart", "--help"}, {"audit", "-f", "-"}, {"explain", "web-0", "-n", "shop", "-f", "-"}, {"plan", "-f", "-"}} {
		got := run(t, strings.ReplaceAll(shared(), "n1", long), args...)
		for line := range strings.Lines(got.out + got.errOut) {
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) > 80 && len(strings.Fields(strings.TrimPrefix(line, "Trust domain:"))) > 1 && !strings.HasPrefix(line, "  kubectl") {
				t.Errorf("%s: %d columns: %s", args, utf8.RuneCountInString(line), line)
			}
		}
	}
}
