package manifest_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/internal/clusterfile"
	"tenantisolation.dev/scheduler/pkg/manifest"
)

// objects reads a text, and returns the fields of every object.
func objects(text []byte) ([]any, error) {
	stream, err := manifest.Open(bytes.NewReader(text), "text")
	if err != nil {
		return nil, err
	}
	var all []any
	err = stream.Each(func(object *manifest.Object) error {
		var tree any
		err := object.Decode(&tree)
		all = append(all, normal(tree))
		return err
	})
	return all, err
}

// normal converts all numbers to one type, so that trees of different decoders are comparable.
func normal(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = normal(v[key])
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case int64:
		return float64(v)
	}
	return value
}

// whole reads one document at once, with encoding/json or with sigs.k8s.io/yaml alone: the items of a
// list, or else the object.
func whole(text []byte) (all []any, ok bool) {
	var whole any
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	unmarshal := func(text []byte, into any) error { return yaml.Unmarshal(text, into) }
	if json.Valid(text) {
		unmarshal = json.Unmarshal
	}
	if err := unmarshal(text, &whole); err != nil {
		return nil, false
	}
	if array, isArray := whole.([]any); isArray {
		for _, item := range array {
			all = append(all, normal(item))
		}
		return all, true
	}
	document, isObject := whole.(map[string]any)
	if whole != nil && !isObject {
		return nil, false
	}
	if document == nil {
		return nil, true
	}
	items, isList := document["items"]
	if !isList {
		return []any{normal(document)}, true
	}
	list, _ := items.([]any)
	for _, item := range list {
		all = append(all, normal(item))
	}
	return all, true
}

// The result is that of the parser of Kubernetes on the whole text. A text may be refused, but no
// object of it is skipped or changed.
func FuzzRead(f *testing.F) {
	for _, asYAML := range []bool{true, false} {
		var text bytes.Buffer
		if err := (clusterfile.Generator{Nodes: 1, PodsPerNode: 2, Tenants: 1}).Write(&text, asYAML); err != nil {
			f.Fatal(err)
		}
		f.Add(text.Bytes())
	}
	const kubectl = "apiVersion: v1\nitems:\n"
	for _, seed := range []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n",
		"apiVersion: v1\nitems:\n  - apiVersion: v1\n    kind: Node\n  -\n    apiVersion: v1\nkind: List\n",
		"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Node, metadata: {name: a}}]}\n",
		"kind: List\napiVersion: v1\nitems:\n- &a {apiVersion: v1, kind: Node}\n- *a\n",
		kubectl + "- &a {kind: Node}\n- *a\nkind: List\n",
		kubectl + "- a: |+\n    x\n\n\n- b: >-\n    y\n# c\n- # d\n  c: 1\nkind: List\nmetadata: {}\n",
		kubectl + "- a: \"x\n- b: y\"\nkind: List\n", kubectl + "- {a: b,\n  c: d}\n-\n  e: f\nkind: List\n",
		kubectl + "- a: b\n- - c\nkind: List\n", kubectl + "-  a: b\n   c: 'd\n\n     e'\nitems: []\nkind: List\n",
		kubectl + "-  - 000\n 0\nkind: List", kubectl + "- a: b\n  a: c\nkind: List\n", kubectl + "- a: b\n...\n- c: d\nkind: List\n", kubectl + "- a: b\u2028---\u2028c: d\nkind: List\n",
		"items: []\nkind: PodList\napiVersion: v1\n", "a: '\n\nb'\n", "a: b\n...\nc: d\n", "a: b\n...\n", "a: b\r---\rc: d\n", "# c\n", "items:\n",
		"\ufeff{\"kind\":\"List\",\"items\":[]}", "{\"items\":[],\"items\":[]}", "[]", "{", "{}{}", `{"a":1e400}`, `{"kind":"List","items":[{"a":-0,"b":1.0,"\u0061":2}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := objects(text)
		if err != nil {
			return
		}
		// The other parser takes one document only.
		if isStream(text) {
			return
		}
		want, ok := whole(text)
		if !ok {
			t.Fatalf("%q: read as %v, and the parser refuses it", text, got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-parser +read):\n%s", text, diff)
		}
	})
}

// isStream reports whether a text may be more than one document.
func isStream(text []byte) bool {
	if decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))); decoder.Decode(&struct{}{}) == nil {
		return decoder.More()
	}
	return slices.Contains(strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' || c == '\r' }), "---") ||
		bytes.Contains(text, []byte("---"))
}
