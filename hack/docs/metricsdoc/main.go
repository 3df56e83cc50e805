// Command metricsdoc writes docs/reference/metrics.md: the metrics of the project, from the
// code that registers them. Run it from the root of the repository, as make generate does.
package main

import (
	"fmt"
	"os"

	"tenantisolation.dev/scheduler/internal/metricinfo"
)

const pageFile = "docs/reference/metrics.md"

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "metricsdoc:", err)
		os.Exit(1)
	}
}

func write() error {
	groups, err := metricinfo.Groups()
	if err != nil {
		return err
	}
	text, err := page(groups)
	if err != nil {
		return err
	}
	return os.WriteFile(pageFile, []byte(text), 0o644) //nolint:gosec // a public page
}
