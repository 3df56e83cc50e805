package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"aead.dev/minisign"
	"github.com/spf13/cobra"

	"tenantisolation.dev/scheduler/pkg/cli/report"
)

type reportOptions struct {
	*options
	html   bool
	output string
	since  string
	sign   signOptions
	now    func() time.Time
}

func newReportCommand(o *options) *cobra.Command {
	r := &reportOptions{options: o, now: now}
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write one self-contained page for an auditor",
		Long: paragraphs(
			`Writes a page with the identity of the cluster, who made it, the policy with its generation, the state of every
control as preflight sees it, the findings with both sides, the nodes with their trust domains, the changes
since the last report, and a digest over everything that was judged. The page is one file, needs no network,
works with keyboard and screen reader, and has a light and a dark theme. It prints completely.`,
			`The page contains its data: keep it, and compare the next report with it by --since. Each report then names
those before it by their digests.`,
			`With --sign-key a signature of exactly what is written goes to the file of --signature; minisign and
"report verify" check it.`,
			`Exit status: 0 if everything was judged and nothing found, 1 if something was found, 2 if the input or the
request is invalid, or nothing was found and not everything was judged. The page is written in each case but
an invalid one.`,
		),
		Example: examples(
			"kubectl isolation report --html > isolation.html",
			"",
			"# With the changes since then",
			"kubectl isolation report --html --since=isolation.html > isolation-2.html",
			"",
			"# Signed by a key of minisign -G, and checked",
			"kubectl isolation report --html --sign-key=audit.key --signature=isolation.html.minisig > isolation.html",
			"kubectl isolation report verify isolation.html --public-key=audit.pub",
		),
		Args: noUnknownCommand,
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
	cmd.Flags().StringVar(&r.since, "since", "", "File with an earlier report of the same cluster, page or JSON, to compare with")
	r.sign.addFlags(cmd)
	cmd.AddCommand(newVerifyCommand(o))
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
	// Whatever is wrong with them shows before a large cluster is read.
	earlier, err := r.earlier()
	if err != nil {
		return err
	}
	key, err := r.sign.key(r.ErrOut)
	if err != nil {
		return err
	}
	c, err := r.load(ctx)
	if err != nil {
		return err
	}
	j := c.judgement(c.unjudgedTenants(), c.unjudgedPods(), c.unjudgedControls(ctx, r.options))
	data, err := c.report(ctx, r.now(), &j)
	if err != nil {
		return err
	}
	r.warn(c)
	if err := r.identify(ctx, c, data); err != nil {
		return err
	}
	if earlier != nil {
		if err := data.Follow(earlier); err != nil {
			return fmt.Errorf("--since %s: %w", r.since, err)
		}
		if data.Cluster.UID == "" {
			r.warnOf("neither report has the UID of the namespace kube-system, so it is unknown whether they are of one cluster")
		}
	}
	if err := r.write(data, key); err != nil {
		return err
	}
	return j.status(len(data.Findings) > 0)
}

// earlier reads the report of --since, nil without the flag.
func (r *reportOptions) earlier() (*report.Data, error) {
	if r.since == "" {
		return nil, nil //nolint:nilnil // no file means no report, which is not an error
	}
	text, err := os.ReadFile(r.since)
	if err != nil {
		return nil, fmt.Errorf("--since: %w", err)
	}
	earlier, err := report.Earlier(text)
	if err != nil {
		return nil, fmt.Errorf("--since %s: %w", r.since, err)
	}
	return earlier, nil
}

// write prints the report, and writes the signature of what is printed.
func (r *reportOptions) write(data *report.Data, key *minisign.PrivateKey) error {
	var text bytes.Buffer
	to := &options{IOStreams: r.IOStreams}
	// What is signed is what is written, so it has no control character that would be escaped later.
	to.Out = &printable{out: &text}
	var err error
	if r.output == "json" {
		err = to.printObject("json", data)
	} else {
		err = data.WriteHTML(to.Out)
	}
	if err != nil {
		return err
	}
	if key != nil {
		if err := r.sign.write(*key, text.Bytes(), data); err != nil {
			return err
		}
	}
	_, err = text.WriteTo(r.Out)
	return err
}
