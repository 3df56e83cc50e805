package cli

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/component-base/version"
)

// Version returns the version that was stamped into the binary, and the Kubernetes release
// that it was built from.
func Version() string {
	// The stamp is <Kubernetes>+tenantisolation.<version>: libraries of Kubernetes read
	// its first part.
	kubernetes, own, stamped := strings.Cut(version.Get().GitVersion, "+tenantisolation.")
	if !stamped {
		own, kubernetes = "v0.0.0-dev", "unknown"
	}
	return fmt.Sprintf("%s (Kubernetes %s, %s, %s/%s)", own, kubernetes, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func newVersionCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(o.Out, "%s %s\n", name, Version())
			return err
		},
	}
}
