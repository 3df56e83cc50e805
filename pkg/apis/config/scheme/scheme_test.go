package scheme

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubescheduler "k8s.io/kubernetes/pkg/scheduler/apis/config"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// header enables the plugin without arguments. The indented lines of arguments
// follow it.
const header = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: tenant-isolation-scheduler
  plugins:
    multiPoint:
      enabled:
      - name: TenantIsolation
`

// configuration returns a scheduler configuration with these arguments in YAML.
func configuration(args string) string {
	var b strings.Builder
	b.WriteString(header + "  pluginConfig:\n  - name: TenantIsolation\n    args:\n")
	for line := range strings.Lines(strings.TrimLeft(args, "\n")) {
		b.WriteString("      " + line)
	}
	return b.String()
}

// decode reads a configuration as kube-scheduler reads the file of --config.
func decode(data string) (*kubescheduler.KubeSchedulerConfiguration, error) {
	obj, _, err := Codecs.UniversalDecoder().Decode([]byte(data), nil, nil)
	if err != nil {
		return nil, err
	}
	cfg, ok := obj.(*kubescheduler.KubeSchedulerConfiguration)
	if !ok {
		return nil, fmt.Errorf("want a scheduler configuration, got %T", obj)
	}
	return cfg, nil
}

// decodedArgs returns the arguments that the plugin of the only profile would get.
func decodedArgs(t *testing.T, data string) *config.TenantIsolationArgs {
	t.Helper()
	cfg, err := decode(data)
	if err != nil {
		t.Fatalf("cannot decode the configuration: %v\n%s", err, data)
	}
	for _, pluginConfig := range cfg.Profiles[0].PluginConfig {
		if pluginConfig.Name != "TenantIsolation" {
			continue
		}
		args, ok := pluginConfig.Args.(*config.TenantIsolationArgs)
		if !ok {
			t.Fatalf("want arguments of type %T, got %T", args, pluginConfig.Args)
		}
		return args
	}
	t.Fatal("the configuration has no arguments for TenantIsolation")
	return nil
}

func TestDecode(t *testing.T) {
	for name, tc := range map[string]struct {
		data string
		want config.TenantIsolationArgs
	}{
		"without pluginConfig":  {data: header},
		"with empty arguments":  {data: configuration("{}")},
		"the name of an object": {data: configuration("policyName: default\n"), want: config.TenantIsolationArgs{PolicyName: "default"}},
		"apiVersion and kind may be written": {
			data: configuration("apiVersion: kubescheduler.config.k8s.io/v1\nkind: TenantIsolationArgs\npolicyName: other\n"),
			want: config.TenantIsolationArgs{PolicyName: "other"},
		},
		"a policy inline": {
			data: configuration("policy: {enforcement: Audit}\n"),
			want: config.TenantIsolationArgs{Policy: &runtime.RawExtension{Raw: []byte(`{"enforcement":"Audit"}`)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := decodedArgs(t, tc.data)
			got.TypeMeta = metav1.TypeMeta{}
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeIsStrict(t *testing.T) {
	for _, args := range []string{"policyNam: default\n", "policyName: default\npolicyName: other\n", "dataClasses: []\n"} {
		if _, err := decode(configuration(args)); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
