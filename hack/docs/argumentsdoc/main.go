// Command argumentsdoc writes docs/reference/arguments.md: the arguments of the
// TenantIsolation plugin, their meaning from the comments of the versioned type and
// their defaults from the code that sets them. Run it from the root of the
// repository.
//
//	go run ./hack/docs/argumentsdoc          writes the page
//	go run ./hack/docs/argumentsdoc -check   fails if the page is not in step
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if the page is not in step")
	root := flag.String("root", ".", "the root of the repository")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "argumentsdoc:", err)
		os.Exit(1)
	}
}

// Where the source and the page are, below the root of the repository.
const (
	typesFile = "pkg/apis/config/v1/types.go"
	pageFile  = "docs/reference/arguments.md"
)

func run(root string, check bool) error {
	types, err := parseTypes(filepath.Join(root, typesFile))
	if err != nil {
		return err
	}
	want, err := page(types)
	if err != nil {
		return err
	}
	path := filepath.Join(root, pageFile)
	if !check {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a page for everybody
			return err
		}
		return os.WriteFile(path, []byte(want), 0o644) //nolint:gosec // a page for everybody
	}
	got, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if difference := firstDifference(want, string(got)); difference != "" {
		return fmt.Errorf("%s is not in step with %s and the defaults: run `go run ./hack/docs/argumentsdoc`\n%s", pageFile, typesFile, difference)
	}
	return nil
}
