package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

type preflightOptions struct {
	*options
	output string
	lease  string
}

func newPreflightCommand(o *options) *cobra.Command {
	p := &preflightOptions{options: o}
	cmd := &cobra.Command{
		Use:   "preflight",
		Short: "Check whether the cluster is ready, and what is missing",
		Long: paragraphs(
			`Checks what the isolation relies on: versions, admission policies and their bindings, the scheduler and its
rights, RuntimeClasses and handlers of nodes, DaemonSets that conflict, labels of namespaces, and who may edit
isolation labels or bind pods. Prints a line for each: pass, warn or fail, and the fix.`,
			`It reads RBAC objects. It does not see what other authorizers allow.`,
			`Exit status: 0 if all was checked and nothing failed, 1 if something did, 2 if nothing failed and a check could not run.`,
		),
		Example: examples(
			"# Before the installation, and after it",
			"kubectl isolation preflight",
			"",
			"# Only what needs a fix",
			"kubectl isolation preflight -o json | jq '.[] | select(.status != \"pass\")'",
		),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.wholeCluster(cmd); err != nil {
				return err
			}
			return p.run(cmd.Context())
		},
	}
	o.addInputFlags(cmd)
	// They get an error that says why.
	for _, ofFiles := range []string{"filename", "recursive"} {
		_ = cmd.Flags().MarkHidden(ofFiles)
	}
	outputFlag(cmd, &p.output, "json", "yaml")
	cmd.Flags().StringVar(&p.lease, "lease", preflight.Lease, "Lease of the scheduler, NAMESPACE/NAME, if its configuration has another than the shipped one")
	return cmd
}

func (p *preflightOptions) run(ctx context.Context) error {
	if err := oneOf(p.output, "", "json", "yaml"); err != nil {
		return err
	}
	if p.fromFiles() {
		return errors.New("preflight needs an API server: leave -f out, and choose a cluster with --context")
	}
	p.live = true
	c, err := p.load(ctx)
	if err != nil {
		return err
	}
	checker := c.checker()
	checker.Lease = p.lease
	results, err := checker.PolicyInForce(ctx, c.policyFrom, c.unjudgedPolicy(p.options), p.policyFile != "" || p.tenantKey != "")
	if err != nil {
		return err
	}
	rest, err := checker.Run(ctx)
	if err != nil {
		return err
	}
	results = append(results, rest...)
	if p.output != "" {
		err = p.printObject(p.output, results)
	} else {
		p.warn(c)
		err = printPreflight(p.Out, results)
	}
	if err != nil {
		return err
	}
	return preflightStatus(results)
}

func preflightStatus(results []preflight.Result) error {
	switch {
	case slices.ContainsFunc(results, func(r preflight.Result) bool { return r.Status == preflight.Fail }):
		return errFindings
	case slices.ContainsFunc(results, func(r preflight.Result) bool { return r.Unchecked }):
		return errNotJudged
	}
	return nil
}

func printPreflight(out io.Writer, results []preflight.Result) error {
	paint := newColour(out)
	counts, unchecked := map[preflight.Status]int{}, 0
	var before preflight.Result
	for _, r := range results {
		counts[r.Status]++
		if r.Unchecked {
			unchecked++
		}
		word := string(r.Status)
		switch r.Status {
		case preflight.Pass:
			word = paint.good(word)
		case preflight.Warn:
			word = paint.warn(word)
		case preflight.Fail:
			word = paint.bad(word)
		}
		printFolded(out, "", "     ", word+" "+r.Check+": "+r.Says+".")
		printFix(out, &r, &before)
		before = r
	}
	fmt.Fprintf(out, "\n%d passed, %s, %d failed\n", counts[preflight.Pass], count(counts[preflight.Warn], "warning"), counts[preflight.Fail])
	if unchecked > 0 {
		fmt.Fprintf(out, "%s: %s could not be checked\n", paint.warn("Not judged"), count(unchecked, "result"))
	}
	return nil
}

// printFix prints what to do, and its commands, unless they are those of the line before.
func printFix(out io.Writer, r, before *preflight.Result) {
	switch {
	case r.Fix == "":
	case r.Fix == before.Fix && slices.Equal(r.Run, before.Run):
		printFolded(out, "     ", "          ", "Fix: as above.")
	case len(r.Run) == 0:
		printFolded(out, "     ", "          ", "Fix: "+r.Fix+".")
	default:
		printFolded(out, "     ", "          ", "Fix: "+r.Fix+":")
		for _, command := range r.Run {
			printCommand(out, "       ", command)
		}
	}
}
