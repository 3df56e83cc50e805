package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// name is the command that users type: the tool is a plugin of kubectl.
const name = "kubectl isolation"

// NewCommand returns the command with all of its subcommands.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	out := &printable{out: streams.Out}
	streams.Out, streams.ErrOut = out, &printable{out: streams.ErrOut}
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
			`Exit status: 0 if everything was judged and nothing found, 1 if something was found, 2 if the input or the
request is invalid, or nothing was found and not everything was judged.`,
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
		Args:          noUnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
		// An answer that nobody can read is none.
		PersistentPostRunE: func(*cobra.Command, []string) error {
			if out.err != nil {
				return fmt.Errorf("writing the answer: %w", out.err)
			}
			return nil
		},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	usage := strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages", fmt.Sprintf("Flags.FlagUsagesWrapped %d", columns))
	root.SetUsageTemplate(strings.ReplaceAll(usage, `" for more information about a command.`, `" for more about a command.`))
	root.SetVersionTemplate("{{.DisplayName}} {{.Version}}\n")
	o.kube.AddFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w%s\nSee `%s --help`", err, similarFlag(cmd, err), commandPath(cmd))
	})
	root.AddCommand(
		newAuditCommand(o),
		newChartCommand(o),
		newExplainCommand(o),
		newPlanCommand(o),
		newPreflightCommand(o),
		newReportCommand(o),
		newVersionCommand(o),
	)
	refuseUnknown(root)
	return root
}

// refuseUnknown has cobra's help refuse a command that there is not.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		return
	}
	help.Run = nil
	help.RunE = func(_ *cobra.Command, args []string) error {
		of, unknown, err := root.Find(args)
		if err == nil {
			err = noUnknownCommand(of, unknown)
		}
		if err != nil {
			return err
		}
		// As the flag --help does.
		of.InitDefaultHelpFlag()
		of.InitDefaultVersionFlag()
		return of.Help()
	}
}

// commandPath is what users type: the name of the binary is another.
func commandPath(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return name
	}
	return commandPath(cmd.Parent()) + " " + cmd.Name()
}

// noUnknownCommand names the commands that are spelled like an unknown one.
func noUnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	return fmt.Errorf("unknown command %q%s\nSee `%s --help`", args[0], didYouMean(cmd.SuggestionsFor(args[0])), commandPath(cmd))
}

// similarFlag names the flags that are spelled like an unknown one, "" for another error.
func similarFlag(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	// Cobra compares the names of commands.
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	var names []string
	for _, similar := range flags.SuggestionsFor(unknown.GetSpecifiedName()) {
		names = append(names, "--"+similar)
	}
	return didYouMean(names)
}

func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ": did you mean " + joinOr(names) + "?"
}

// paragraphs joins the parts of a long help text, in lines that fit a narrow terminal. A part that is indented stays as it is.
func paragraphs(parts ...string) string {
	var text strings.Builder
	for i, part := range parts {
		if i > 0 {
			fmt.Fprintln(&text)
		}
		if strings.HasPrefix(part, " ") {
			fmt.Fprintln(&text, part)
		} else {
			printFolded(&text, "", "", part)
		}
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// examples indents lines, as kubectl's help does.
func examples(lines ...string) string {
	for i, line := range lines {
		if line != "" {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "\n")
}
