package inventory_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/internal/clusterfile"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
)

// read returns what was read, one line for each object.
func read(t *testing.T, text []byte) ([]string, error) {
	t.Helper()
	inv, err := inventory.Read(t.Context(), inventory.Files{Names: []string{"-"}, In: bytes.NewReader(text)})
	if err != nil {
		return nil, err
	}
	return lines(inv), nil
}

func lines(inv *inventory.Inventory) []string {
	var lines []string
	for _, pod := range inv.Pods {
		lines = append(lines, fmt.Sprintf("pod %s/%s on %q %v %v", pod.Namespace, pod.Name, pod.Spec.NodeName, pod.Labels, pod.Spec.HostNetwork))
	}
	for _, ns := range inv.Namespaces {
		lines = append(lines, fmt.Sprintf("namespace %s %v", ns.Name, ns.Labels))
	}
	for _, node := range inv.Nodes {
		lines = append(lines, "node "+node.Name)
	}
	for _, w := range inv.Workloads {
		lines = append(lines, fmt.Sprintf("%s %s/%s %d", w.Kind, w.Pod.Namespace, w.Pod.Name, w.Replicas))
	}
	return lines
}

func TestReadYAMLAndJSON(t *testing.T) {
	generator := clusterfile.Generator{Nodes: 20, PodsPerNode: 5, Tenants: 3}
	var texts [2]bytes.Buffer
	for i, asYAML := range []bool{true, false} {
		if err := generator.Write(&texts[i], asYAML); err != nil {
			t.Fatal(err)
		}
	}
	fromYAML, err := read(t, texts[0].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, err := read(t, texts[1].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
		t.Errorf("(-JSON +YAML):\n%s", diff)
	}
	if pods := slices.DeleteFunc(fromYAML, func(line string) bool { return !strings.HasPrefix(line, "pod ") }); len(pods) != 100 {
		t.Errorf("%d pods were read, want 100", len(pods))
	}
}

// A link of a folder to a file that was not copied along does not stop the others; one that is named does.
func TestReadLinkToNoFile(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(folder, "a.yaml")
	if err := os.Symlink(filepath.Join(folder, "elsewhere", "a.yaml"), link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "b.yaml"), []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}"), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.Read(t.Context(), inventory.Files{Names: []string{folder}})
	if err != nil || len(inv.Namespaces) != 1 || !strings.Contains(strings.Join(inv.Warnings, " "), "a.yaml") {
		t.Errorf("%v, read %+v", err, inv)
	}
	if _, err := inventory.Read(t.Context(), inventory.Files{Names: []string{link}}); err == nil {
		t.Error("a link to no file that was named is no error")
	}
}
