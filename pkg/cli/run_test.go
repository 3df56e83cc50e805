package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"tenantisolation.dev/scheduler/pkg/cli"
)

// result is the output of the command.
type result struct {
	out, errOut string
	status      int
}

// run runs the tool without a cluster.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	var out, errOut bytes.Buffer
	command := cli.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: &errOut})
	command.SetArgs(args)
	err := command.ExecuteContext(t.Context())
	if err != nil && !cli.Silent(err) {
		errOut.WriteString("error: " + err.Error() + "\n")
	}
	return result{out.String(), errOut.String(), cli.ExitStatus(err)}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Objects of a small cluster.

func list(objects ...string) string {
	text := "apiVersion: v1\nitems:\n"
	for _, object := range objects {
		text += "- " + strings.ReplaceAll(strings.TrimSpace(object), "\n", "\n  ") + "\n"
	}
	return text + "kind: List\nmetadata:\n  resourceVersion: \"\"\n"
}

func node(name string) string {
	return "apiVersion: v1\nkind: Node\nmetadata:\n  name: " + name +
		"\nstatus:\n  allocatable:\n    cpu: \"4\"\n    memory: 16Gi\n    pods: \"110\""
}

// dedicatedNode bears the taints of a dedication for a tenant without a data class.
func dedicatedNode(name, tenant string) string {
	return strings.Replace(node(name), "\nstatus:", "\nspec:\n  taints:\n  - effect: NoSchedule\n    key: tenantisolation.dev/tenant\n    value: "+tenant+
		"\n  - effect: NoSchedule\n    key: tenantisolation.dev/data-class\n    value: unclassified\nstatus:", 1)
}

// namespace takes labels as "key: value" lines.
func namespace(name string, labels ...string) string {
	text := "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: " + name
	if len(labels) > 0 {
		text += "\n  labels:\n    " + strings.Join(labels, "\n    ")
	}
	return text
}

func tenant(name string) string { return "tenantisolation.dev/tenant: " + name }

// pod takes more lines of its spec.
func pod(namespace, name, node string, spec ...string) string {
	text := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\n  namespace: " + namespace + "\nspec:\n  containers:\n" +
		"  - image: example.com/app\n    name: app\n    resources:\n      requests:\n        cpu: 500m\n        memory: 1Gi"
	if node != "" {
		text += "\n  nodeName: " + node
	}
	for _, line := range spec {
		text += "\n  " + line
	}
	return text + "\nstatus:\n  phase: Running"
}

const kata = "apiVersion: node.k8s.io/v1\nhandler: kata-qemu\nkind: RuntimeClass\nmetadata:\n  name: kata-qemu"

const inVM = "runtimeClassName: kata-qemu"

// shared is a cluster with one finding: acme and globex on n1.
func shared() string {
	return list(node("n1"), node("n2"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")), namespace("kube-system"), kata,
		pod("shop", "web-0", "n1"), pod("shop", "web-1", "n2"), pod("api", "server", "n1"), pod("kube-system", "agent", "n1"))
}

// separate is a cluster without a finding.
func separate() string {
	return list(node("n1"), node("n2"), node("n3"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")), kata,
		pod("shop", "web-0", "n1"), pod("api", "server", "n2"), pod("shop", "vm", "n3", inVM), pod("api", "vm", "n3", inVM))
}
