package inventory_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/internal/fleetfile"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
)

// read returns what was read, one line for each object.
func read(t *testing.T, text []byte) ([]string, error) {
	t.Helper()
	inv, err := inventory.Read(t.Context(), inventory.Files{Names: []string{"-"}, In: bytes.NewReader(text)})
	if err != nil {
		return nil, err
	}
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
	return lines, nil
}

// A text that is read has no object in it that was overlooked: a complete parser finds the
// same ones.
func FuzzRead(f *testing.F) {
	for _, asYAML := range []bool{true, false} {
		var fleet bytes.Buffer
		if err := (fleetfile.Fleet{Nodes: 1, PodsPerNode: 1, Tenants: 1}).Write(&fleet, asYAML); err != nil {
			f.Fatal(err)
		}
		f.Add(fleet.Bytes())
	}
	for _, seed := range []string{
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n---\n# c\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n",
		"apiVersion: v1\nitems:\n  - apiVersion: v1\n    kind: Node\n    metadata: {name: a}\n  -\n    apiVersion: v1\n    kind: Node\n    metadata:\n      name: b\nkind: List\n",
		"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Node, metadata: {name: a}}]}\n",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec: {containers: [{name: c}]}\n",
		"kind: List\napiVersion: v1\nitems:\n- &a {apiVersion: v1, kind: Node, metadata: {name: a}}\n- *a\n",
		"items:\n- |\n  - apiVersion: v1\nkind: List\n", "items: []\nkind: PodList\napiVersion: v1\n", "a: '\n\nb'\n", "items:\n- a: \"x\n- b: y\"\nkind: List\n",
		"\ufeff{\"kind\":\"List\",\"items\":[]}", "{\"items\":[],\"items\":[]}", "[]", "{", "items:\n", "{}{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := read(t, text)
		if err != nil {
			return
		}
		// One document at a time is all that the other parser takes.
		if bytes.Contains(text, []byte("---")) || bytes.Contains(text, []byte("...")) || bytes.HasPrefix(bytes.TrimLeft(text, " \n\r\t\ufeff"), []byte("{")) {
			return
		}
		whole, err := yaml.YAMLToJSON(text)
		if err != nil {
			t.Fatalf("read what the complete parser refuses: %v\n%q", err, text)
		}
		want, err := read(t, whole)
		if err != nil {
			t.Fatalf("read what is refused as JSON: %v\n%q\n%s", err, text, whole)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-as JSON +as YAML):\n%s", text, diff)
		}
	})
}

func TestReadingYAMLAndJSONIsTheSame(t *testing.T) {
	fleet := fleetfile.Fleet{Nodes: 20, PodsPerNode: 5, Tenants: 3}
	var texts [2]bytes.Buffer
	for i, asYAML := range []bool{true, false} {
		if err := fleet.Write(&texts[i], asYAML); err != nil {
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
