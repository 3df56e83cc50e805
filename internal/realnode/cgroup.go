//go:build linux

package realnode

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// makeCgroups makes a cgroup of a name in every hierarchy. Kubelets do not make the one that they are given.
func makeCgroups(name string) error {
	unified := filepath.Join(cgroupRoot, "cgroup.controllers")
	if controllers, err := os.ReadFile(unified); err == nil {
		path := filepath.Join(cgroupRoot, name)
		if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // as all cgroups
			return err
		}
		enabled := "+" + strings.Join(strings.Fields(string(controllers)), " +")
		return errors.Join(
			os.WriteFile(filepath.Join(filepath.Dir(path), "cgroup.subtree_control"), []byte(enabled), 0o600),
			os.WriteFile(filepath.Join(path, "cgroup.subtree_control"), []byte(enabled), 0o600),
		)
	}
	hierarchies, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		parent := filepath.Join(cgroupRoot, hierarchy.Name())
		if hierarchy.Type()&os.ModeSymlink != 0 || !hierarchy.IsDir() {
			continue
		}
		path := filepath.Join(parent, name)
		if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // as all cgroups
			return err
		}
		// A new cpuset has no processors, and takes no process until it has.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(filepath.Dir(path), file))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err := errors.Join(err, os.WriteFile(filepath.Join(path, file), value, 0o600)); err != nil {
				return err
			}
		}
	}
	return nil
}

// IsUnified reports whether this machine has version 2 of cgroups.
func IsUnified() bool {
	_, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers"))
	return err == nil
}
