// Command metricsdoc writes docs/reference/metrics.md: the metrics of the project, from
// the code that makes them. Run it from the root of the repository.
//
//	go run ./hack/docs/metricsdoc          writes the page
//	go run ./hack/docs/metricsdoc -check   fails if the page is not in step
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tenantisolation.dev/scheduler/internal/metricinfo"
)

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if the page is not in step")
	root := flag.String("root", ".", "the root of the repository")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "metricsdoc:", err)
		os.Exit(1)
	}
}

// pageFile is where the page is, below the root of the repository.
const pageFile = "docs/reference/metrics.md"

func run(root string, check bool) error {
	groups, err := metricinfo.Groups()
	if err != nil {
		return err
	}
	want, err := page(groups)
	if err != nil {
		return err
	}
	path := filepath.Join(root, pageFile)
	if !check {
		return os.WriteFile(path, []byte(want), 0o644) //nolint:gosec // a page for everybody
	}
	got, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%s is not in step with the metrics of the code: run `go run ./hack/docs/metricsdoc`", pageFile)
	}
	return nil
}
