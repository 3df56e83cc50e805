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
			map[string]any{"preemtion": "Never"}, `policy.preemtion: Invalid value: there is no such field`,
		},
		"in a field of a field": {
			map[string]any{"boundaries": map[string]any{"minimun": "vm"}}, `policy.boundaries.minimun: Invalid value: there is no such field`,
		},
		"in the case of a letter": {
			map[string]any{"dataclasses": []any{"public"}}, `policy.dataclasses: Invalid value: there is no such field`,
		},
		"a value of the wrong type": {
			map[string]any{"dataClasses": "public"}, "dataClasses",
		},
	} {
		t.Run(name, func(t *testing.T) {
			output, exit := schedulerCommand(t, writeConfig(t, alone("mistaken"), inline(tc.args), adminKubeconfig))
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
	output, exit := schedulerCommand(t, writeConfig(t, alone("mistaken"), adminKubeconfig, inline(map[string]any{
		"sharing":            map[string]any{"privileges": []any{[]any{"baseline", "root"}}},
		"boundaries":         map[string]any{"handlers": map[string]any{"kata-qemu": "fortress"}, "hostPathProvisioners": []any{""}},
		"platformNamespaces": map[string]any{"names": []any{"Not_A_Name"}},
		"preemption":         "Sometimes",
		"separateBy":         []any{"data-class", "colour"},
	})))
	if exit == 0 {
		t.Error("it ends with success")
	}
	for _, path := range []string{
		"sharing.privileges[0][1]", "boundaries.handlers.kata-qemu", "boundaries.hostPathProvisioners[0]",
		"platformNamespaces.names[0]", "preemption", "separateBy[1]",
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
	for _, want := range []string{"kind: TenantIsolationArgs", "policy: {}"} {
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
		c := newFixtureWith(t, map[string]any{"boundaries": map[string]any{"handlers": map[string]any{handlerOf[kata]: "container"}}})
		node := c.node(kataCapable)
		c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(otherKata)))
		c.refused(c.pod(c.namespace(tenant("globex")), runtimeClass(kata)), foreignThere)
		c.expectOn(node, c.pod(c.namespace(tenant("globex")), runtimeClass(otherKata)))
	})
	t.Run("an annotation that is allowed", func(t *testing.T) {
		c := newFixtureWith(t, map[string]any{"boundaries": map[string]any{"allowedAnnotations": []any{kataAnnotation}}})
		node := c.node(kataCapable)
		c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(kata), annotated(kataAnnotation, "true")))
		c.expectOn(node, c.pod(c.namespace(tenant("globex")), runtimeClass(kata)))
		c.refused(c.pod(c.namespace(tenant("globex")), runtimeClass(kata), annotated(kataAnnotation+"_too", "true")), foreignThere)
	})
}
