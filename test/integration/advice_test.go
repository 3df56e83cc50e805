package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

// A cluster of which preflight says much. The annotation is what a tenant would have an administrator run.
const neglected = `
apiVersion: v1
kind: Namespace
metadata: {name: acme-shop, labels: {tenantisolation.dev/tenant: acme}, annotations: {scheduler.alpha.kubernetes.io/tolerationsWhitelist: '[{"key":"a''; touch owned; #"}]'}}
---
apiVersion: v1
kind: Namespace
metadata: {name: acme-batch, labels: {tenantisolation.dev/tenant: acme}, annotations: {scheduler.alpha.kubernetes.io/tolerationsWhitelist: none}}
---
apiVersion: v1
kind: Namespace
metadata: {name: empty, labels: {tenantisolation.dev/tenant: ""}}
---
apiVersion: v1
kind: Namespace
metadata: {name: wiki}
---
apiVersion: v1
kind: Namespace
metadata: {name: local-path-storage}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: makes-directories}
rules: [{apiGroups: [""], resources: [persistentvolumes, pods], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: makes-directories}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: makes-directories}
subjects: [{kind: ServiceAccount, namespace: local-path-storage, name: driver}]
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: unknown}
handler: unheard-of
---
apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: wiki}
spec: DAEMON
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: kube-system}
spec: DAEMON
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: acme-shop}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {priorityClassName: system-node-critical, containers: [{name: c, image: example.com/c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: acme-shop}
spec: {nodeName: n1, containers: [{name: c, image: example.com/c}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: everybody-edits}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "o'neill"}]
`

// What preflight says is to be done can be run as it is, with kubectl, Helm and the tool alone, from an empty
// folder. Afterwards the policies are as shipped.
func TestPreflightAdviceCanBeRun(t *testing.T) {
	plane := controlplanetest.Start(t, controlplane.Options{ControllerManager: true})
	playHooks(t, plane)
	file := filepath.Join(t.TempDir(), "neglected.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(neglected, "DAEMON", daemonSpec)), 0o600); err != nil {
		t.Fatal(err)
	}
	mustKubectl(t, plane, "apply", "-f", file)
	apply(t, plane, "crds")
	s := newShell(t, plane)

	// Nothing is installed: what names no image is run.
	s.runAll(s.preflight())
	apply(t, plane, "overlays/audit")
	// It leads from outside of the cluster, where no kubelet runs its pods.
	startShipped(t, plane)
	if results := s.preflight(); countOf(results, "policies", preflight.Warn) != 1 {
		t.Fatalf("it does not say that the policies observe: %+v", results)
	} else {
		s.runAll(results)
	}
	mustKubectl(t, plane, "wait", "--for=condition=Enforced", "--timeout=2m", "isolationpolicy/default")
	mustKubectl(t, plane, "delete", "validatingadmissionpolicybinding", "tenant-isolation-fence")
	mustKubectl(t, plane, "patch", "validatingadmissionpolicy", "tenant-isolation-binding", "--type=json",
		"-p", `[{"op":"add","path":"/spec/matchConditions","value":[{"name":"never","expression":"false"}]}]`)
	results := s.preflight()
	if countOf(results, "policies", preflight.Fail) == 0 {
		t.Fatalf("the binding is not missed: %+v", results)
	}
	s.runAll(results)
	results = s.preflight()
	for _, check := range []string{"policies", "storage drivers", "tolerations"} {
		if countOf(results, check, preflight.Pass) != 1 {
			t.Errorf("%s: it is not mended afterwards: %+v", check, results)
		}
	}
	if _, err := os.Stat(filepath.Join(s.folder, "owned")); err == nil {
		t.Error("a tenant's annotation was run as a command")
	}
}

func countOf(results []preflight.Result, check string, status preflight.Status) int {
	found := 0
	for _, r := range results {
		if r.Check == check && r.Status == status {
			found++
		}
	}
	return found
}

const daemonSpec = `{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: example.com/c}]}}}`

// shell runs commands in a folder of its own.
type shell struct {
	*testing.T

	folder string
	env    []string
	ran    map[string]bool
}

func newShell(t *testing.T, plane *controlplane.ControlPlane) *shell {
	t.Helper()
	programs := t.TempDir()
	helm, err := helmProgram()
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"helm": helm, "kubectl": plane.KubectlPath()} {
		if err := os.Symlink(path, filepath.Join(programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", programs, "tenantisolation.dev/scheduler/cmd/kubectl-isolation")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &shell{
		T: t, folder: t.TempDir(), ran: map[string]bool{},
		env: []string{"PATH=" + programs + ":/usr/bin:/bin", "HOME=" + t.TempDir(), "KUBECONFIG=" + plane.AdminKubeconfig()},
	}
}

func (s *shell) run(command string) (output string, status int) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), "sh", "-c", command)
	cmd.Dir, cmd.Env = s.folder, s.env
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		s.Fatalf("%s: %v", command, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// preflight returns what it says. Its lines fit a terminal.
func (s *shell) preflight() []preflight.Result {
	s.Helper()
	text, _ := s.run("kubectl isolation preflight")
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		// What is in quotes is one word.
		if utf8.RuneCountInString(line) > 80 && len(strings.Fields(strings.TrimSuffix(line, " \\"))) > 1 && !strings.Contains(line, "'") {
			s.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	out, _ := s.run("kubectl isolation preflight -o json")
	var results []preflight.Result
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		s.Fatalf("%v in %s", err, out)
	}
	return results
}

// runAll runs the commands, each once. The names of the image and of tenants are the reader's own.
func (s *shell) runAll(results []preflight.Result) {
	s.Helper()
	s.ran = map[string]bool{}
	for _, r := range results {
		for _, command := range r.Run {
			command = strings.NewReplacer("=TENANT", "=acme", " NAME ", " wiki ").Replace(command)
			switch {
			case s.ran[command]:
				continue
			case strings.Contains(command, "REPOSITORY"), strings.HasPrefix(command, "kubectl logs "):
				// No image is there, and no kubelet.
				continue
			}
			s.ran[command] = true
			out, status := s.run(command)
			s.Logf("%s: %s\n%s", r.Check, command, out)
			// A finding is no failure of the command.
			if status != 0 && (status != 1 || !strings.Contains(command, "kubectl isolation ")) {
				s.Errorf("%s: status %d\n%s", command, status, out)
			}
		}
	}
}
