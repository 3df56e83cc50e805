package admission

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

const seed = 18

// What a pod may tolerate is worked out twice: for the taints, and here.
func TestTolerationsOfADedication(t *testing.T) {
	random := rand.New(rand.NewPCG(seed, 0))
	classes := []string{"green", "amber", "red", "black"}
	account := readManifest(t, "base/serviceaccount.yaml")
	compared, allowed := 0, 0
	for _, args := range []string{
		"",
		"sharing: {dataClasses: [[green, amber]]}",
		"sharing: {dataClasses: [[black, green], [red, amber]]}",
		"sharing: {dataClasses: [[red, green, black, amber]]}",
		"separateBy: [tenant, privilege]",
		"{separateBy: [tenant, data-class], sharing: {dataClasses: [[amber, red]]}}",
	} {
		var extra map[string]any
		if err := yaml.Unmarshal([]byte(args), &extra); err != nil {
			t.Fatal(err)
		}
		text := "\n      dataClasses: [green, amber, red, black]"
		for key, value := range extra {
			text += fmt.Sprintf("\n      %s: %s", key, flow(t, value))
		}
		c, err := ReadConfig([]byte(configOf(text)), account)
		if err != nil {
			t.Fatal(err)
		}
		rules, err := podfacts.NewRules(c.Args)
		if err != nil {
			t.Fatal(err)
		}
		files := render(t, c)
		policy := compile(t, policies(t, files)["tenant-isolation-placement"])
		var parameters corev1.ConfigMap
		if err := yaml.Unmarshal([]byte(files["components/admission/policies/parameters.yaml"]), &parameters); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			namespaceLabels := map[string]string{c.Args.LabelKeys.Tenant: pick(random, "acme", "globex")}
			podLabels := map[string]string{}
			for _, labels := range []map[string]string{namespaceLabels, podLabels} {
				if class := pick(random, append(classes, "")...); class != "" {
					labels[c.Args.LabelKeys.DataClass] = class
				}
			}
			dedication, ok := rules.Resolve(isolation.Pod{
				Namespace: &isolation.Namespace{Name: "ns", Labels: namespaceLabels}, Labels: podLabels,
				Privilege: isolation.PrivilegeBaseline,
			}).Dedication()
			if !ok {
				t.Fatalf("%v in %v opens no node", podLabels, namespaceLabels)
			}
			for _, taint := range append(dedication.Taints(), isolation.Taint{
				Key:   pick(random, isolation.TenantTaint, isolation.DataClassTaint, isolation.BoundaryTaint),
				Value: pick(random, append(classes, "unclassified", "acme", "globex", "vm", "")...),
			}) {
				want := slices.Contains(dedication.Taints(), taint)
				got := policy.ask(t, request{
					operation: admission.Create, resource: "pods", params: &parameters,
					namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: namespaceLabels}},
					object: &corev1.Pod{
						ObjectMeta: metav1.ObjectMeta{Labels: podLabels},
						Spec: corev1.PodSpec{SchedulerName: c.SchedulerNames[0], Tolerations: []corev1.Toleration{
							{Key: taint.Key, Operator: corev1.TolerationOpEqual, Value: taint.Value},
						}},
					},
				})
				compared++
				if got.allowed() {
					allowed++
				}
				if got.allowed() != want {
					t.Errorf("with %q a pod %v in %v tolerates %v: allowed %v, want %v", args, podLabels, namespaceLabels, taint, got.allowed(), want)
				}
			}
		}
	}
	t.Logf("%d of %d allowed", allowed, compared)
	if allowed == 0 || allowed == compared {
		t.Error("all answers are the same: this compares nothing")
	}
}

func flow(t *testing.T, value any) string {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	json, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(json)
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// fenceTable writes entries as docs/decisions/0018-dedication-and-fence.md has them.
func fenceTable(term string, ids map[string]string) *corev1.ConfigMap {
	data := map[string]string{"term": term}
	for node, id := range ids {
		key, _, _ := strings.Cut(node, ".")
		if len(key) > 2 {
			key = key[len(key)-2:]
		}
		if data[key] == "" {
			data[key] = " "
		}
		data[key] += node + "=" + id + ":" + strings.Repeat("a1", len(node)%2) + " "
	}
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "tenant-isolation-dedicated-nodes"}, Data: data}
}

func TestFenceFindsExactlyTheNodesEntry(t *testing.T) {
	random := rand.New(rand.NewPCG(seed, 1))
	all := policies(t, render(t, shippedConfig(t)))
	fence, dedication := compile(t, all["tenant-isolation-fence"]), compile(t, all["tenant-isolation-dedication"])
	unmanaged := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}
	managed := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{"tenantisolation.dev/tenant": "acme"}}}
	name := func() string {
		letters := make([]byte, 1+random.IntN(5))
		for i := range letters {
			letters[i] = pick(random, []byte("ab1.-")...)
		}
		// A name begins with a letter or a digit.
		letters[0] = pick(random, []byte("ab1")...)
		return string(letters)
	}
	fenced, tokens := 0, 0
	for range 150 {
		term, ids := pick(random, "t1", "t2", "t11"), map[string]string{}
		for range random.IntN(8) {
			ids[name()] = pick(random, "i1", "i2", "i12", "1")
		}
		params := fenceTable(term, ids)
		for range 15 {
			node := name()
			id, dedicated := ids[node]
			token := pick(random, term+"-"+id, term+"-i1", term+"-i", "t1-"+id, "t1-i1", "", term, "-"+id, term+"-"+id+":", id+"-"+term)
			binding := request{
				operation: admission.Create, resource: "pods", subresource: "binding", params: params, namespace: unmanaged,
				object: &corev1.Binding{
					ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"tenantisolation.dev/dedication": token}},
					Target:     corev1.ObjectReference{Kind: "Node", Name: node},
				},
			}
			if got := !fence.ask(t, binding).allowed(); got != dedicated {
				t.Fatalf("table %q: node %q fenced %v, want %v", params.Data, node, got, dedicated)
			}
			binding.namespace = managed
			want := dedicated && token == term+"-"+id
			if got := dedication.ask(t, binding).allowed(); got != want {
				t.Fatalf("table %q: node %q with token %q bound %v, want %v", params.Data, node, token, got, want)
			}
			if dedicated {
				fenced++
			}
			if want {
				tokens++
			}
		}
	}
	t.Logf("%d times fenced, %d times bound under a dedication", fenced, tokens)
	if fenced == 0 || tokens == 0 {
		t.Error("all answers are the same: this compares nothing")
	}
}

