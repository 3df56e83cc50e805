package cli_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/goldentest"
)

type golden struct {
	input string
	args  []string
}

// The output for people.
func TestGolden(t *testing.T) {
	unmanaged := list(node("n1"), node("n2"), namespace("shop", tenant("acme"), "tenantisolation.dev/data-class: confidential"),
		namespace("locked", tenant("acme"), "tenantisolation.dev/boundary: vm"), namespace("wiki"), kata,
		pod("shop", "web-0", "n1"), pod("wiki", "page", "n1"), pod("wiki", "page-2", "n2"),
		pod("locked", "host", "n2", inVM, "hostNetwork: true"), pod("shop", "stranger", "n9"))
	privileged := list(node("n1"), node("n2"), namespace("shop", tenant("acme")), kata,
		pod("shop", "web-0", "n1"), pod("shop", "web-1", "n1"),
		pod("shop", "debug", "", "hostPID: true", "volumes:", "- name: root", "  hostPath:", "    path: /"))
	several := list(node("n1"), node("n2"), node("n3"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")), kata,
		pod("shop", "web-0", "n1"), pod("shop", "web-1", "n2"), pod("shop", "tool", "n2", "hostPID: true"),
		pod("api", "server-0", "n1"), pod("api", "server-1", "n1"), pod("api", "server-2", "n3"))
	vms := list(node("n1"), node("n2"), node("n3"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")), kata,
		pod("api", "vm-0", "n1", inVM), pod("api", "vm-1", "n2", inVM), pod("api", "plain", "n3"), pod("shop", "new", ""))
	tests := map[string]golden{
		"audit":                {shared(), []string{"audit"}},
		"audit-clean":          {separate(), []string{"audit"}},
		"audit-wide":           {unmanaged, []string{"audit", "-o", "wide"}},
		"explain-running":      {shared(), []string{"explain", "web-0", "-n", "shop"}},
		"explain-privileged":   {privileged, []string{"explain", "debug", "-n", "shop"}},
		"explain-voided":       {unmanaged, []string{"explain", "pod/host", "-n", "locked"}},
		"explain-unmanaged":    {unmanaged, []string{"explain", "page", "-n", "wiki"}},
		"explain-fits-in-a-vm": {vms, []string{"explain", "new", "-n", "shop"}},
		"explain-own-node": {
			list(node("n1"), node("n2"), namespace("shop", tenant("acme")), pod("shop", "tool", "n1", "hostPID: true"), pod("shop", "web", "n2")),
			[]string{"explain", "tool", "-n", "shop"},
		},
		"explain-dedicated": {
			list(dedicatedNode("n1", "globex"), dedicatedNode("n2", "acme"), node("n3"), namespace("shop", tenant("acme")), pod("shop", "web", "")),
			[]string{"explain", "web", "-n", "shop", "--policy", "testdata/dedication.yaml"},
		},
		"explain-json":          {vms, []string{"explain", "new", "-n", "shop", "-o", "json"}},
		"plan":                  {several, []string{"plan"}},
		"plan-json":             {several, []string{"plan", "-o", "json"}},
		"plan-every-namespace":  {several, []string{"plan", "--tenant-key=namespace"}},
		"explain-not-there":     {shared(), []string{"explain", "web-9", "-n", "shop"}},
		"explain-elsewhere":     {shared(), []string{"explain", "server", "-n", "shop"}},
		"explain-without-nodes": {list(namespace("shop", tenant("acme")), pod("shop", "web", "")), []string{"explain", "web"}},
	}
	// A node for containers, and a larger one that can start VMs.
	mixed := list(policyInForce(3, dedicating), node("n1"), strings.Replace(forVMs("n2"), `"4"`, `"16"`, 1), kata,
		namespace("shop", tenant("acme")), large(pod("shop", "web-0", "")), large(pod("shop", "web-1", "")))
	tests["explain-kept-for-vms"] = golden{mixed, []string{"explain", "web-0", "-n", "shop"}}
	tests["plan-kept-for-vms"] = golden{mixed, []string{"plan"}}
	const newPolicy = "testdata/new-policy.yaml"
	tests["plan-policy"] = golden{underPolicy(policyInForce(3, dedicating)), []string{"plan", "--policy", newPolicy}}
	tests["plan-policy-json"] = golden{underPolicy(policyInForce(3, dedicating)), []string{"plan", "--policy", newPolicy, "-o", "json"}}
	tests["plan-policy-same"] = golden{underPolicy(policyInForce(3, dedicating)), []string{"plan", "--policy", "testdata/dedication.yaml"}}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.input, append(tc.args, "-f", "-")...)
			text := regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(got.errOut+got.out, "0x")
			goldentest.Check(t, filepath.Join("testdata", name+".txt"), text)
		})
	}
}
