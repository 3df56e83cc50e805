package cli

import (
	"context"

	"github.com/spf13/cobra"

	"tenantisolation.dev/scheduler/pkg/cli/plan"
)

type planOptions struct {
	*options
	output          string
	cpu, memory     string
	pods            int64
	vmClass         string
	vmCPU, vmMemory string
	// given reports whether a flag was.
	given func(flag string) bool
}

// sizeGiven reports whether the user has given the size of a node.
func (p *planOptions) sizeGiven() bool {
	return p.given("node-cpu") || p.given("node-memory") || p.given("node-pods")
}

func newPlanCommand(o *options) *cobra.Command {
	p := &planOptions{options: o}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Estimate what the rule costs, or what another policy would change",
		Long: paragraphs(
			`Packs the pods of the cluster anew, into nodes of the same sizes: without the rule, with it, and with VMs
where they save nodes. Lists the workloads that share a node against the rule today and would move, and those
that are in a trust domain of their own only because of their privilege, where a fix would save nodes.`,
			`It is an estimate: best fit by CPU and memory requests and the number of pods. Selectors, taints, spread and
disks are ignored. Pods of DaemonSets and of the platform are assumed on every node; a DaemonSet of a tenant keeps off
what the rule denies beside it, and one whose pods would be refused counts on no node.`,
			`Manifests are planned for the nodes of the cluster of the current context, whose API server is asked with a dry run
what it would make of one pod of each workload. Without a cluster, with --tenant-key and with --node-cpu they are
packed into nodes of --node-cpu and --node-memory, and the admission policies of this release are evaluated here.`,
			`With --policy, and a cluster or files with pods on nodes, it says instead what would change with that policy in
force in place of the one that is: findings that would begin and end, RuntimeClasses that would be taken for
another boundary, pods that would be refused or judged to be something else, and dedicated nodes that would
have to be released. For files without pods on nodes, --policy is the policy of the estimate.`,
			`Exit status: 0 if done, and with --policy if nothing would change; 1 if no pod would be placed, as each is
refused or left out, and with --policy if something would change; 2 if the
input or the request is invalid, or if it was not judged: no namespace has a tenant, or, with --policy, it is
unknown which policy is in force. A field that takes effect only later, such as enforcement, is a change.`,
		),
		Example: examples(
			"# The cluster of the current context, with the tenants of Capsule",
			"kubectl isolation plan --tenant-key=capsule.clastix.io/tenant",
			"",
			"# Manifests, on nodes of a given size",
			"kubectl isolation plan -f manifests/ -R --tenant-key=namespace --node-cpu=16 --node-memory=64Gi",
			"",
			"# What another policy would change, before it is applied",
			"kubectl isolation plan --policy new.yaml",
		),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.given = cmd.Flags().Changed
			if err := p.wholeCluster(cmd); err != nil {
				return err
			}
			return p.run(cmd.Context())
		},
	}
	o.addInputFlags(cmd)
	outputFlag(cmd, &p.output, "json", "yaml")
	flags := cmd.Flags()
	const usual = " of each node to be added; if not given, that of most nodes of the input, or else the default"
	flags.StringVar(&p.cpu, "node-cpu", "8", "CPU"+usual)
	flags.StringVar(&p.memory, "node-memory", "32Gi", "Memory"+usual)
	flags.Int64Var(&p.pods, "node-pods", 110, "Maximum pods"+usual)
	flags.StringVar(&p.vmClass, "vm-runtime-class", "", "RuntimeClass for pods in VMs; the default is the first one whose handler isolates")
	flags.StringVar(&p.vmCPU, "vm-cpu", "250m", "CPU overhead of a VM; if not given, that of the RuntimeClass, or else the default")
	flags.StringVar(&p.vmMemory, "vm-memory", "160Mi", "Memory overhead of a VM; if not given, that of the RuntimeClass, or else the default")
	return cmd
}

func (p *planOptions) run(ctx context.Context) error {
	if err := oneOf(p.output, "", "json", "yaml"); err != nil {
		return err
	}
	given, err := p.readPolicy()
	if err != nil {
		return err
	}
	c, compares, err := p.loadToPlan(ctx)
	if err != nil {
		return err
	}
	if compares {
		return p.comparePolicies(c, given)
	}
	in, refused, notes, err := p.input(ctx, c)
	if err != nil {
		return err
	}
	c.Warnings = append(c.Warnings, notes...)
	p.warn(c)
	made := planned{c.judgement(c.unjudgedTenants()), plan.Make(in)}
	if p.output != "" {
		err = p.printObject(p.output, made)
	} else {
		err = printPlan(p.Out, c, in, made.Plan)
		printNotJudged(p.Out, newColour(p.Out), &made.judgement)
	}
	if err != nil {
		return err
	}
	return made.status(nonePlaced(&in, made.Plan, refused))
}

// nonePlaced reports whether no pod would be placed, as each is refused, left out, or over the limit of its tenant.
func nonePlaced(in *plan.Input, made *plan.Plan, refused map[string]bool) bool {
	placed, leftOut := made.Pods, map[string]bool{}
	for _, u := range made.Unplaceable {
		placed -= u.Pods
		leftOut[u.Workload] = true
	}
	for _, l := range made.Limited {
		placed -= l.Pods
	}
	for i := range in.Pods {
		if pod := &in.Pods[i]; refused[pod.Workload] && !leftOut[pod.Workload] {
			placed -= pod.Copies
		}
	}
	return placed <= 0
}

// planned is the output for programs.
type planned struct {
	judgement
	*plan.Plan
}
