package controlplane

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	assetsVariable = "KUBEBUILDER_ASSETS"
	modulePath     = "tenantisolation.dev/scheduler"
)

// ModuleRoot returns the directory of this repository's go.mod. It searches upwards from the working
// directory: tests run in the directory of their package, the demo in the root.
func ModuleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if declaresModule(filepath.Join(dir, "go.mod")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod of module %s in %s or above it", modulePath, start)
		}
	}
}

func declaresModule(goMod string) bool {
	file, err := os.Open(goMod)
	if err != nil {
		return false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "module "); ok {
			return strings.TrimSpace(name) == modulePath
		}
	}
	return false
}

// programs is where each program of a control plane is on this machine.
type programs map[string]string

// Program returns where a program of a control plane is on this machine.
func Program(name string) (string, error) {
	found, err := findPrograms(name)
	return found[name], err
}

// findPrograms looks each name up on its own, because a KUBEBUILDER_ASSETS that was
// made by other means has etcd, kube-apiserver and kubectl but not the rest.
func findPrograms(names ...string) (programs, error) {
	var searched []string
	if dir := os.Getenv(assetsVariable); dir != "" {
		searched = append(searched, dir)
	}
	if root, err := ModuleRoot(); err == nil {
		searched = append(searched, filepath.Join(root, "bin", "control-plane"))
	}
	found, missing := programs{}, []string{}
	for _, name := range names {
		for _, dir := range searched {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				found[name] = path
				break
			}
		}
		if found[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("run make control-plane: no %s in %s",
			strings.Join(missing, ", "), strings.Join(searched, " or "))
	}
	return found, nil
}
