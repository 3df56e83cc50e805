package cli_test

import (
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// The labels of nodes are hints to autoscalers and other schedulers: audit and explain say where they are wrong.
func TestNodeLabels(t *testing.T) {
	own := isolation.NodeLabels{"acme", "unclassified", "baseline", "host"}
	withLabels := func(node string, labels isolation.NodeLabels) string {
		var lines []string
		for key, value := range labels.Map() {
			lines = append(lines, key+`: "`+value+`"`)
		}
		return strings.Replace(node, "\n  name: n1", "\n  name: n1\n  labels:\n    "+strings.Join(lines, "\n    "), 1)
	}
	// asking is a pod with the terms that admission writes for nodes of these labels, and a zone.
	asking := func(labels isolation.NodeLabels, more ...string) string {
		spec := []string{"affinity:", "  nodeAffinity:", "    requiredDuringSchedulingIgnoredDuringExecution:", "      nodeSelectorTerms:", "      - matchExpressions:", "        - {key: zone, operator: DoesNotExist}"}
		for _, key := range isolation.NodeLabelKeys() {
			spec = append(spec, "        - {key: "+key+", operator: DoesNotExist}")
		}
		spec = append(spec, "      - matchExpressions:", "        - {key: zone, operator: DoesNotExist}")
		for _, axis := range isolation.Axes() {
			spec = append(spec, "        - {key: "+isolation.NodeLabelKey(axis)+", operator: In, values: ["+labels[axis]+"]}")
		}
		return pod("shop", "web", "n1", append(spec, more...)...)
	}
	acme, web := namespace("shop", tenant("acme")), pod("shop", "web", "n1")
	elsewhere := list(node("n2"), pod("shop", "web", "n2"))
	inForce, off := policyInForce(3, dedicating), policyInForce(3, nil)
	const misleads, outdated = "do not fit the pods there", "outdated: its required node affinity is not for nodes labelled tenant=acme,data-class=unclassified,privilege=baseline,user-namespace=host"
	for name, tc := range map[string]struct {
		input string
		args  []string
		says  string
		// quiet: it is not said.
		quiet bool
	}{
		"labels of the trust domain":      {list(inForce, withLabels(dedicatedNode("n1", "acme"), own), acme, web), []string{"audit"}, misleads, true},
		"no labels":                       {list(inForce, dedicatedNode("n1", "acme"), acme, web), []string{"audit"}, misleads, true},
		"an empty node of an autoscaler":  {list(inForce, withLabels(node("n1"), own), acme, elsewhere), []string{"audit"}, misleads, true},
		"labels of another privilege":     {list(inForce, withLabels(dedicatedNode("n1", "acme"), isolation.NodeLabels{"acme", "unclassified", "restricted", "host"}), acme, web), []string{"audit"}, "n1: the labels", false},
		"labels of pods without a tenant": {list(inForce, withLabels(dedicatedNode("n1", "acme"), isolation.UnmanagedNodeLabels()), acme, web), []string{"audit"}, misleads, false},
		"labels that nobody writes":       {list(inForce, withLabels(node("n1"), isolation.NodeLabels{"1", "2", "3", "4"}), acme, elsewhere), []string{"audit"}, misleads, false},
		"dedication is off":               {list(off, withLabels(node("n1"), isolation.UnmanagedNodeLabels()), acme, web), []string{"audit"}, misleads, true},

		"a pod as admission makes it":          {list(inForce, node("n1"), acme, asking(own)), []string{"explain", "web", "-n", "shop"}, "outdated", true},
		"a pod that is older than admission":   {list(inForce, node("n1"), acme, web), []string{"explain", "web", "-n", "shop"}, "outdated", true},
		"a pod of another privilege then":      {list(inForce, node("n1"), acme, asking(isolation.NodeLabels{"acme", "unclassified", "restricted", "host"})), []string{"explain", "web", "-n", "shop"}, outdated, false},
		"a pod whose namespace was relabelled": {list(inForce, node("n1"), acme, asking(isolation.NodeLabels{"globex", "unclassified", "baseline", "host"})), []string{"explain", "web", "-n", "shop"}, outdated, false},
		"the same for programs":                {list(inForce, node("n1"), acme, asking(isolation.NodeLabels{"globex", "unclassified", "baseline", "host"})), []string{"explain", "web", "-n", "shop", "-o", "json"}, `"missedLabels": "tenant=acme,`, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.input, append(tc.args, "-f", "-")...)
			if said := strings.Contains(unfolded(got.out+got.errOut), unfolded(tc.says)); said == tc.quiet {
				t.Errorf("%q is said: %t\n%s%s", tc.says, said, got.out, got.errOut)
			}
			if tc.args[0] == "audit" && got.status != 0 {
				t.Errorf("status %d: labels are no finding\n%s%s", got.status, got.out, got.errOut)
			}
		})
	}
}
