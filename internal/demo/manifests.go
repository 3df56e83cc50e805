package demo

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed workload/*.yaml
var embedded embed.FS

// alreadyRunning is the one file of the embedded workload that is there before the
// scheduler is.
const alreadyRunning = "00-already-running.yaml"

type objects []*unstructured.Unstructured

// embeddedWorkload returns what runs before the scheduler starts, and what it is to place.
func embeddedWorkload() (before, workload objects, err error) {
	names, err := fs.Glob(embedded, "workload/*.yaml")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		text, err := embedded.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		parsed, err := parse(name, text)
		if err != nil {
			return nil, nil, err
		}
		if path.Base(name) == alreadyRunning {
			before = parsed
		} else {
			workload = append(workload, parsed...)
		}
	}
	return before, workload, nil
}

// loadWorkload reads a manifest file, or all of a directory as kubectl apply -f would.
func loadWorkload(from string) (objects, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	files := []string{from}
	if info.IsDir() {
		files = nil
		entries, err := os.ReadDir(from)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(entry.Name())) {
				files = append(files, filepath.Join(from, entry.Name()))
			}
		}
	}
	var all objects
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		parsed, err := parse(file, text)
		if err != nil {
			return nil, err
		}
		all = append(all, parsed...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: there is no manifest in it", from)
	}
	return all, nil
}

func parse(name string, text []byte) (objects, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var parsed objects
	for number := 1; ; number++ {
		var content map[string]any
		switch err := decoder.Decode(&content); {
		case errors.Is(err, io.EOF):
			return parsed, nil
		case err != nil:
			return nil, fmt.Errorf("%s, document %d: %w", name, number, err)
		case len(content) == 0:
			continue // only comments
		}
		object := &unstructured.Unstructured{Object: content}
		if object.GetKind() == "" || object.GetAPIVersion() == "" {
			return nil, fmt.Errorf("%s, document %d: no kind or no apiVersion", name, number)
		}
		if !object.IsList() {
			parsed = append(parsed, object)
			continue
		}
		err := object.EachListItem(func(item runtime.Object) error {
			o, ok := item.(*unstructured.Unstructured)
			if !ok {
				return fmt.Errorf("an item of type %T", item)
			}
			parsed = append(parsed, o)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s, document %d: %w", name, number, err)
		}
	}
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
