package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/charts"
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
			got := objectsOf(t, c.mustHelm(append([]string{"template", "tenant-isolation", chartFolder(t), "--namespace", "kube-system", "--include-crds", "--no-hooks"}, tc.values...)...))
			want := objectsOf(t, kustomize(t, tc.components...))
			// A hook installs the rest of manifests/crds: Helm upgrades nothing that is in its folder crds.
			maps.Copy(want, objectsOf(t, readFile(t, manifests(t, "crds", "tenantisolation.dev_isolationpolicies.yaml"))))
			if len(want) < 20 {
				t.Fatalf("kustomize makes %d objects", len(want))
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(sameLines)); diff != "" {
				t.Errorf("the chart differs (-kustomize +helm):\n%s", diff)
			}
		})
	}
}

// packedChart is what `kubectl isolation chart` writes.
func packedChart(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tenant-isolation.tgz")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(charts.Pack(file), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// The chart of the tool has every file that the one of the repository has.
func TestPackedChart(t *testing.T) {
	c := &chart{T: t}
	arguments := func(chart string) []string {
		return []string{"template", "tenant-isolation", chart, "--namespace", "kube-system", "--include-crds", "--set", "monitoring=true,remediation=true"}
	}
	packed := packedChart(t)
	if diff := cmp.Diff(c.mustHelm(arguments(chartFolder(t))...), c.mustHelm(arguments(packed)...)); diff != "" {
		t.Errorf("the packed chart differs (-repository +tool):\n%s", diff)
	}
	for _, what := range []string{"values", "chart"} {
		if diff := cmp.Diff(c.mustHelm("show", what, chartFolder(t)), c.mustHelm("show", what, packed)); diff != "" {
			t.Errorf("the packed chart differs in its %s (-repository +tool):\n%s", what, diff)
		}
	}
	if _, err := c.helm("template", packed, "--set", "replica=3"); err == nil {
		t.Error("it takes a value that does not exist")
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
		"--set-json", `policy={"dataClasses":[],"boundaries":{"minimum":"sandbox"}}`, "--set", "replicas=3,resources.limits.memory=1Gi,remediation=true")
	for _, want := range []string{
		"image: images.example.com/scheduler:v1\n", "replicas: 3\n", "memory: 1Gi\n", "imagePullSecrets:\n      - name: pull\n",
		"remediation: Evict\n", "name: tenant-isolation-scheduler:remediation\n",
		"enforcement: Enforce\n", "dataClasses: []\n", "minimum: sandbox\n",
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
		"no map":                        {[]string{"--set", "policy=x"}, "/policy"},
		"remediation without the right": {[]string{"--set", "policy.audit.remediation=Evict"}, "set the value remediation"},
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

// From an empty cluster to an empty cluster, and again. The chart is that of the tool, as whoever has no clone gets it.
func TestChartLifecycle(t *testing.T) {
	plane := controlplanetest.Start(t, controlplane.Options{ControllerManager: true})
	r := &release{
		chart: &chart{T: t, kubeconfig: plane.AdminKubeconfig()}, plane: plane, client: mustClient(t, plane), hooks: playHooks(t, plane), all: installedNames(t),
	}
	// The pods of the hooks go where only the strictest standard is allowed.
	mustKubectl(t, plane, "label", "namespace", "kube-system", "pod-security.kubernetes.io/enforce=restricted")
	r.packed = packedChart(t)

	r.install()
	r.expect("2", "Never")
	scheduler := startShipped(t, plane)
	dedicateNode(t, r.client)

	// As an older build has left it, which has a field less.
	mustKubectl(t, plane, "patch", "customresourcedefinition", isolationPolicies, "--type=json",
		"-p", `[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/preemption"}]`)
	r.mustHelm("upgrade", "tenant-isolation", r.packed, "--namespace", "kube-system", "--set", "replicas=3,policy.preemption=SameTenant")
	r.hooks.expect("lifecycle apply-crds")
	r.expect("3", "SameTenant")
	r.refused()
	r.mustHelm("rollback", "tenant-isolation", "1", "--namespace", "kube-system")
	r.expect("2", "Never")
	if traces(t, r.client) == "" {
		t.Error("the node was freed")
	}
	r.uninstall(scheduler)

	r.install()
	scheduler = startShipped(t, plane)
	awaitTraces(t, r.client)
	// Without one the leader frees nothing: the hook makes it once more.
	mustKubectl(t, plane, "delete", "isolationpolicy", "default")
	r.uninstall(scheduler)
}

const isolationPolicies = "isolationpolicies.tenantisolation.dev"

// release is the chart, installed on a cluster.
type release struct {
	*chart

	plane  *controlplane.ControlPlane
	client kubernetes.Interface
	hooks  *hookKubelet
	packed string
	// all are the objects that belong to it, by namespace, as arguments of kubectl get.
	all map[string][]string
}

func (r *release) install() {
	r.Helper()
	r.mustHelm("install", "tenant-isolation", r.packed, "--namespace", "kube-system")
	r.hooks.expect("lifecycle apply-crds")
	for namespace, objects := range r.all {
		mustKubectl(r.T, r.plane, append([]string{"get", "--namespace=" + namespace}, objects...)...)
	}
}

// expect looks at what a value of the chart has changed.
func (r *release) expect(replicas, preemption string) {
	r.Helper()
	if got := mustKubectl(r.T, r.plane, "-n", systemNamespace, "get", "deployment", schedulerName, "-o", "jsonpath={.spec.replicas}"); got != replicas {
		r.Errorf("%s replicas, want %s", got, replicas)
	}
	if got := mustKubectl(r.T, r.plane, "get", "isolationpolicy", "default", "-o", "jsonpath={.spec.preemption}"); got != preemption {
		r.Errorf("preemption is %s, want %s", got, preemption)
	}
}

// refused upgrades by values that the API server refuses: wrong ones, and one that somebody has changed since.
func (r *release) refused() {
	r.Helper()
	mustKubectl(r.T, r.plane, "patch", "isolationpolicy", "default", "--type=merge", "-p", `{"spec":{"preemption":"Any"}}`)
	for value, says := range map[string]string{
		"policy.enforcement=Never":     `spec.enforcement: Unsupported value: "Never"`,
		"policy.enforcment=Audit":      "spec.enforcment",
		"policy.preemption=SameTenant": "conflict",
	} {
		_, err := r.helm("upgrade", "tenant-isolation", r.packed, "--namespace", "kube-system", "--no-hooks", "--set", value)
		if err == nil || !strings.Contains(err.Error(), says) {
			r.Errorf("%s: %v, want an error with %q", value, err, says)
		}
	}
	mustKubectl(r.T, r.plane, "patch", "isolationpolicy", "default", "--type=json", "-p", `[{"op":"remove","path":"/spec/preemption"}]`)
}

// uninstall expects that nothing is left. The scheduler runs until its nodes are free.
func (r *release) uninstall(scheduler *controlplane.Scheduler) {
	r.Helper()
	r.mustHelm("uninstall", "tenant-isolation", "--namespace", "kube-system")
	scheduler.Stop()
	r.hooks.expect("lifecycle drain", "lifecycle remove")
	eventually(r.T, "the namespace to go", func(ctx context.Context) (bool, error) {
		_, err := r.client.CoreV1().Namespaces().Get(ctx, systemNamespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	for namespace, objects := range r.all {
		if left := mustKubectl(r.T, r.plane, append([]string{"get", "--ignore-not-found", "-o", "name", "--namespace=" + namespace}, objects...)...); left != "" {
			r.Errorf("left in namespace %q: %s", namespace, left)
		}
	}
	left := mustKubectl(r.T, r.plane, "get", "jobs,serviceaccounts,pods,clusterroles,clusterrolebindings,secrets", "--namespace", "kube-system", "-o", "name")
	for name := range strings.FieldsSeq(left) {
		if strings.Contains(name, "tenant-isolation") {
			r.Errorf("left: %s", name)
		}
	}
	if found := traces(r.T, r.client); found != "" {
		r.Errorf("nodes are not free: %s", found)
	}
}

// installedNames are the objects of the default overlay and of manifests/crds, by namespace, as arguments of
// kubectl get. It leaves out the IsolationPolicy, whose kind goes as well.
func installedNames(t *testing.T) map[string][]string {
	t.Helper()
	objects := objectsOf(t, kustomize(t))
	maps.Copy(objects, objectsOf(t, readFile(t, manifests(t, "crds", "keepers.yaml"))))
	names := map[string][]string{"": {"customresourcedefinition/" + isolationPolicies}}
	for key := range objects {
		kind, name, _ := strings.Cut(key, " ")
		namespace, name, _ := strings.Cut(name, "/")
		if strings.Contains(name, "HASH") || kind == "IsolationPolicy" {
			continue
		}
		if namespace == "<nil>" {
			namespace = ""
		}
		names[namespace] = append(names[namespace], strings.ToLower(kind)+"/"+name)
	}
	return names
}

// An installation by kubectl becomes a release.
func TestChartTakesOver(t *testing.T) {
	plane := controlplanetest.Start(t, controlplane.Options{ControllerManager: true})
	c := &chart{T: t, kubeconfig: plane.AdminKubeconfig()}
	playHooks(t, plane)
	apply(t, plane, "crds")
	apply(t, plane, "overlays/default")
	if _, err := c.helm("install", "tenant-isolation", chartFolder(t), "--namespace", "kube-system"); err == nil {
		t.Error("it takes over what it was not told to")
	}
	c.mustHelm("install", "tenant-isolation", chartFolder(t), "--namespace", "kube-system", "--take-ownership", "--force-conflicts", "--set", "replicas=3")
	if got := *schedulerDeployment(t, mustClient(t, plane)).Spec.Replicas; got != 3 {
		t.Errorf("%d replicas, want 3", got)
	}
}
