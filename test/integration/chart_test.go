package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

var helmProgram = sync.OnceValues(buildHelm)

func buildHelm() (string, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(root, "hack", "tools.sh"), "helm", "hack/helm")
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	return strings.TrimSpace(string(output)), err
}

// chart runs Helm on the chart, as a user with this kubeconfig; an empty one is no cluster at all.
type chart struct {
	*testing.T

	kubeconfig string
}

func (c *chart) helm(args ...string) (string, error) {
	c.Helper()
	program, err := helmProgram()
	if err != nil {
		c.Fatal(err)
	}
	cmd := exec.CommandContext(c.Context(), program, args...)
	cmd.Env = []string{"HOME=" + c.TempDir(), "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + c.kubeconfig}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(output), nil
}

func (c *chart) mustHelm(args ...string) string {
	c.Helper()
	output, err := c.helm(args...)
	if err != nil {
		c.Fatal(err)
	}
	return output
}

func chartFolder(t *testing.T) string {
	t.Helper()
	return filepath.Join(manifests(t), "..", "charts", "tenant-isolation")
}

// The hash of the configuration is part of a name, and made in two ways.
var configHash = regexp.MustCompile(`tenant-isolation-scheduler-config-[0-9a-z]{10}`)

// objectsOf decodes YAML documents, by kind, namespace and name.
func objectsOf(t *testing.T, text string) map[string]any {
	t.Helper()
	text = configHash.ReplaceAllString(text, "tenant-isolation-scheduler-config-HASH")
	all := map[string]any{}
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		object := map[string]any{}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(object) == 0 {
			continue
		}
		metadata, _ := object["metadata"].(map[string]any)
		key := fmt.Sprint(object["kind"], " ", metadata["namespace"], "/", metadata["name"])
		if all[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		all[key] = object
	}
	return all
}

func TestChartInstallsTheManifests(t *testing.T) {
	c := &chart{T: t}
	for name, tc := range map[string]struct {
		values     []string
		components []string
	}{
		"as it is":        {nil, nil},
		"with monitoring": {[]string{"--set", "monitoring=true"}, []string{"monitoring"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := objectsOf(t, c.mustHelm(append([]string{"template", "tenant-isolation", chartFolder(t), "--namespace", "kube-system"}, tc.values...)...))
			want := objectsOf(t, kustomize(t, tc.components...))
			if len(want) < 20 {
				t.Fatalf("kustomize makes %d objects", len(want))
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(sameLines)); diff != "" {
				t.Errorf("the chart differs (-kustomize +helm):\n%s", diff)
			}
		})
	}
}

// sameLines compares texts without their empty lines: kustomize doubles some line ends of folded ones.
func sameLines(a, b string) bool {
	lines := func(text string) []string { return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }) }
	return slices.Equal(lines(a), lines(b))
}

// kustomize renders the default overlay with components.
func kustomize(t *testing.T, components ...string) string {
	t.Helper()
	dir := t.TempDir()
	relative, err := filepath.Rel(dir, manifests(t))
	if err != nil {
		t.Fatal(err)
	}
	text := "resources:\n- " + relative + "/overlays/default\ncomponents:\n"
	for _, component := range components {
		text += "- " + relative + "/components/" + component + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl, err := controlplane.Program("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), kubectl, "kustomize", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(output)
}

func TestChartValues(t *testing.T) {
	c := &chart{T: t}
	output := c.mustHelm("template", "tenant-isolation", chartFolder(t), "--set-json", `image={"repository":"images.example.com/scheduler","tag":"v1","pullSecrets":[{"name":"pull"}]}`,
		"--set", "replicas=3,resources.limits.memory=1Gi,remediation=true")
	for _, want := range []string{
		"image: images.example.com/scheduler:v1\n", "replicas: 3\n", "memory: 1Gi\n", "imagePullSecrets:\n      - name: pull\n",
		"remediation: Evict\n", "name: tenant-isolation-scheduler:remediation\n",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("missing: %q", want)
		}
	}
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"a value that does not exist":   {[]string{"--set", "replica=3"}, "replica"},
		"no replica":                    {[]string{"--set", "replicas=0"}, "/replicas"},
		"a tag in place of a digest":    {[]string{"--set", "image.digest=v1"}, "/image/digest"},
		"the namespace that it makes":   {[]string{"--namespace", "tenant-isolation-system"}, "--namespace kube-system"},
		"an API server that is too old": {[]string{"--kube-version", "v1.35.4"}, ">=1.36.0-0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.helm(append([]string{"template", "tenant-isolation", chartFolder(t)}, tc.args...)...)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, want an error with %q", err, tc.says)
			}
		})
	}
}

