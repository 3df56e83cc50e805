package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/compare"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// policyChange is the output for programs. Its fields are a contract.
type policyChange struct {
	judgement
	// NewPolicy is the one that is compared with the policy of the judgement.
	NewPolicy string `json:"newPolicy"`
	*compare.Change
}

// loadToPlan reads the input. compares reports whether it has pods that run, so that --policy is compared
// with the policy that they are under; otherwise it is the policy of the plan.
func (p *planOptions) loadToPlan(ctx context.Context) (c *judgedCluster, compares bool, err error) {
	present := p.present()
	if !p.fromFiles() {
		c, err = present.load(ctx)
		return c, p.policyFile != "", err
	}
	namespace, err := p.namespace()
	if err != nil {
		return nil, false, err
	}
	files, err := p.readFiles(ctx, namespace)
	if err != nil {
		return nil, false, err
	}
	if p.asksCluster(files) {
		if c, err = p.beside(ctx, files); err == nil || ctx.Err() != nil {
			return c, false, err
		}
		files.Warnings = append(files.Warnings, "the cluster of the current context is not counted, nor what its admission would change: "+err.Error())
	}
	if p.policyFile == "" || files.RunningPods() == 0 {
		c, err = p.judgeFiles(files)
		return c, false, err
	}
	c, err = present.judgeFiles(files)
	return c, true, err
}

// asksCluster reports whether manifests are planned for the cluster of the current context: where there is one, and
// neither the files nor the flags say of another.
func (p *planOptions) asksCluster(files *inventory.Inventory) bool {
	return len(files.Nodes) == 0 && files.RunningPods() == 0 && p.tenantKey == "" && !p.sizeGiven() && p.hasContext()
}

// beside reads a cluster to place the pods of manifests on, with those of its DaemonSets and no others.
func (p *planOptions) beside(ctx context.Context, manifests *inventory.Inventory) (*judgedCluster, error) {
	live := *p.options
	live.files = nil
	c, err := live.loadWith(ctx, manifests)
	if err != nil {
		return nil, err
	}
	pods := slices.Clone(manifests.Pods)
	for _, pod := range c.Pods {
		if _, daemon := ownerOf(pod); daemon {
			pods = append(pods, pod)
		}
	}
	c.Pods, c.manifests = pods, true
	return c, nil
}

// present are the options without --policy.
func (p *planOptions) present() *options {
	present := *p.options
	present.policyFile = ""
	return &present
}

// comparePolicies says what would change with the policy of --policy in force.
func (p *planOptions) comparePolicies(c *judgedCluster, given *v1alpha1.IsolationPolicy) error {
	rules, err := podfacts.NewRules(&given.Spec)
	if err != nil {
		return fmt.Errorf("--policy %s: %w", p.policyFile, err)
	}
	relabelled, err := c.relabelled(p.tenantKey, &given.Spec)
	if err != nil {
		return err
	}
	result := policyChange{judgement: c.judgement(c.unjudgedTenants(), c.unjudgedPods(), c.unjudgedPolicy(p.present())), NewPolicy: "--policy " + p.policyFile}
	result.Change, err = compare.Make(&compare.Input{
		Before: c.policy, After: &given.Spec, Store: c.store, Engine: c.engine, Namespaces: relabelled,
		Pods: c.Pods, Nodes: c.Nodes, RuntimeClasses: c.RuntimeClasses,
	}, rules)
	if err != nil {
		return err
	}
	p.warn(c)
	if p.output != "" {
		err = p.printObject(p.output, result)
	} else {
		err = printPolicyChange(p.Out, &result)
	}
	if err != nil {
		return err
	}
	return result.status(result.Changes)
}

// relabelled returns the namespaces that get other labels by a policy, which may copy the tenant from
// another label.
func (c *judgedCluster) relabelled(tenantKey string, spec *v1alpha1.IsolationPolicySpec) ([]*v1.Namespace, error) {
	anew := &inventory.Inventory{Namespaces: slices.Clone(c.asRead), Pods: c.Pods}
	if err := useTenantKey(tenantKey, spec, anew); err != nil {
		return nil, err
	}
	return anew.Namespaces, nil
}

