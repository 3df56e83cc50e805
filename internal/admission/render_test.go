package admission

import (
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func TestShippedPoliciesMatchTheConfiguration(t *testing.T) {
	for name, want := range render(t, shippedConfig(t)) {
		got := string(readManifest(t, name))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got), run `go run ./hack/policies`:\n%s", name, diff)
		}
	}
}

// A template that writes down what the configuration decides would go unnoticed for as long
// as everybody keeps the defaults.
func TestTemplatesContainNoConfiguration(t *testing.T) {
	c, err := ReadConfig([]byte(configOf(`
      labelKeys:
        tenant: example.com/customer
        dataClass: example.com/sensitivity
        privilege: example.com/level
        boundary: example.com/wall
        runtimeClass: example.com/runtime
      dataClasses: [green, red]
      boundaryByHandler: {my-vm: vm, my-sandbox: sandbox, my-runc: container}
      platformNamespaces:
        names: [agents]
        selector: {matchLabels: {example.com/platform: "yes", kubernetes.io/metadata.name: storage}}
      allowedRuntimeAnnotations: [io.katacontainers.config.hypervisor.default_vcpus]
`)), []byte(`{apiVersion: v1, kind: ServiceAccount, metadata: {name: my-account, namespace: my-namespace}}`))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for name, text := range render(t, c) {
		if path.Base(name) != "scheduler-config.yaml" {
			all.WriteString(text)
		}
	}
	got := all.String()
	// The taints of nodes have keys like those of labels, and do not follow them.
	for _, taint := range []string{isolation.TenantTaint, isolation.DataClassTaint, isolation.BoundaryTaint} {
		got = strings.ReplaceAll(got, strconv.Quote(taint), "")
	}
	got = strings.ReplaceAll(got, "the taints and labels "+c.dedicationValues()["dedicationKeyNames"], "")
	got = strings.ReplaceAll(got, "spec.tolerations has "+isolation.BoundaryTaint, "")
	for _, gone := range []string{
		"tenantisolation.dev/tenant", "tenantisolation.dev/data-class", "tenantisolation.dev/privilege",
		"tenantisolation.dev/boundary", "tenantisolation.dev/runtime-class", "confidential", "kata-qemu", "runsc",
		"tenant-isolation-scheduler", "tenant-isolation-system", "kube-system\"]", "my-runc",
	} {
		if strings.Contains(got, gone) {
			t.Errorf("a template says %q", gone)
		}
	}
	for _, there := range []string{
		`dataClasses: "unclassified green red"`, `["my-vm"]`, `["my-sandbox", "my-vm"]`,
		`["agents", "storage"]`, `"example.com/runtime", "example.com/platform"]`,
		`schedulerNames: "one-scheduler"`, `system:serviceaccount:my-namespace:my-account`,
		`runtimeAnnotations: "io.katacontainers.config.hypervisor.default_vcpus"`,
	} {
		if !strings.Contains(got, there) {
			t.Errorf("no policy says %s", there)
		}
	}
	for name, policy := range policies(t, render(t, c)) {
		t.Run(name, func(t *testing.T) { compile(t, policy) })
	}
}

func configOf(args string) string {
	return profilesOf(`
- schedulerName: one-scheduler
  plugins: {multiPoint: {enabled: [{name: TenantIsolation}]}}
  pluginConfig:
  - name: TenantIsolation
    args:
      apiVersion: kubescheduler.config.k8s.io/v1
      kind: TenantIsolationArgs` + args)
}

func profilesOf(profiles string) string {
	return "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles:" + profiles
}

func TestReadConfig(t *testing.T) {
	const (
		isolating = `
- schedulerName: one
  plugins: {multiPoint: {enabled: [{name: TenantIsolation}]}}`
		second = `
- schedulerName: two
  plugins: {filter: {enabled: [{name: TenantIsolation}]}}`
		ordinary = `
- schedulerName: three`
		unlike = second + `
  pluginConfig:
  - name: TenantIsolation
    args: {apiVersion: kubescheduler.config.k8s.io/v1, kind: TenantIsolationArgs, dataClasses: [red]}`
	)
	tests := map[string]struct {
		config  string
		want    []string
		problem string
	}{
		"a profile without arguments has the defaults": {config: profilesOf(isolating), want: []string{"one"}},
		"a profile without the plugin is not steered to": {
			config: profilesOf(ordinary + isolating + second), want: []string{"one", "two"},
		},
		"a configuration that isolates nothing is refused": {config: profilesOf(ordinary), problem: "no profile enables"},
		"profiles that isolate differently are refused":    {config: profilesOf(isolating + unlike), problem: "profiles[1].pluginConfig[0].args: differs"},
		"a name that would become two in the policies is refused": {
			config: profilesOf(strings.ReplaceAll(isolating, "one", "one two")), problem: "profiles[0].schedulerName",
		},
		"an unknown argument is refused": {config: configOf("\n      dataClass: [red]"), problem: `unknown field "dataClass"`},
		"arguments that the scheduler would refuse are refused": {
			config: configOf("\n      dataClasses: [red, red]"), problem: "dataClasses[1]",
		},
	}
	account := readManifest(t, "base/serviceaccount.yaml")
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ReadConfig([]byte(tc.config), account)
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Fatalf("error %v, want one with %q", err, tc.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.SchedulerNames); diff != "" {
				t.Errorf("scheduler names (-want +got):\n%s", diff)
			}
		})
	}
}
