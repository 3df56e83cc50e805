package integration

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
)

// schedulerCommand runs the binary until it ends, and returns what it prints and its exit
// status. It has a cluster to connect to, so that only the configuration can be at fault.
func schedulerCommand(t *testing.T, config string, args ...string) (string, int) {
	t.Helper()
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{
		"--config=" + config,
		"--authentication-kubeconfig=" + w.plane.AdminKubeconfig(),
		"--authorization-kubeconfig=" + w.plane.AdminKubeconfig(),
		"--bind-address=127.0.0.1",
		"--secure-port=0",
	}, args...)...)
	// Should it hold its output open from beyond its end.
	cmd.WaitDelay = time.Second
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("it runs with this configuration, want it to end:\n%s", output)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	// Its log quotes the error, and escapes what the error quotes.
	return strings.ReplaceAll(string(output), `\"`, `"`), cmd.ProcessState.ExitCode()
}

func adminKubeconfig(t *testing.T, config map[string]any) {
	t.Helper()
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if err := unstructured.SetNestedField(config, w.plane.AdminKubeconfig(), "clientConnection", "kubeconfig"); err != nil {
		t.Fatal(err)
	}
}

func TestArgumentsTypoStopsTheStart(t *testing.T) {
	for name, tc := range map[string]struct {
		args map[string]any
		want string
	}{
		"in a field": {
			map[string]any{"preemtion": "Never"}, `unknown field "preemtion"`,
		},
		"in a field of a field": {
			map[string]any{"labelKeys": map[string]any{"tennant": "example.com/tenant"}}, `unknown field "labelKeys.tennant"`,
		},
		"in the case of a letter": {
			map[string]any{"minimumboundary": "vm"}, `unknown field "minimumboundary"`,
		},
		"a value of the wrong type": {
			map[string]any{"dataClasses": "public"}, "dataClasses",
		},
	} {
		t.Run(name, func(t *testing.T) {
			output, exit := schedulerCommand(t, writeConfig(t, alone("mistaken"), pluginArgs(tc.args), adminKubeconfig))
			if exit == 0 {
				t.Error("it ends with success")
			}
			if !strings.Contains(output, tc.want) {
				t.Errorf("it does not say %s:\n%s", tc.want, output)
			}
		})
	}
}

func TestArgumentsReportEveryFault(t *testing.T) {
	output, exit := schedulerCommand(t, writeConfig(t, alone("mistaken"), adminKubeconfig, pluginArgs(map[string]any{
		"labelKeys":                 map[string]any{"tenant": "not a key"},
		"dataClasses":               []any{"public", "public", "unclassified"},
		"separateBy":                []any{"data-class", "colour"},
		"sharing":                   map[string]any{"privileges": []any{[]any{"baseline", "root"}}},
		"boundaryByHandler":         map[string]any{"kata-qemu": "fortress"},
		"minimumBoundary":           "container",
		"platformNamespaces":        map[string]any{"names": []any{"Not_A_Name"}, "selector": map[string]any{}},
		"allowedRuntimeAnnotations": []any{"example.com/any"},
		"hostPathProvisioners":      []any{""},
		"preemption":                "Sometimes",
	})))
	if exit == 0 {
		t.Error("it ends with success")
	}
	for _, path := range []string{
		"labelKeys.tenant", "dataClasses[1]", "dataClasses[2]", "separateBy:", "separateBy[1]", "sharing.privileges[0][1]",
		"boundaryByHandler[kata-qemu]", "minimumBoundary", "platformNamespaces.names[0]", "platformNamespaces.selector",
		"allowedRuntimeAnnotations[0]", "hostPathProvisioners[0]", "preemption",
	} {
		if !strings.Contains(output, path) {
			t.Errorf("nothing is said of %s", path)
		}
	}
	if t.Failed() {
		t.Log(output)
	}
}

