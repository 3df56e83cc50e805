package manifest_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/internal/clusterfile"
	"tenantisolation.dev/scheduler/pkg/manifest"
)

func TestEach(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string // where each object is, and its kind
		err  string
	}{
		"documents are counted with those of comments alone": {
			text: "# one\n---\n---\napiVersion: v1\nkind: Pod\n---\napiVersion: apps/v1\nkind: Deployment\n",
			want: []string{"f, document 2: /v1, Kind=Pod", "f, document 3: apps/v1, Kind=Deployment"},
		},
		"a list stands for its items": {
			text: "kind: List\napiVersion: v1\nitems: [{apiVersion: v1, kind: Pod}, {kind: Node, apiVersion: v1}]\n",
			want: []string{"f, document 1, item 1: /v1, Kind=Pod", "f, document 1, item 2: /v1, Kind=Node"},
		},
		"a list in the form of kubectl": {
			text: "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n- apiVersion: v1\n  kind: Node\nkind: List\n---\napiVersion: v1\nkind: Pod\n",
			want: []string{"f, document 1, item 1: /v1, Kind=Pod", "f, document 1, item 2: /v1, Kind=Node", "f, document 2: /v1, Kind=Pod"},
		},
		"JSON after JSON, behind a byte order mark": {
			text: "\ufeff{\"kind\":\"Pod\",\"spec\":{},\"apiVersion\":\"v1\"}{\"apiVersion\":\"v1\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}],\"kind\":\"List\"}",
			want: []string{"f, document 1: /v1, Kind=Pod", "f, document 2, item 1: /v1, Kind=Pod"},
		},
		"an empty list":                      {text: `{"kind":"PodList","apiVersion":"v1","items":null}`},
		"nothing":                            {text: "\n# nothing\n"},
		"a document behind the end of one":   {text: "apiVersion: v1\nkind: Pod\n...\napiVersion: v1\nkind: Pod\n", err: "f, document 1: not valid YAML: something comes after the end"},
		"a document behind an end in a list": {text: "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\nkind: List\n...\napiVersion: v1\nkind: Pod\n", err: "something comes after the end"},
		"a list in JSON that breaks off":     {text: `{"items":[{"apiVersion":"v1","kind":"Pod"}`, err: "f, document 1, item 1: not valid JSON: it ends in the middle"},
		"an item in JSON that breaks off":    {text: `{"items":[{"apiVersion":"v1","kind":"Pod"},{"apiVersion":"v1"`, err: "f, document 1, item 2: not valid JSON: it ends in the middle"},
		"a list in YAML that breaks off":     {text: "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n", err: "without its kind"},
		"a second list of items":             {text: "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\nitems: []\nkind: List\n", err: `"items" already set`},
		"items that are not a list":          {text: "kind: List\nitems: {a: b}\n", err: "items is not a list"},
		"items of something else":            {text: "kind: Pod\nitems: []\n", err: "is not a list"},
		"a field of a list twice in JSON":    {text: `{"kind":"List","items":[],"items":[]}`, err: `f, document 1: duplicate field "items"`},
		"an item that is not valid YAML":     {text: "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n- a: b: c\nkind: List\n", err: "f, document 1, item 2: not valid YAML"},
		"a field of an item twice in YAML":   {text: "apiVersion: v1\nitems:\n- kind: Pod\n  kind: Node\nkind: List\n", err: `item 1: not valid YAML: unmarshal errors: line 2: key "kind" already set`},
		"an item without an apiVersion":      {text: "apiVersion: v1\nitems:\n- kind: Pod\nkind: List\n", err: "item 1: not an object of Kubernetes: apiVersion or kind is missing"},
		"an item that is null":               {text: `{"kind":"List","items":[null]}`, err: "item 1: not an object of Kubernetes: it has no fields"},
		"text that is not JSON":              {text: "{]", err: "f, document 1: not valid JSON: invalid character"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := kinds(strings.NewReader(tc.text))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("error %v, want one line with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// kinds reads a stream, one line for each object.
func kinds(in io.Reader) ([]string, error) {
	stream, err := manifest.Open(in, "f")
	if err != nil {
		return nil, err
	}
	var lines []string
	err = stream.Each(func(object *manifest.Object) error {
		kind, err := object.Kind()
		lines = append(lines, fmt.Sprintf("%s: %v", object.At(), kind))
		return err
	})
	return lines, err
}

// A file may be larger than the memory: an object is yielded before the rest of the file is read.
func TestReadItemByItem(t *testing.T) {
	for name, asYAML := range map[string]bool{"JSON": false, "YAML": true} {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			if err := (clusterfile.Generator{Nodes: 50, PodsPerNode: 30, Tenants: 3}).Write(&text, asYAML); err != nil {
				t.Fatal(err)
			}
			stream, err := manifest.Open(&text, name)
			if err != nil {
				t.Fatal(err)
			}
			count, leftAtFirst := 0, 0
			err = stream.Each(func(*manifest.Object) error {
				if count++; count == 1 {
					leftAtFirst = text.Len()
				}
				return nil
			})
			if want := 50 + 3 + 1 + 50*30; err != nil || count != want || leftAtFirst < 1<<20 {
				t.Errorf("%d objects (%v), want %d; %d bytes are left to read after the first", count, err, want, leftAtFirst)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	folder := fstest.MapFS{"b.yml": {}, "a.yaml": {}, "c.json": {}, "d.txt": {}, "sub/e.yaml": {}}
	for recursive, want := range map[bool][]string{
		false: {"a.yaml", "b.yml", "c.json"},
		true:  {"a.yaml", "b.yml", "c.json", "sub/e.yaml"},
	} {
		got, err := manifest.Files(folder, recursive)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("recursive %v: %v (-want +got):\n%s", recursive, err, diff)
		}
	}
}
