//go:build linux

package realnode

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	// interfacePrefix begins the names of all network interfaces that this package makes.
	interfacePrefix = "ti-"
)

// left lists what is there of a run whose files were in a directory: nothing, if all went well.
func left(dir string) []string {
	var found []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		found = append(found, err.Error())
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			found = append(found, "mount "+strings.TrimSpace(line))
		}
	}
	// The plugins of containerd name network namespaces cni-*.
	for _, pattern := range []string{dir, "/sys/class/net/" + interfacePrefix + "*", "/run/netns/cni-*"} {
		paths, _ := filepath.Glob(pattern)
		found = append(found, paths...)
	}
	_ = filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.Contains(entry.Name(), filepath.Base(dir)) {
			found = append(found, "cgroup "+path)
		}
		return nil
	})
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range processes {
		if command, err := os.ReadFile(path); err == nil && strings.Contains(string(command), dir) {
			found = append(found, "process "+filepath.Base(filepath.Dir(path))+": "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}
