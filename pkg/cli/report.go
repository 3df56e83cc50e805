package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"tenantisolation.dev/scheduler/pkg/cli/compare"
	"tenantisolation.dev/scheduler/pkg/cli/report"
)

type reportOptions struct {
	*options
	html   bool
	output string
	since  string
	now    func() time.Time
}

func newReportCommand(o *options) *cobra.Command {
	r := &reportOptions{options: o, now: now}
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write one self-contained page for an auditor",
		Long: paragraphs(
			`Writes a page with the policy, the nodes as tiles with their trust domains, the findings, the changes since
the last report, versions, and the evidence: which objects were judged, in which version. The page is one file,
needs no network, works with keyboard and screen reader, and has a light and a dark theme.`,
			`The page contains its data: keep it, and compare the next report with it by --since.`,
			`Exit status: 0 if everything was judged and nothing found, 1 if something was found, 2 if the input or the
request is invalid, or nothing was found and not everything was judged. The page is written in each case but
an invalid one.`,
		),
		Example: examples(
			"kubectl isolation report --html > isolation.html",
			"",
			"# With the changes since then",
			"kubectl isolation report --html --since=isolation.html > isolation-2.html",
		),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.wholeCluster(cmd); err != nil {
				return err
			}
			return r.run(cmd.Context())
		},
	}
	o.addInputFlags(cmd)
	cmd.Flags().BoolVar(&r.html, "html", false, "Write the page to standard output")
	cmd.Flags().StringVarP(&r.output, "output", "o", "", "Output format: json, for the data of the page alone")
	cmd.Flags().StringVar(&r.since, "since", "", "File with an earlier report, page or JSON, to compare with")
	return cmd
}

func (r *reportOptions) run(ctx context.Context) error {
	if err := oneOf(r.output, "", "json"); err != nil {
		return err
	}
	switch {
	case r.html == (r.output != ""):
		return errors.New("choose --html for the page, or -o json for its data")
	case r.html && isTerminal(r.Out):
		return fmt.Errorf("the page is not for a terminal: %s report --html > isolation.html", name)
	}
	var earlier *report.Data
	if r.since != "" {
		text, err := os.ReadFile(r.since)
		if err != nil {
			return fmt.Errorf("--since: %w", err)
		}
		if earlier, err = report.Earlier(text); err != nil {
			return fmt.Errorf("--since %s: %w", r.since, err)
		}
	}
	c, err := r.load(ctx)
	if err != nil {
		return err
	}
	r.warn(c)
	j := c.judgement(c.unjudgedTenants(), c.unjudgedPods(), c.unjudgedPolicy(r.options))
	data, err := c.report(r.now(), &j)
	if err != nil {
		return err
	}
	if earlier != nil {
		data.History = report.Compare(earlier, data)
	}
	if r.output == "json" {
		err = r.printObject("json", data)
	} else {
		err = data.WriteHTML(r.Out)
	}
	if err != nil {
		return err
	}
	return j.status(len(data.Findings) > 0)
}

// report gathers the data of the page.
func (c *judgedCluster) report(made time.Time, j *judgement) (*report.Data, error) {
	found := c.engine.Report()
	d := &report.Data{
		Format: 1, Made: made.UTC().Truncate(time.Second), Tool: "kubectl-isolation " + Version(), Server: c.Server, Source: c.Source,
		Summary: report.Summary{
			Nodes: found.Nodes, Pods: found.Pods, PairsChecked: found.PairsChecked, PairsBreaking: found.PairsBreaking,
		},
		Judged: j.Judged, NotJudged: j.NotJudged, PolicyGeneration: j.PolicyGeneration,
		Findings: []report.Finding{},
		Warnings: c.Warnings,
	}
	d.Warnings = append(d.Warnings, sentencesOfRecreated(c.recreated(found.Findings))...)
	var err error
	if d.Policy, err = c.settings(); err != nil {
		return nil, err
	}
	perNode := map[string]int{}
	involved := map[string]bool{}
	for i := range found.Findings {
		f := &found.Findings[i]
		a := adviceOn(f.Reason)
		pods := compare.PodsOf(f)
		for _, pod := range pods {
			involved[pod] = true
		}
		perNode[f.Node]++
		d.Findings = append(d.Findings, report.Finding{
			Node: f.Node, Reason: string(f.Reason), Volume: f.Volume, Means: a.means, Fix: a.fix, Pods: pods,
			Domains: strings.Split(trustDomains(f), " | "),
		})
	}
	c.nodes(d, perNode)
	c.evidence(d, involved)
	return d, nil
}

// nodes adds the nodes with their trust domains.
func (c *judgedCluster) nodes(d *report.Data, findings map[string]int) {
	index := map[string]int{}
	for _, object := range c.Nodes {
		occupancy := c.store.Occupancy(object.Name)
		n := report.Node{Name: object.Name, Findings: findings[object.Name], Others: occupancy.Len()}
		counted := map[int]bool{}
		for _, g := range occupancy.Groups() {
			name := g.Domain.String()
			at, known := index[name]
			if !known {
				at = len(d.Domains)
				index[name] = at
				d.Domains = append(d.Domains, report.Domain{Name: name, Short: shortDomain(g.Domain)})
			}
			d.Domains[at].Pods += g.Pods
			if !counted[at] {
				counted[at] = true
				d.Domains[at].Nodes++
			}
			n.Others -= g.Pods
			n.Groups = append(n.Groups, report.Group{Domain: at, Pods: g.Pods, Isolated: g.Isolated})
		}
		slices.SortFunc(n.Groups, func(a, b report.Group) int { return a.Domain - b.Domain })
		d.Nodes = append(d.Nodes, n)
	}
}

// evidence records which objects were judged; the pods that are involved in findings one
// by one.
func (c *judgedCluster) evidence(d *report.Data, involved map[string]bool) {
	var lines []string
	c.Objects(func(object runtime.Object) bool {
		if meta, ok := object.(metav1.Object); ok {
			kind := reflect.TypeOf(object).Elem().Name()
			lines = append(lines, fmt.Sprintf("%s %s/%s %s %s\n", kind, meta.GetNamespace(), meta.GetName(), meta.GetUID(), versionOf(object, meta)))
		}
		return true
	})
	slices.Sort(lines)
	sum := sha256.New()
	for _, line := range lines {
		sum.Write([]byte(line))
	}
	d.Evidence = report.Evidence{Lists: c.Versions, Digest: hex.EncodeToString(sum.Sum(nil)), Objects: len(lines)}
	for _, pod := range c.Pods {
		if name := pod.Namespace + "/" + pod.Name; involved[name] {
			d.Evidence.Pods = append(d.Evidence.Pods, report.Object{Name: name, UID: string(pod.UID), ResourceVersion: pod.ResourceVersion})
		}
	}
}

// versionOf is the resourceVersion of an object, or a digest of what was read of it.
func versionOf(object runtime.Object, meta metav1.Object) string {
	if version := meta.GetResourceVersion(); version != "" {
		return version
	}
	text, err := json.Marshal(object)
	utilruntime.Must(err)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// settings are the fields of the policy.
func (c *judgedCluster) settings() ([]report.Setting, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c.policy)
	if err != nil {
		return nil, err
	}
	settings := []report.Setting{{Name: "policy", Value: c.policyFrom}}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, err := compactJSON(fields[name])
		if err != nil {
			return nil, err
		}
		settings = append(settings, report.Setting{Name: name, Value: value})
	}
	return settings, nil
}