// From an empty cluster to an empty cluster. The chart is packed, as whoever has no clone gets it.
func TestChartLifecycle(t *testing.T) {
	plane := controlplanetest.Start(t, controlplane.Options{ControllerManager: true})
	client := mustClient(t, plane)
	c := &chart{T: t, kubeconfig: plane.AdminKubeconfig()}
	dir := t.TempDir()
	c.mustHelm("package", chartFolder(t), "--destination", dir)
	packed := filepath.Join(dir, "tenant-isolation-0.1.0.tgz")
	all := strings.Split(strings.TrimSpace(kustomizedNames(t)), "\n")

	release := []string{"tenant-isolation", "--namespace", "kube-system"}
	run := func(command string, args ...string) {
		t.Helper()
		c.mustHelm(append(append([]string{command}, release...), args...)...)
	}
	replicas := func(want int32) {
		t.Helper()
		if got := *schedulerDeployment(t, client).Spec.Replicas; got != want {
			t.Errorf("%d replicas, want %d", got, want)
		}
	}
	install := func() {
		t.Helper()
		c.mustHelm("install", "tenant-isolation", packed, "--namespace", "kube-system")
		for _, object := range all {
			if _, err := plane.Kubectl(t.Context(), append([]string{"get"}, strings.Fields(object)...)...); err != nil {
				t.Error(err)
			}
		}
		replicas(2)
	}
	uninstall := func() {
		t.Helper()
		run("uninstall")
		eventually(t, "the namespace to go", func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().Namespaces().Get(ctx, systemNamespace, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
		for _, object := range all {
			if output, err := plane.Kubectl(t.Context(), append([]string{"get"}, strings.Fields(object)...)...); err == nil {
				t.Errorf("left: %s", output)
			}
		}
	}
	install()
	c.mustHelm("upgrade", "tenant-isolation", packed, "--namespace", "kube-system", "--set", "replicas=3")
	replicas(3)
	run("rollback", "1")
	replicas(2)
	uninstall()
	install()
	uninstall()
}

// kustomizedNames are the objects of the default overlay as arguments of kubectl get, one a line.
func kustomizedNames(t *testing.T) string {
	t.Helper()
	var lines strings.Builder
	for key := range objectsOf(t, kustomize(t)) {
		kind, name, _ := strings.Cut(key, " ")
		namespace, name, _ := strings.Cut(name, "/")
		if strings.Contains(name, "HASH") {
			continue
		}
		if namespace != "<nil>" {
			name += " --namespace " + namespace
		}
		fmt.Fprintln(&lines, strings.ToLower(kind), name)
	}
	return lines.String()
}

// An installation by kubectl becomes a release.
func TestChartTakesOver(t *testing.T) {
	plane := controlplanetest.Start(t, controlplane.Options{ControllerManager: true})
	c := &chart{T: t, kubeconfig: plane.AdminKubeconfig()}
	apply(t, plane, "overlays/default")
	if _, err := c.helm("install", "tenant-isolation", chartFolder(t), "--namespace", "kube-system"); err == nil {
		t.Error("it takes over what it was not told to")
	}
	c.mustHelm("install", "tenant-isolation", chartFolder(t), "--namespace", "kube-system", "--take-ownership", "--force-conflicts", "--set", "replicas=3")
	if got := *schedulerDeployment(t, mustClient(t, plane)).Spec.Replicas; got != 3 {
		t.Errorf("%d replicas, want 3", got)
	}
}