// A bind that a policy is too expensive for would be refused.
func TestFenceCostOfALargeTable(t *testing.T) {
	const limit = celconfig.RuntimeCELCostBudget / 100
	ids := map[string]string{}
	for i := range 15_000 {
		ids[fmt.Sprintf("a-rather-long-name-of-a-node-%05d", i)] = fmt.Sprintf("%026d", i)
	}
	const node = "a-rather-long-name-of-a-node-14999"
	r := request{
		operation: admission.Create, resource: "pods", subresource: "binding", params: fenceTable("t", ids),
		object: &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"tenantisolation.dev/dedication": "t-" + ids[node]}},
			Target:     corev1.ObjectReference{Kind: "Node", Name: node},
		},
	}
	all := policies(t, render(t, shippedConfig(t)))
	for name, want := range map[string]bool{"tenant-isolation-fence": false, "tenant-isolation-dedication": true} {
		got := compile(t, all[name]).ask(t, r)
		if got.allowed() != want {
			t.Errorf("%s allows it: %v, want %v", name, got.allowed(), want)
		}
		if got.cost > limit {
			t.Errorf("%s costs %d, want at most %d of %d", name, got.cost, limit, celconfig.RuntimeCELCostBudget)
		}
		t.Logf("%-40s %7d, %.2f%% of the budget", name, got.cost, 100*float64(got.cost)/celconfig.RuntimeCELCostBudget)
	}
}

func TestPlatformNamespacesBySelector(t *testing.T) {
	c, err := ReadConfig([]byte(configOf(`
      platformNamespaces:
        names: [agents]
        selector:
          matchLabels: {team: platform}
          matchExpressions:
          - {key: tier, operator: NotIn, values: [guest, visitor]}
          - {key: core, operator: Exists}
          - {key: retired, operator: DoesNotExist}
`)), readManifest(t, "base/serviceaccount.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files := render(t, c)
	selector, err := metav1.LabelSelectorAsSelector(c.Args.PlatformNamespaces.Selector)
	if err != nil {
		t.Fatal(err)
	}
	fence := compile(t, policies(t, files)["tenant-isolation-fence"])
	random := rand.New(rand.NewPCG(seed, 2))
	platforms := 0
	for range 400 {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{}}}
		for key, values := range map[string][]string{
			"team": {"platform", "platform", "web", ""}, "tier": {"guest", "core", ""}, "core": {"yes", "no", ""}, "retired": {"yes", "", ""},
		} {
			if value := pick(random, values...); value != "" {
				ns.Labels[key] = value
			}
		}
		want := selector.Matches(labels.Set(ns.Labels))
		got := fence.ask(t, request{
			operation: admission.Create, resource: "pods", subresource: "binding", namespace: ns,
			params: fenceTable("t", map[string]string{"node": "id"}),
			object: &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "node"}},
		}).allowed()
		if got != want {
			t.Errorf("namespace %v passes the fence: %v, want %v", ns.Labels, got, want)
		}
		if want {
			platforms++
		}
	}
	if platforms == 0 {
		t.Error("no namespace was of the platform: this compares nothing")
	}
	platform := files["components/dedication/policies/platform.yaml"]
	for _, want := range []string{
		`- {key: kubernetes.io/metadata.name, operator: In, values: ["agents"]}`,
		`- {key: team, operator: In, values: ["platform"]}`, `- {key: tier, operator: NotIn, values: ["guest", "visitor"]}`,
		`- {key: core, operator: Exists}`, `- {key: retired, operator: DoesNotExist}`,
	} {
		if !strings.Contains(platform, want) {
			t.Errorf("no binding of tenant-isolation-platform selects %s", want)
		}
	}
}

func TestRenderChangesOneArgument(t *testing.T) {
	account := readManifest(t, "base/serviceaccount.yaml")
	for name, tc := range map[string]struct{ args, problem string }{
		"one that dedicates already stays as it is":             {args: "\n      claims: {mode: Enabled, releaseAfter: 5s}"},
		"one that says something else of dedication is refused": {args: "\n      claims: {releaseAfter: 5s}", problem: "claims"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ReadConfig([]byte(configOf(tc.args)), account)
			if err != nil {
				t.Fatal(err)
			}
			files, err := c.Render()
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Fatalf("error %v, want one with %q", err, tc.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := files["components/dedication/scheduler-config.yaml"]; got != variantHeader+configOf(tc.args) {
				t.Errorf("it has changed:\n%s", got)
			}
			if _, there := files["overlays/audit/scheduler-config.yaml"]; there {
				t.Error("there is one that dedicates and observes, which the scheduler refuses")
			}
		})
	}
}
