package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

type preflightOptions struct {
	*options
	output string
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
			`Exit status: 0 if nothing failed, 1 if something did, 2 if the checks could not run.`,
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
	outputFlag(cmd, &p.output, "json", "yaml")
	return cmd
}

func (p *preflightOptions) run(ctx context.Context) error {
	if err := oneOf(p.output, "", "json", "yaml"); err != nil {
		return err
	}
	if p.fromFiles() {
		return errors.New("preflight needs an API server: leave -f out, and choose a cluster with --context")
	}
	c, err := p.load(ctx)
	if err != nil {
		return err
	}
	results, err := c.checker().Run(ctx)
	if err != nil {
		return err
	}
	results = append(p.policyInForce(c), results...)
	if p.output != "" {
		err = p.printObject(p.output, results)
	} else {
		p.warn(c)
		err = printPreflight(p.Out, results)
	}
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Status == preflight.Fail {
			return errFindings
		}
	}
	return nil
}

// policyInForce names the policy that is in force, and what is wrong with it.
func (p *preflightOptions) policyInForce(c *judgedCluster) []preflight.Result {
	const check = "policy in force"
	reasons := c.unjudgedPolicy(p.options)
	if len(reasons) == 0 {
		return []preflight.Result{{Check: check, Status: preflight.Pass, Says: c.policyFrom}}
	}
	results := make([]preflight.Result, 0, len(reasons))
	for _, reason := range reasons {
		results = append(results, preflight.Result{
			Check: check, Status: preflight.Fail, Says: reason,
			Fix: "kubectl describe isolationpolicy " + v1alpha1.DefaultName + ", and look at the logs of the scheduler; where there is none, " + preflight.Install,
		})
	}
	return results
}

func printPreflight(out io.Writer, results []preflight.Result) error {
	paint := newColour(out)
	counts := map[preflight.Status]int{}
	for _, r := range results {
		counts[r.Status]++
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
		if r.Fix != "" {
			printFolded(out, "     ", "          ", "Fix: "+r.Fix+".")
		}
	}
	_, err := fmt.Fprintf(out, "\n%d passed, %s, %d failed\n",
		counts[preflight.Pass], count(counts[preflight.Warn], "warning"), counts[preflight.Fail])
	return err
}
