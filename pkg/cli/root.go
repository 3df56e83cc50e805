package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// name is the command that users type: the tool is a plugin of kubectl.
const name = "kubectl isolation"

// NewCommand returns the command with all of its subcommands.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams, kube: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:   "kubectl-isolation",
		Short: "Show which pods share a kernel against the rule, and what keeping it costs",
		Long: paragraphs(
			`Reads a cluster, or files with its objects, and applies the rule of the scheduler plugin TenantIsolation:`,
			`    Same trust domain: may share a kernel.
    Different trust domain: each brings its own kernel, or another machine.`,
			`audit, explain, plan and report need nothing installed in the cluster, and no command writes to it. A trust
domain is (tenant, data class, privilege, user namespace). The tenant is the value of a namespace label, chosen
by --tenant-key.`,
			`Exit status: 0 if nothing was found, 1 if something was, 2 if the input or the request is invalid.`,
		),
		Example: examples(
			"# Which pods share a kernel today, on a cluster with the tenants of Capsule",
			"kubectl isolation audit --tenant-key=capsule.clastix.io/tenant",
			"",
			"# The same, with every namespace a tenant of its own",
			"kubectl isolation audit --tenant-key=namespace",
			"",
			"# Why a pod is Pending",
			"kubectl isolation explain web-0 -n shop",
		),
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: name},
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       Version(),
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetVersionTemplate("{{.DisplayName}} {{.Version}}\n")
	o.kube.AddFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\nSee `%s --help`", err, cmd.CommandPath())
	})
	root.AddCommand(
		newAuditCommand(o),
		newExplainCommand(o),
		newPlanCommand(o),
		newPreflightCommand(o),
		newReportCommand(o),
		newVersionCommand(o),
	)
	return root
}

// paragraphs joins the parts of a long help text.
func paragraphs(parts ...string) string { return strings.Join(parts, "\n\n") }

// examples indents lines, as kubectl's help does.
func examples(lines ...string) string {
	for i, line := range lines {
		if line != "" {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "\n")
}
