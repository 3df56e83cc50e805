package admission_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	apiserver "k8s.io/apiserver/pkg/admission"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

const seed = 18

// What a pod may tolerate is worked out twice: for the taints, and here.
func TestTolerationsOfADedication(t *testing.T) {
	random := rand.New(rand.NewPCG(seed, 0))
	classes := []string{"green", "amber", "red", "black"}
	policy := compile(t, shippedPolicy(t, "tenant-isolation-pods"))
	compared, allowed := 0, 0
	for _, sharing := range [][]v1alpha1.DataClassGroup{
		nil, {{"green", "amber"}}, {{"black", "green"}, {"red", "amber"}}, {{"red", "green", "black", "amber"}}, {},
	} {
		policyInForce := inForce()
		policyInForce.Spec.DataClasses = classes
		policyInForce.Spec.Sharing.DataClasses = sharing
		if sharing != nil && len(sharing) == 0 {
			policyInForce.Spec.SeparateBy = []v1alpha1.Axis{v1alpha1.AxisTenant, v1alpha1.AxisPrivilege}
		}
		rules, err := podfacts.NewRules(&policyInForce.Spec)
		if err != nil {
			t.Fatal(err)
		}
		parameters := parametersOf(policyInForce)
		for range 60 {
			namespaceLabels := map[string]string{isolation.TenantTaint: pick(random, "acme", "globex")}
			podLabels := map[string]string{}
			for _, labels := range []map[string]string{namespaceLabels, podLabels} {
				if class := pick(random, append(classes, "")...); class != "" {
					labels[isolation.DataClassTaint] = class
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
				// A data class below the namespace's is a fault of its own.
				got := !strings.Contains(policy.ask(t, request{
					operation: apiserver.Create, resource: "pods", params: parameters,
					namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: namespaceLabels}},
					object: &corev1.Pod{
						ObjectMeta: metav1.ObjectMeta{Labels: podLabels},
						Spec: corev1.PodSpec{SchedulerName: schedulerName, Containers: []corev1.Container{{Name: "c"}}, Tolerations: []corev1.Toleration{
							{Key: taint.Key, Operator: corev1.TolerationOpEqual, Value: taint.Value},
						}},
					},
				}).text, "spec.tolerations")
				compared++
				if got {
					allowed++
				}
				if got != want {
					t.Errorf("with %v a pod %v in %v tolerates %v: allowed %v, want %v", sharing, podLabels, namespaceLabels, taint, got, want)
				}
			}
		}
	}
	t.Logf("%d of %d allowed", allowed, compared)
	if allowed == 0 || allowed == compared {
		t.Error("all answers are the same: this compares nothing")
	}
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
	fence, dedication := compile(t, shippedPolicy(t, "tenant-isolation-fence")), compile(t, shippedPolicy(t, "tenant-isolation-dedication"))
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
				operation: apiserver.Create, resource: "pods", subresource: "binding", params: params, namespace: unmanaged,
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
		operation: apiserver.Create, resource: "pods", subresource: "binding", params: fenceTable("t", ids),
		object: &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"tenantisolation.dev/dedication": "t-" + ids[node]}},
			Target:     corev1.ObjectReference{Kind: "Node", Name: node},
		},
	}
	for name, want := range map[string]bool{"tenant-isolation-fence": false, "tenant-isolation-dedication": true} {
		got := compile(t, shippedPolicy(t, name)).ask(t, r)
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
	policy := inForce()
	policy.Spec.PlatformNamespaces.Selector = &metav1.LabelSelector{
		MatchLabels: map[string]string{"team": "platform"},
		MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "tier", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"guest", "visitor"}},
			{Key: "core", Operator: metav1.LabelSelectorOpExists},
			{Key: "retired", Operator: metav1.LabelSelectorOpDoesNotExist},
		},
	}
	selector, err := metav1.LabelSelectorAsSelector(policy.Spec.PlatformNamespaces.Selector)
	if err != nil {
		t.Fatal(err)
	}
	table := fenceTable("t", map[string]string{"node": "id"})
	maps.Copy(table.Data, admission.PlatformEntries(policy))
	fence := compile(t, shippedPolicy(t, "tenant-isolation-fence"))
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
			operation: apiserver.Create, resource: "pods", subresource: "binding", namespace: ns,
			params: table,
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
}
