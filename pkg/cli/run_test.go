package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli"
	"tenantisolation.dev/scheduler/pkg/policy"
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
	cli.PrintError(&errOut, err)
	return result{out.String(), errOut.String(), cli.ExitStatus(err)}
}

// unfolded is a text without its line breaks, which depend on its length.
func unfolded(text string) string { return strings.Join(strings.Fields(text), " ") }

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

// forVMs is a node that reports the handler of kata.
func forVMs(name string) string {
	return node(name) + "\n  runtimeHandlers:\n  - name: kata-qemu\n  - name: runc"
}

// large is a pod of which a node of four CPUs holds one.
func large(pod string) string {
	return regexp.MustCompile(`cpu: [^ ,}\n]+`).ReplaceAllString(pod, `cpu: "3"`)
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

// policyInForce is the IsolationPolicy of a cluster whose admission policies are enforced.
func policyInForce(generation int64, change func(*v1alpha1.IsolationPolicySpec)) string {
	object := &v1alpha1.IsolationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultName, Generation: generation},
		Spec:       *policy.Default(),
	}
	if change != nil {
		change(&object.Spec)
	}
	object.Status = v1alpha1.IsolationPolicyStatus{
		ObservedGeneration: generation, InForce: &v1alpha1.InForce{Generation: generation, Spec: object.Spec},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionEnforced, Status: metav1.ConditionTrue, Reason: "AsShipped", Message: "every admission policy is as shipped"}},
	}
	text, err := yaml.Marshal(object)
	utilruntime.Must(err)
	return string(text)
}

func dedicating(spec *v1alpha1.IsolationPolicySpec) { spec.Dedication.Mode = v1alpha1.ModeEnabled }

// underPolicy is a cluster of which another policy would change much.
func underPolicy(policy string) string {
	return list(policy, dedicatedNode("n1", "acme"), node("n2"), node("n3"), kata,
		namespace("shop", tenant("acme")), namespace("api", tenant("globex")), namespace("vault", tenant("acme"), "tenantisolation.dev/data-class: restricted"),
		namespace("wiki"), namespace("locked", tenant("globex"), "tenantisolation.dev/boundary: vm"),
		pod("shop", "web-0", "n1"), pod("shop", "tool", "n1", "hostPID: true"),
		pod("shop", "vm-0", "n2", inVM), pod("api", "vm-0", "n2", inVM), pod("locked", "vm-0", "n2", inVM),
		pod("api", "server", "n3"), pod("wiki", "page", "n3"), pod("vault", "db", ""))
}

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
