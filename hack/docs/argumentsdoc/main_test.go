package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubescheduler "k8s.io/kubernetes/pkg/scheduler/apis/config"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/apis/config/scheme"
	"tenantisolation.dev/scheduler/pkg/apis/config/v1"
)

const repository = "../../.."

func committedPage(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repository, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPageInStep(t *testing.T) {
	want, err := page(filepath.Join(repository, typesFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, committedPage(t)); diff != "" {
		t.Errorf("run make generate (-want +got):\n%s", diff)
	}
}

func TestExampleIsTheDefaults(t *testing.T) {
	_, rest, ok := strings.Cut(committedPage(t), "```yaml\n")
	if !ok {
		t.Fatal("the page has no example")
	}
	example, _, _ := strings.Cut(rest, "```")
	obj, _, err := scheme.Codecs.UniversalDecoder().Decode([]byte(example), nil, nil)
	if err != nil {
		t.Fatalf("cannot decode the example: %v", err)
	}
	cfg, ok := obj.(*kubescheduler.KubeSchedulerConfiguration)
	if !ok {
		t.Fatalf("want a scheduler configuration, got %T", obj)
	}
	for _, pluginConfig := range cfg.Profiles[0].PluginConfig {
		got, ok := pluginConfig.Args.(*config.TenantIsolationArgs)
		if !ok {
			continue
		}
		got.TypeMeta = metav1.TypeMeta{}
		if diff := cmp.Diff(v1.New(), got); diff != "" {
			t.Errorf("arguments of the example (-want +got):\n%s", diff)
		}
		return
	}
	t.Error("the example has no arguments for the plugin")
}

func TestFieldsAreDocumented(t *testing.T) {
	text := committedPage(t)
	_, example, _ := strings.Cut(text, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	var visit func(prefix string, typ reflect.Type)
	visit = func(prefix string, typ reflect.Type) {
		for field := range typ.Fields() {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				continue // TypeMeta
			}
			if heading := "\n### `" + prefix + name + "`\n"; !strings.Contains(text, heading) {
				t.Errorf("want the heading %q", heading)
			}
			if options == "" && !strings.Contains(example, " "+name+":") {
				t.Errorf("want %s%s in the example", prefix, name)
			}
			if field.Type.Kind() == reflect.Struct {
				visit(prefix+name+".", field.Type)
			}
		}
	}
	visit("", reflect.TypeFor[v1.TenantIsolationArgs]())
}

func TestIncompleteSource(t *testing.T) {
	tests := map[string]struct {
		source string
		want   string
	}{
		"a field without a comment": {
			source: "package v1\n\n// TenantIsolationArgs are.\ntype TenantIsolationArgs struct {\n\tPreemption string `json:\"preemption\"`\n}\n",
			want:   "TenantIsolationArgs: field Preemption has no comment",
		},
		"a field with a name in another language than JSON": {
			source: "package v1\n\n// TenantIsolationArgs are.\ntype TenantIsolationArgs struct {\n\t// Preemption says.\n\tPreemption string `yaml:\"preemption\"`\n}\n",
			want:   "TenantIsolationArgs: field Preemption has no JSON name",
		},
		"a field without a tag": {
			source: "package v1\n\n// TenantIsolationArgs are.\ntype TenantIsolationArgs struct {\n\t// Preemption says.\n\tPreemption string\n}\n",
			want:   "TenantIsolationArgs: field Preemption has no JSON name",
		},
		"a constant without a comment": {
			source: "package v1\n\n// TenantIsolationArgs are.\ntype TenantIsolationArgs struct{}\n\n// Axis is.\ntype Axis string\n\nconst AxisTenant Axis = \"tenant\"\n",
			want:   "Axis: constant AxisTenant has no comment",
		},
		"no arguments": {
			source: "package v1\n",
			want:   "declares no TenantIsolationArgs",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "types.go")
			if err := os.WriteFile(path, []byte(tc.source), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := page(path)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error that contains %q, got: %v", tc.want, err)
			}
		})
	}
}
