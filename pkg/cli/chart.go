package cli

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tenantisolation.dev/scheduler/charts"
	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

func newChartCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "chart [FILE]",
		Short: "Write the Helm chart of this release to a file",
		Long: paragraphs(
			`Writes the Helm chart of the release that this binary is of, for helm install and helm upgrade. It has
everything that the project installs but the image of the scheduler. The default of FILE is ` + preflight.ChartFile + `;
- is standard output.`,
		),
		Example: examples(
			"# Install it",
			"kubectl isolation chart",
			"helm install tenant-isolation "+preflight.ChartFile+" --namespace kube-system \\",
			"  --set image.repository=images.example.com/tenant-isolation-scheduler \\",
			"  --set image.tag=v1",
		),
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var packed bytes.Buffer
			if err := charts.Pack(&packed); err != nil {
				return err
			}
			file := preflight.ChartFile
			if len(args) > 0 {
				file = args[0]
			}
			if file == "-" {
				// Not through the escapes for terminals.
				_, err := raw(o.Out).Write(packed.Bytes())
				return err
			}
			if err := os.WriteFile(file, packed.Bytes(), 0o644); err != nil { //nolint:gosec // a chart is no secret
				return err
			}
			_, err := fmt.Fprintln(o.Out, file)
			return err
		},
	}
}
