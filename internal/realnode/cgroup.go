//go:build linux

package realnode

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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

func isUnified() bool {
	_, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers"))
	return err == nil
}

// PodMemoryLimit reads what a pod may use at most, from its cgroup.
func (n *Node) PodMemoryLimit(uid string) (int64, error) {
	hierarchy, file := filepath.Join(cgroupRoot, "memory"), "memory.limit_in_bytes"
	if isUnified() {
		hierarchy, file = cgroupRoot, "memory.max"
	}
	paths, err := filepath.Glob(filepath.Join(hierarchy, n.cgroup(), "kubepods", "*", "pod"+uid, file))
	if guaranteed, _ := filepath.Glob(filepath.Join(hierarchy, n.cgroup(), "kubepods", "pod"+uid, file)); len(guaranteed) > 0 {
		paths = guaranteed
	}
	if err != nil || len(paths) != 1 {
		return 0, fmt.Errorf("the cgroup of pod %s on %s: %v, %w", uid, n.Name, paths, err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}
