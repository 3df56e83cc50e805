package arguments_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/pkg/cli/arguments"
)

const args = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: TenantIsolationArgs\n"

func profile(name, more string) string {
	return "- schedulerName: " + name + "\n  pluginConfig:\n  - name: TenantIsolation\n    args:\n      " +
		strings.ReplaceAll(strings.TrimSpace(args+more), "\n", "\n      ") + "\n"
}

const configuration = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles:\n"

func TestParse(t *testing.T) {
	tests := map[string]struct {
		text string
		// want is the minimum boundary, or part of an error.
		want, err string
	}{
		"the arguments alone":                         {text: args + "minimumBoundary: sandbox\n", want: "sandbox"},
		"what is left out has its default":            {text: args, want: "vm"},
		"a scheduler configuration":                   {text: configuration + profile("a", "minimumBoundary: sandbox"), want: "sandbox"},
		"a configuration without arguments":           {text: configuration + "- schedulerName: a\n", want: "vm"},
		"two profiles that agree":                     {text: configuration + profile("a", "minimumBoundary: sandbox") + profile("b", "minimumBoundary: sandbox"), want: "sandbox"},
		"two profiles that do not agree":              {text: configuration + profile("a", "minimumBoundary: sandbox") + profile("b", ""), err: "different arguments"},
		"a typo is an error":                          {text: args + "minimumBoundery: vm\n", err: "minimumBoundery"},
		"a typo in a configuration is an error":       {text: configuration + profile("a", "minimumBoundery: vm"), err: "minimumBoundery"},
		"a value that is refused is an error":         {text: args + "minimumBoundary: container\n", err: "minimumBoundary"},
		"another kind is an error":                    {text: "apiVersion: v1\nkind: Pod\n", err: "want a KubeSchedulerConfiguration"},
		"text that is not YAML is an error":           {text: "a: b: c", err: "not valid YAML"},
		"a ConfigMap with a configuration":            {text: configMap(configuration + profile("a", "minimumBoundary: sandbox")), want: "sandbox"},
		"a ConfigMap with something else is an error": {text: configMap("hello"), err: "contains no scheduler configuration"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := arguments.Parse([]byte(tc.text))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(got.MinimumBoundary) != tc.want {
				t.Errorf("minimum boundary %s, want %s", got.MinimumBoundary, tc.want)
			}
		})
	}
}

func configMap(text string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  namespace: n\ndata:\n  scheduler-config.yaml: |\n    " +
		strings.ReplaceAll(text, "\n", "\n    ") + "\n"
}

// The shipped arguments differ from the defaults in nothing that decides who may share a
// kernel.
func TestShippedConfiguration(t *testing.T) {
	text, err := os.ReadFile("../../../manifests/base/scheduler-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := arguments.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want := arguments.Default()
	if diff := cmp.Diff(want.LabelKeys, got.LabelKeys) + cmp.Diff(want.BoundaryByHandler, got.BoundaryByHandler) + cmp.Diff(want.SeparateBy, got.SeparateBy); diff != "" {
		t.Errorf("(-default +shipped):\n%s", diff)
	}
}
