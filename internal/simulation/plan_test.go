package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"tenantisolation.dev/scheduler/pkg/cli"
)

// What kubectl isolation plan promises is within a tenth of what the scheduler then does.
func TestPlanIsWhatTheSchedulerDoes(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			manifests := t.TempDir()
			if err := os.WriteFile(filepath.Join(manifests, "cluster.yaml"), []byte(randomCluster(seed)), 0o600); err != nil {
				t.Fatal(err)
			}
			promised := planOf(t, manifests)
			c := load(t, manifests, kataClasses())
			c.admit()
			outcome, err := Place(t.Context(), c, shippedProfile(t), seed, func(int, int) {})
			if err != nil {
				t.Fatal(err)
			}
			nodes, pending := sets.New[string](), 0
			for _, pod := range c.Pods {
				if pod.OwnerReferences[0].Kind == "DaemonSet" {
					continue
				}
				if node := outcome.Node[pod.UID]; node != "" {
					nodes.Insert(node)
				} else {
					pending++
				}
			}
			leftOut := 0
			for _, u := range promised.Unplaceable {
				leftOut += u.Pods
			}
			t.Logf("%d pods: plan %d nodes and %d pods left out, scheduler %d and %d", promised.Pods, promised.WithRule, leftOut, nodes.Len(), pending)
			if got, want := float64(promised.WithRule), float64(nodes.Len()); got < 0.9*want || got > 1.1*want || want < 20 {
				t.Errorf("plan promises %d nodes, and the scheduler takes %d", promised.WithRule, nodes.Len())
			}
			if leftOut != pending {
				t.Errorf("plan leaves %d pods out (%+v), and %d stay Pending", leftOut, promised.Unplaceable, pending)
			}
		})
	}
}

// planned is what the test reads of a plan.
type planned struct {
	Pods        int `json:"pods"`
	WithRule    int `json:"nodesWithRule"`
	Unplaceable []struct {
		Workload string `json:"workload"`
		Pods     int    `json:"pods"`
	} `json:"unplaceable"`
}

func planOf(t *testing.T, manifests string) planned {
	t.Helper()
	var out, errOut bytes.Buffer
	command := cli.NewCommand(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	command.SetArgs([]string{"plan", "-f", manifests, "-o", "json"})
	if err := command.ExecuteContext(t.Context()); cli.ExitStatus(err) > cli.ExitFindings {
		t.Fatalf("%v\n%s%s", err, out.String(), errOut.String())
	}
	var p planned
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// randomCluster has tenants of several data classes and privilege levels, one DaemonSet of the platform on every
// node, and DaemonSets of tenants on pools of nodes.
func randomCluster(seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 1))
	var documents []string
	add := func(format string, args ...any) { documents = append(documents, fmt.Sprintf(format, args...)) }
	const pools = 8
	for i := range 200 {
		cpu, memory := 4, 16
		if i%3 == 0 {
			cpu, memory = 8, 32
		}
		add("apiVersion: v1\nkind: Node\nmetadata: {name: n%03d, labels: {pool: p%d, kubernetes.io/hostname: n%03d}}\nstatus: {allocatable: {cpu: %d, memory: %dGi, pods: 110}}",
			i, i%pools, i, cpu, memory)
	}
	add("apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system}")
	add("%s", daemonSet("kube-system", "agent", "", "hostPID: true", 100))
	levels := []string{
		"", "hostPID: true",
		"securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}",
	}
	for tenant := range 2 + random.IntN(3) {
		for class := range 1 + random.IntN(3) {
			namespace := fmt.Sprintf("t%d-c%d", tenant, class)
			labels := fmt.Sprintf("tenantisolation.dev/tenant: t%d", tenant)
			if class > 0 {
				labels += ", tenantisolation.dev/data-class: " + []string{"internal", "confidential"}[class-1]
			}
			add("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {%s}}", namespace, labels)
			if random.IntN(3) == 0 {
				add("%s", daemonSet(namespace, "agent", fmt.Sprintf("nodeSelector: {pool: p%d}", random.IntN(pools)), levels[random.IntN(len(levels))], 200))
			}
			for w := range 4 + random.IntN(8) {
				add("%s", deployment(namespace, fmt.Sprintf("w%d", w), 1+random.IntN(12), levels[random.IntN(len(levels))], 100+random.IntN(1400), 256+random.IntN(4096)))
			}
		}
	}
	return strings.Join(documents, "\n---\n")
}

func deployment(namespace, name string, replicas int, level string, cpu, memory int) string {
	return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: %s}\nspec:\n  replicas: %d\n  selector: {matchLabels: {app: %s}}\n%s",
		name, namespace, replicas, name, podTemplate(name, level, cpu, memory))
}

func daemonSet(namespace, name, selector, level string, cpu int) string {
	if selector != "" && level != "" {
		selector += "\n      "
	}
	return fmt.Sprintf("apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: %s, namespace: %s}\nspec:\n  selector: {matchLabels: {app: %s}}\n%s",
		name, namespace, name, podTemplate(name, selector+level, cpu, 128))
}

func podTemplate(name, spec string, cpu, memory int) string {
	context := ""
	if strings.Contains(spec, "runAsNonRoot") {
		context = ", securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}"
	}
	if spec != "" {
		spec += "\n      "
	}
	return fmt.Sprintf("  template:\n    metadata: {labels: {app: %s}}\n    spec:\n      %scontainers: [{name: c, image: example.com/c, resources: {requests: {cpu: %dm, memory: %dMi}}%s}]",
		name, spec, cpu, memory, context)
}