func TestConfigurationIsWrittenAsRead(t *testing.T) {
	written, again := filepath.Join(t.TempDir(), "written.yaml"), filepath.Join(t.TempDir(), "again.yaml")
	shipped := writeConfig(t, adminKubeconfig)
	for _, step := range []struct{ from, to string }{{shipped, written}, {written, again}} {
		if output, exit := schedulerCommand(t, step.from, "--write-config-to="+step.to); exit != 0 {
			t.Fatalf("exit status %d:\n%s", exit, output)
		}
	}
	text := readFile(t, written)
	if diff := cmp.Diff(text, readFile(t, again)); diff != "" {
		t.Errorf("written, read and written once more it differs (-first +second):\n%s", diff)
	}
	// The scheduler writes the fields in order.
	sorted := cmpopts.SortSlices(func(a, b config.PluginConfig) bool { return a.Name < b.Name })
	if diff := cmp.Diff(decodeConfig(t, readFile(t, shipped)).Profiles, decodeConfig(t, text).Profiles, sorted); diff != "" {
		t.Errorf("what is written means something else than what was read (-read +written):\n%s", diff)
	}
	// With every default, so that an administrator sees the effective values.
	for _, want := range []string{"kind: TenantIsolationArgs", "minimumBoundary: vm", "preemption: Never", "kata-qemu: vm", "tenant: tenantisolation.dev/tenant"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not write %q:\n%s", want, text)
		}
	}
}

// A filter that comes first can have preemption empty a node of another trust domain, and
// a scheduler that binds first leaves no evidence.
func TestProfileWithThePluginMisplaced(t *testing.T) {
	for _, point := range []string{"filter", "bind"} {
		t.Run(point, func(t *testing.T) {
			c := newFixtureRunning(t, func(t *testing.T, config map[string]any) {
				t.Helper()
				unstructured.RemoveNestedField(theProfile(t, config), "plugins", point)
			})
			c.node()
			pod := c.pod(c.namespace(tenant("acme")))
			c.refused(pod, "has to be the first of the "+point+" plugins")
		})
	}
}

func TestArgumentsChanged(t *testing.T) {
	t.Run("another label key", func(t *testing.T) {
		c := newFixtureWith(t, map[string]any{"labelKeys": map[string]any{"tenant": "example.com/team"}})
		node := c.node()
		red, blue := c.namespace(otherLabel("red")), c.namespace(otherLabel("blue"), tenant("red"))
		c.expectOn(node, c.pod(red))
		c.refused(c.pod(blue), foreignThere)
		c.refused(c.pod(c.namespace(tenant("red"))), noTenant)
	})
	t.Run("axes that do not separate", func(t *testing.T) {
		c := newFixtureWith(t, map[string]any{"separateBy": []any{"tenant"}})
		node := c.node()
		c.expectOn(node, c.pod(c.namespace(tenant("acme"))))
		c.expectOn(node, c.pod(c.namespace(tenant("acme"), dataClass("restricted")), privileged, hostNetwork))
		c.refused(c.pod(c.namespace(tenant("globex"))), foreignThere)
	})
	t.Run("data classes that share", func(t *testing.T) {
		c := newFixtureWith(t, map[string]any{"sharing": map[string]any{"dataClasses": []any{[]any{"public", "internal"}}}})
		node := c.node()
		c.expectOn(node, c.pod(c.namespace(tenant("acme"), dataClass("public"))))
		c.expectOn(node, c.pod(c.namespace(tenant("acme"), dataClass("internal"))))
		c.refused(c.pod(c.namespace(tenant("acme"), dataClass("confidential"))), foreignThere)
		c.refused(c.pod(c.namespace(tenant("globex"), dataClass("public"))), foreignThere)
	})
	t.Run("a handler that is no boundary", func(t *testing.T) {
		c := newFixtureWith(t, map[string]any{"boundaryByHandler": map[string]any{handlerOf[otherKata]: "vm"}})
		node := c.node(kataCapable)
		c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(otherKata)))
		c.refused(c.pod(c.namespace(tenant("globex")), runtimeClass(kata)), foreignThere)
		c.expectOn(node, c.pod(c.namespace(tenant("globex")), runtimeClass(otherKata)))
	})
	t.Run("an annotation that is allowed", func(t *testing.T) {
		c := newFixtureWith(t, map[string]any{"allowedRuntimeAnnotations": []any{kataAnnotation}})
		node := c.node(kataCapable)
		c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(kata), annotated(kataAnnotation, "true")))
		c.expectOn(node, c.pod(c.namespace(tenant("globex")), runtimeClass(kata)))
		c.refused(c.pod(c.namespace(tenant("globex")), runtimeClass(kata), annotated(kataAnnotation+"_too", "true")), foreignThere)
	})
}