func printPolicyChange(out io.Writer, r *policyChange) error {
	paint := newColour(out)
	fmt.Fprintf(out, "With %s in force instead of %s:\n", paint.bold(r.NewPolicy), r.Policy)
	printFields(out, r.Fields)
	for _, part := range []struct {
		title    string
		findings []compare.Finding
	}{
		{paint.bad("Findings would begin"), r.FindingsBegin},
		{"Findings would have other pods", r.FindingsChange},
		{paint.good("Findings would end"), r.FindingsEnd},
	} {
		if err := printChangedFindings(out, part.title, part.findings); err != nil {
			return err
		}
	}
	if err := printClasses(out, paint, r.RuntimeClasses); err != nil {
		return err
	}
	printPods(out, paint.bad("Pods would be refused, were they created anew"), r.Refused)
	printPods(out, "Pods would no longer be refused", r.Admitted)
	printPods(out, "Pods would join or leave the platform", r.Platform)
	printPods(out, "Pods would have another trust domain", r.TrustDomains)
	printPods(out, "Pods would have another boundary", r.Boundaries)
	for _, g := range listed(out, "Tenants whose pods would be kept apart in other groups", len(r.KernelGroups), r.KernelGroups) {
		fmt.Fprintf(out, "  %s: %s instead of %d\n", g.Tenant, count(g.After, "group"), g.Before)
	}
	for _, n := range listed(out, "Dedicated nodes would have to be released", len(r.Released), r.Released) {
		fmt.Fprintf(out, "  %s (%s): %s\n", n.Node, n.DedicatedTo, n.Why)
	}
	for _, n := range listed(out, "Nodes would have other labels for autoscalers", len(r.NodeLabels), r.NodeLabels) {
		fmt.Fprintf(out, "  %s: %s\n", n.Node, n.Why)
	}
	fmt.Fprintln(out)
	return printVerdictOfChange(out, paint, r)
}

// printVerdictOfChange ends with the answer in one line.
func printVerdictOfChange(out io.Writer, paint colour, r *policyChange) error {
	printNotJudged(out, paint, &r.judgement)
	var err error
	switch {
	case r.Changes && len(r.FindingsBegin) > 0:
		_, err = fmt.Fprintf(out, "%s: %s.\n", paint.bad("It would change what runs"), count(len(r.FindingsBegin), "new finding"))
	case r.Changes:
		_, err = fmt.Fprintf(out, "%s, and nothing that runs would break the rule anew.\n", paint.warn("It would change something"))
	case r.Judged:
		_, err = fmt.Fprintf(out, "%s.\n", paint.good("Nothing would change for what the cluster has now"))
	}
	return err
}

func printFields(out io.Writer, fields []compare.Field) {
	if len(fields) == 0 {
		fmt.Fprintln(out, "  no field differs")
	}
	for _, f := range fields {
		fmt.Fprintf(out, "  %s: %s, instead of %s\n", f.Path, f.After, f.Before)
	}
}

// listed prints a title with a number, and returns the entries to print.
func listed[T any](out io.Writer, title string, number int, all []T) []T {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\n%s: %d\n", title, number)
	if len(all) <= maxListed {
		return all
	}
	fmt.Fprintf(out, "  (the first %d; -o json has all)\n", maxListed)
	return all[:maxListed]
}

func printChangedFindings(out io.Writer, title string, findings []compare.Finding) error {
	shown := listed(out, title, len(findings), findings)
	if len(shown) == 0 {
		return nil
	}
	table := printers.GetNewTabWriter(out)
	fmt.Fprintln(table, "  NODE\tREASON\tPAIRS\tPODS")
	for _, f := range shown {
		where := f.Node
		if f.Volume != "" {
			where = strings.TrimPrefix(f.Node+" "+f.Volume, " ")
		}
		pairs := "-"
		if f.PairsBefore != f.PairsAfter {
			pairs = fmt.Sprintf("%d -> %d", f.PairsBefore, f.PairsAfter)
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", where, f.Reason, pairs, fewOf(f.Pods))
	}
	return table.Flush()
}

func printClasses(out io.Writer, paint colour, classes []compare.RuntimeClass) error {
	shown := listed(out, "RuntimeClasses would be taken for another boundary", len(classes), classes)
	if len(shown) == 0 {
		return nil
	}
	table := printers.GetNewTabWriter(out)
	fmt.Fprintln(table, "  RUNTIMECLASS\tHANDLER\tBOUNDARY\tPODS")
	for _, c := range shown {
		after := c.After
		if c.Weaker {
			after = paint.bad(after + ", weaker")
		}
		fmt.Fprintf(table, "  %s\t%s\t%s -> %s\t%d\n", c.Name, c.Handler, c.Before, after, c.Pods)
	}
	return table.Flush()
}

func printPods(out io.Writer, title string, groups []compare.Pods) {
	pods := 0
	for _, g := range groups {
		pods += g.Pods
	}
	for _, g := range listed(out, title, pods, groups) {
		tenant := g.Tenant
		if tenant == "" {
			tenant = "no tenant"
		}
		fmt.Fprintf(out, "  %s: %s, %s", tenant, count(g.Pods, "pod"), arrow(g.Before, g.After))
		if g.Weaker {
			fmt.Fprint(out, ", weaker")
		}
		more := ""
		if rest := g.Pods - len(g.Examples); rest > 0 {
			more = fmt.Sprintf(" and %d more", rest)
		}
		fmt.Fprintf(out, ": %s%s\n", strings.Join(g.Examples, ", "), more)
	}
}

func arrow(before, after string) string {
	switch {
	case before == "":
		return after
	case after == "":
		return before
	}
	return before + " -> " + after
}
