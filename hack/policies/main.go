// Command policies writes what follows from the scheduler's configuration: the admission policies of
// manifests/components, with the parameters that they read, and the configuration as the overlays vary
// it. Run it from the root of the repository.
//
//	go run ./hack/policies               writes the policies
//	go run ./hack/policies -check        fails if they are not in step
//	go run ./hack/policies -config FILE  writes them for another configuration
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"tenantisolation.dev/scheduler/internal/admission"
)

type options struct {
	config, serviceAccount, out string
	check                       bool
}

func main() {
	var o options
	flag.StringVar(&o.config, "config", "manifests/base/scheduler-config.yaml", "the scheduler's configuration `file`")
	flag.StringVar(&o.serviceAccount, "service-account", "manifests/base/serviceaccount.yaml", "the manifest `file` of the scheduler's service account")
	flag.StringVar(&o.out, "out", "manifests", "the `directory` of the manifests")
	flag.BoolVar(&o.check, "check", false, "write nothing, and fail if the policies are not in step")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "policies:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	config, err := os.ReadFile(o.config)
	if err != nil {
		return err
	}
	account, err := os.ReadFile(o.serviceAccount)
	if err != nil {
		return err
	}
	c, err := admission.ReadConfig(config, account)
	if err != nil {
		return fmt.Errorf("%s: %w", o.config, err)
	}
	files, err := c.Render()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(o.out, name)
		if !o.check {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as the file
				return err
			}
			if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil { //nolint:gosec // manifests for everybody
				return err
			}
			continue
		}
		got, err := fs.ReadFile(os.DirFS(o.out), name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if string(got) != files[name] {
			return fmt.Errorf("%s is not in step with %s: run `go run ./hack/policies`", path, o.config)
		}
	}
	return nil
}
