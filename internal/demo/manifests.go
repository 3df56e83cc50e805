package demo

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"tenantisolation.dev/scheduler/pkg/manifest"
)

//go:embed workload/*.yaml
var embedded embed.FS

// alreadyRunning is the one file of the embedded workload that is there before the
// scheduler is.
const alreadyRunning = "00-already-running.yaml"

type objects []*unstructured.Unstructured

// embeddedWorkload returns what runs before the scheduler starts, and what it is to place.
func embeddedWorkload() (before, workload objects, err error) {
	folder, err := Workload()
	if err != nil {
		return nil, nil, err
	}
	names, err := manifest.Files(folder, false)
	if err != nil {
		return nil, nil, err
	}
	rest := slices.DeleteFunc(names, func(name string) bool { return name == alreadyRunning })
	if before, err = read(folder, []string{alreadyRunning}, "workload"); err != nil {
		return nil, nil, err
	}
	workload, err = read(folder, rest, "workload")
	return before, workload, err
}

// loadWorkload reads a manifest file, or all of a directory as kubectl apply -f would.
func loadWorkload(from string) (objects, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	directory, names := filepath.Dir(from), []string{filepath.Base(from)}
	if info.IsDir() {
		directory = from
		if names, err = manifest.Files(os.DirFS(from), false); err != nil {
			return nil, err
		}
	}
	all, err := read(os.DirFS(directory), names, directory)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: there is no manifest in it", from)
	}
	return all, err
}

func read(folder fs.FS, names []string, label string) (objects, error) {
	found, err := manifest.ReadFiles(folder, names, label)
	if err != nil {
		return nil, err
	}
	var all objects
	for _, f := range found {
		o, err := f.Unstructured()
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// podSpecs is where each kind of workload keeps the spec of its pods.
var podSpecs = map[string][]string{
	"Pod":                   {"spec"},
	"Deployment":            {"spec", "template", "spec"},
	"ReplicaSet":            {"spec", "template", "spec"},
	"ReplicationController": {"spec", "template", "spec"},
	"StatefulSet":           {"spec", "template", "spec"},
	"DaemonSet":             {"spec", "template", "spec"},
	"Job":                   {"spec", "template", "spec"},
	"CronJob":               {"spec", "jobTemplate", "spec", "template", "spec"},
}

// sortForApply puts first what others need: namespaces, then what makes no pods
// (service accounts, PVCs, classes), then what does.
func sortForApply(all objects) {
	rank := func(o *unstructured.Unstructured) int {
		switch {
		case o.GetKind() == "Namespace":
			return 0
		case podSpecs[o.GetKind()] == nil:
			return 1
		default:
			return 2
		}
	}
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int { return cmp.Compare(rank(a), rank(b)) })
}

// splitNamespaces takes the namespaces apart from what is in them.
func splitNamespaces(all objects) (namespaces, rest objects) {
	for _, o := range all {
		if o.GetKind() == "Namespace" {
			namespaces = append(namespaces, o)
		} else {
			rest = append(rest, o)
		}
	}
	return namespaces, rest
}

func describe(o *unstructured.Unstructured) string {
	return strings.TrimPrefix(o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName(), "/")
}
