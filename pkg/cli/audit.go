package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/audit/clusterreport"
	"tenantisolation.dev/scheduler/pkg/cli/compare"
	"tenantisolation.dev/scheduler/pkg/cli/report"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

type auditOptions struct {
	*options
	output string
}

func newAuditCommand(o *options) *cobra.Command {
	a := &auditOptions{options: o}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Find every pair of pods that shares a kernel against the rule",
		Long: paragraphs(
			`Looks at every pod on a node, whichever scheduler placed it, and lists what breaks the rule: by node and reason,
worst first. Pods of the platform (kube-system and what the policy lists) may share a node with any pod.`,
			`Nothing has to be installed. If another label names the tenants of your cluster, give it with --tenant-key;
--tenant-key=namespace makes every namespace a tenant of its own.`,
			`Nothing that was found is no answer if not everything could be judged: the output then says "not judged" and
why, such as a policy that is not in force or admission policies that are not enforced.`,
			`Exit status: 0 if everything was judged and nothing found, 1 if something was found, 2 if the input or the
request is invalid, or nothing was found and not everything was judged.`,
		),
		Example: examples(
			"# The cluster of the current context",
			"kubectl isolation audit",
			"",
			"# A cluster whose tenants are Rancher projects",
			"kubectl isolation audit --tenant-key=field.cattle.io/projectId",
			"",
			"# A cluster that you cannot reach",
			"kubectl get nodes,ns,pods,runtimeclasses,pvc,pv,sc -A -o json > cluster.json",
			"kubectl isolation audit -f cluster.json",
			"",
			"# For tools that read SARIF",
			"kubectl isolation audit -o sarif > isolation.sarif",
			"",
			"# As a ClusterPolicyReport or a ClusterReport of OpenReports, not for tenants",
			"kubectl isolation audit -o policyreport > isolation.yaml",
		),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.run(cmd) },
	}
	o.addInputFlags(cmd)
	outputFlag(cmd, &a.output, "json", "yaml", "wide", "sarif", "policyreport", "openreports")
	return cmd
}

// outputFlag adds -o with its completion.
func outputFlag(cmd *cobra.Command, value *string, formats ...string) {
	cmd.Flags().StringVarP(value, "output", "o", "", "Output format: "+joinOr(formats)+"; the default is a table for people")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

func joinOr(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (a *auditOptions) run(cmd *cobra.Command) error {
	if err := oneOf(a.output, "", "json", "yaml", "wide", "sarif", "policyreport", "openreports"); err != nil {
		return err
	}
	if err := a.wholeCluster(cmd); err != nil {
		return err
	}
	c, err := a.load(cmd.Context())
	if err != nil {
		return err
	}
	if c.client == nil && c.RunningPods() == 0 && len(c.Nodes) == 0 {
		return fmt.Errorf("%s: no pod in it is bound to a node, so there is nothing to audit: explain and plan take manifests", c.Source)
	}
	found := c.engine.Report()
	j := c.judgement(c.unjudgedTenants(), c.unjudgedPods(), c.unjudgedControls(cmd.Context(), a.options))
	c.Warnings = append(c.Warnings, c.misleadingLabels()...)
	a.warn(c)
	if err := a.print(c, found, &j); err != nil {
		return err
	}
	return j.status(len(found.Findings) > 0)
}

// misleadingLabels names the nodes whose labels do not fit their pods. It is no finding: the rule does not need them.
func (c *judgedCluster) misleadingLabels() []string {
	if c.policy.Dedication.Mode != v1alpha1.ModeEnabled {
		return nil
	}
	var names []string
	for _, node := range c.Nodes {
		dedication, _ := c.store.DedicationOf(node)
		occupancy := c.store.Occupancy(node.Name)
		if c.rules.NodeLabelsMislead(node.Labels, dedication, &occupancy) {
			names = append(names, node.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: the labels %s* do not fit the pods there, and autoscalers, other schedulers and restarted kubelets go by them. "+
		"The scheduler corrects them, unless a pod there requires them: recreate the pods that explain calls outdated", fewOf(names), isolation.NodeLabelPrefix)}
}

func (a *auditOptions) print(c *judgedCluster, found audit.Report, j *judgement) error {
	switch a.output {
	case "json", "yaml":
		return a.printObject(a.output, newAuditResult(c, found, j))
	case "sarif":
		return printSARIF(a.Out, c, found, j)
	case "policyreport", "openreports":
		object, err := policyReport(found, j, a.output)
		if err != nil {
			return err
		}
		return a.printObject("yaml", object)
	}
	return printFindings(a.Out, c, found, j, a.output == "wide")
}

// policyReport returns the findings as an object of one of two kinds of the API.
func policyReport(found audit.Report, j *judgement, kind string) (map[string]any, error) {
	made := clusterreport.Make(&clusterreport.Input{Found: found, NotJudged: j.NotJudged, Policy: j.Policy, Generation: j.PolicyGeneration})
	if kind == "policyreport" {
		return clusterreport.PolicyReport(made)
	}
	return clusterreport.Object(made)
}

func (o *options) printObject(format string, object any) error {
	text, err := json.MarshalIndent(object, "", "  ")
	if err == nil && format == "yaml" {
		text, err = yaml.JSONToYAML(bytes.Map(allowedInYAML, text))
	}
	if err != nil {
		return err
	}
	if format == "json" {
		text = append(text, '\n')
	}
	_, err = o.Out.Write(text)
	return err
}

// allowedInYAML replaces the control characters that JSON leaves as they are, and YAML refuses.
func allowedInYAML(r rune) rune {
	if commands(r) {
		return unicode.ReplacementChar
	}
	return r
}

func compactJSON(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

// auditResult is the output for programs. Its fields are a contract.
type auditResult struct {
	judgement
	Summary  auditSummary   `json:"summary"`
	Findings []auditFinding `json:"findings"`
}

type auditSummary struct {
	Nodes         int `json:"nodes"`
	Pods          int `json:"pods"`
	PairsChecked  int `json:"pairsChecked"`
	PairsBreaking int `json:"pairsBreaking"`
}

type auditFinding struct {
	// Node is empty where the pods share a volume and no node.
	Node   string       `json:"node"`
	Reason audit.Reason `json:"reason"`
	// Volume is what the pods share, if it is not a kernel.
	Volume string `json:"volume,omitempty"`
	// Pods are "namespace/name", in order.
	Pods []string `json:"pods"`
	// Sides are the same pods by trust domain and boundary, and Conflicts the sides that may not share, by index;
	// none if each pod breaks the rule by itself.
	Sides     []report.Side `json:"sides"`
	Conflicts [][2]int      `json:"conflicts,omitempty"`
	// Restart are the pods whose RuntimeClass was made again after they had been started.
	Restart []string `json:"restart,omitempty"`
}

func newAuditResult(c *judgedCluster, found audit.Report, j *judgement) auditResult {
	result := auditResult{
		judgement: *j,
		Summary: auditSummary{
			Nodes: found.Nodes, Pods: found.Pods,
			PairsChecked: found.PairsChecked, PairsBreaking: found.PairsBreaking,
		},
		Findings: make([]auditFinding, 0, len(found.Findings)),
	}
	for i := range found.Findings {
		f := &found.Findings[i]
		result.Findings = append(result.Findings, auditFinding{
			Node: f.Node, Reason: f.Reason, Volume: f.Volume, Pods: compare.PodsOf(f), Sides: sidesOf(f), Conflicts: conflictsOf(f),
			Restart: slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Values(c.recreatedIn(f)))...))),
		})
	}
	return result
}
