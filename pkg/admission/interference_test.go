package admission_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiserver "k8s.io/apiserver/pkg/admission"
)

// tenantOf has two namespaces of each of two tenants.
var tenantOf = map[string]string{"acme-web": "acme", "acme-data": "acme", "globex-web": "globex", "globex-data": "globex"}

const nodesOfAcme = 3

// TestL11NotOthersPlacement lets acme create random pods within its limit of nodes. Those that admission accepts change
// nothing for globex on any node that acme is not on: neither a verdict, nor its message, nor a score.
func TestL11NotOthersPlacement(t *testing.T) {
	policy, mutation := compile(t, shippedPolicy(t, "tenant-isolation-pods")), compileMutation(t, shippedMutation(t, "tenant-isolation-pods"))
	seen := counts{}
	for seed := range uint64(150) {
		if difference := interfere(t, seed, mutation, policy, policy, seen); difference != "" {
			t.Errorf("seed %d: %s", seed, difference)
		}
	}
	for _, what := range []string{"accepted", "refused", "placed", "pending", "admitted", "denied"} {
		if seen[what] < 50 {
			t.Errorf("%d pods of these were %s, which says too little: %v", seen[what], what, seen)
		}
	}
	t.Log(seen)
}

// TestPlacementWithoutTheControl takes the control out, and globex notices.
func TestPlacementWithoutTheControl(t *testing.T) {
	shipped := compile(t, shippedPolicy(t, "tenant-isolation-pods"))
	without := shippedPolicy(t, "tenant-isolation-pods").DeepCopy()
	for i, v := range without.Spec.Variables {
		if v.Name == "faults" {
			const control = "(!variables.terms.exists(term, term.?namespaces"
			without.Spec.Variables[i].Expression = strings.Replace(v.Expression, control, "(true || "+control[1:], 1)
			if without.Spec.Variables[i].Expression == v.Expression {
				t.Fatalf("there is no %q", control)
			}
		}
	}
	weak, mutation := compile(t, without), compileMutation(t, shippedMutation(t, "tenant-isolation-pods"))
	var verdicts, scores int
	for seed := range uint64(40) {
		difference := interfere(t, seed, mutation, weak, shipped, counts{})
		if strings.HasPrefix(difference, "score") {
			scores++
		} else if difference != "" {
			verdicts++
		}
	}
	if verdicts < 5 || scores < 5 {
		t.Errorf("without the control globex sees other verdicts in %d of 40 runs and other scores in %d, want 5 of each at least", verdicts, scores)
	}
}

type counts map[string]int

// interfere makes a cluster, and returns what acme's pods have changed for globex.
func interfere(t *testing.T, seed uint64, mutation *mutator, ofAcme, ofGlobex *evaluator, seen counts) string {
	t.Helper()
	r := &randomPods{
		Rand: rand.New(rand.NewPCG(seed, 0)), params: parametersOf(inForce()), mutator: mutation,
	}
	f := newFloor(t, r.nodes())
	for range r.IntN(6) {
		pod := r.accepted(t, ofGlobex, "globex", "acme")
		if feasible := f.judge(t, pod).feasible(); len(feasible) > 0 {
			f.bind(t, pod, feasible[r.IntN(len(feasible))])
		}
	}
	probes := make([]*corev1.Pod, 4)
	before := make([]judgement, len(probes))
	for i := range probes {
		probes[i] = r.accepted(t, ofGlobex, "globex", "acme")
		before[i] = f.judge(t, probes[i])
	}
	charged := map[string]bool{}
	for range 12 {
		pod := r.steered(t, "acme", "globex")
		if !r.admits(t, ofAcme, pod) {
			seen["refused"]++
			continue
		}
		seen["accepted"]++
		within := slices.DeleteFunc(f.judge(t, pod).feasible(), func(node string) bool { return len(charged) >= nodesOfAcme && !charged[node] })
		if len(within) == 0 {
			seen["pending"]++
			continue
		}
		seen["placed"]++
		node := within[r.IntN(len(within))]
		f.bind(t, pod, node)
		charged[node] = true
	}
	for i, pod := range probes {
		after := f.judge(t, pod)
		if len(after.feasible()) > 0 {
			seen["admitted"]++
		} else {
			seen["denied"]++
		}
		if difference := f.compare(t, pod, before[i], after, charged); difference != "" {
			return difference
		}
	}
	return ""
}

// randomPods makes pods that a tenant may try.
type randomPods struct {
	*rand.Rand
	params  *corev1.ConfigMap
	mutator *mutator
	made    int
}

func oneOf[T any](r *randomPods, of ...T) T { return of[r.IntN(len(of))] }

func (r *randomPods) oneIn(n int) bool { return r.IntN(n) == 0 }

func (r *randomPods) admits(t *testing.T, policy *evaluator, pod *corev1.Pod) bool {
	t.Helper()
	return policy.ask(t, request{
		operation: apiserver.Create, resource: "pods", object: pod, params: r.params,
		namespace: namespaceOf(pod.Namespace),
	}).allowed()
}

// steered makes a pod as admission leaves it.
func (r *randomPods) steered(t *testing.T, tenant, other string) *corev1.Pod {
	t.Helper()
	pod := r.pod(tenant, other)
	made := r.mutator.patch(t, request{
		operation: apiserver.Create, resource: "pods", object: pod, params: r.params, namespace: namespaceOf(pod.Namespace),
	})
	made.UID = pod.UID // the API server writes it last
	return made
}

// accepted makes pods until one of them is accepted.
func (r *randomPods) accepted(t *testing.T, policy *evaluator, tenant, other string) *corev1.Pod {
	t.Helper()
	for {
		if pod := r.steered(t, tenant, other); r.admits(t, policy, pod) {
			return pod
		}
	}
}

func namespaceOf(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{corev1.LabelMetadataName: name, "tenantisolation.dev/tenant": tenantOf[name]},
	}}
}

func (r *randomPods) pod(tenant, other string) *corev1.Pod {
	r.made++
	name := fmt.Sprintf("pod-%d", r.made)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: oneOf(r, tenant+"-web", tenant+"-data"), UID: types.UID(name), ResourceVersion: strconv.Itoa(r.made),
			Labels: map[string]string{"app": oneOf(r, "web", "db"), "tenantisolation.dev/tenant": tenant},
		},
		Spec: corev1.PodSpec{SchedulerName: schedulerName, Containers: []corev1.Container{{Name: "app"}}},
	}
	if r.oneIn(20) {
		pod.Labels["tenantisolation.dev/tenant"] = other
	}
	spec := &pod.Spec
	spec.Containers[0].Resources.Requests = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(oneOf(r, "100m", "500m", "1", "3")),
	}
	if r.oneIn(4) {
		spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: oneOf[int32](r, 80, 443)}}
	}
	if r.oneIn(3) {
		spec.RuntimeClassName = new("kata-qemu")
	}
	if r.oneIn(6) {
		spec.NodeSelector = map[string]string{oneOf(r, "disk", "disk", corev1.LabelTopologyZone, "tenantisolation.dev/tenant"): oneOf(r, "ssd", "a")}
	}
	r.tolerations(spec, other)
	for range r.IntN(3) {
		r.affinity(spec, pod.Namespace, tenant, other)
	}
	if r.oneIn(3) {
		spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: r.topologyKey(), LabelSelector: r.selector(other),
			WhenUnsatisfiable: oneOf(r, corev1.DoNotSchedule, corev1.ScheduleAnyway),
		}}
	}
	return pod
}

func (r *randomPods) tolerations(spec *corev1.PodSpec, other string) {
	switch r.IntN(8) {
	case 0:
		spec.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}
	case 1:
		spec.Tolerations = []corev1.Toleration{oneOf(r, corev1.Toleration{Operator: corev1.TolerationOpExists},
			corev1.Toleration{Key: "tenantisolation.dev/tenant", Value: other})}
	}
}

func (r *randomPods) topologyKey() string {
	return oneOf(r, corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelOSStable)
}

func (r *randomPods) selector(other string) *metav1.LabelSelector {
	return oneOf(r, &metav1.LabelSelector{}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		&metav1.LabelSelector{MatchLabels: map[string]string{"tenantisolation.dev/tenant": other}})
}

// affinity adds a term, which stays within the tenant in about half of all cases.
func (r *randomPods) affinity(spec *corev1.PodSpec, namespace, tenant, other string) {
	term := corev1.PodAffinityTerm{TopologyKey: r.topologyKey(), LabelSelector: r.selector(other)}
	requires := func(operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "tenantisolation.dev/tenant", Operator: operator, Values: values},
		}}
	}
	term.NamespaceSelector = oneOf(r, nil, nil, nil, requires(metav1.LabelSelectorOpIn, tenant), requires(metav1.LabelSelectorOpIn, tenant),
		&metav1.LabelSelector{MatchLabels: map[string]string{"tenantisolation.dev/tenant": tenant}},
		&metav1.LabelSelector{}, requires(metav1.LabelSelectorOpIn, other), requires(metav1.LabelSelectorOpIn, tenant, other),
		requires(metav1.LabelSelectorOpExists), requires(metav1.LabelSelectorOpNotIn, tenant),
		&metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: other + "-web"}})
	term.Namespaces = oneOf(r, nil, nil, nil, []string{namespace}, []string{other + "-web"}, []string{namespace, other + "-data"})
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}, PodAntiAffinity: &corev1.PodAntiAffinity{}}
	}
	preferred := corev1.WeightedPodAffinityTerm{Weight: 100, PodAffinityTerm: term}
	to, from := spec.Affinity.PodAffinity, spec.Affinity.PodAntiAffinity
	switch r.IntN(4) {
	case 0:
		to.RequiredDuringSchedulingIgnoredDuringExecution = append(to.RequiredDuringSchedulingIgnoredDuringExecution, term)
	case 1:
		from.RequiredDuringSchedulingIgnoredDuringExecution = append(from.RequiredDuringSchedulingIgnoredDuringExecution, term)
	case 2:
		to.PreferredDuringSchedulingIgnoredDuringExecution = append(to.PreferredDuringSchedulingIgnoredDuringExecution, preferred)
	default:
		from.PreferredDuringSchedulingIgnoredDuringExecution = append(from.PreferredDuringSchedulingIgnoredDuringExecution, preferred)
	}
}

// nodes makes ten nodes in two zones.
func (r *randomPods) nodes() []*corev1.Node {
	var nodes []*corev1.Node
	for i := range 10 {
		name := fmt.Sprintf("n%d", i)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelTopologyZone: oneOf(r, "a", "b"), "disk": oneOf(r, "ssd", "hdd"),
		}}}
		node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourcePods: resource.MustParse("110")}
		if r.oneIn(5) {
			node.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: oneOf(r, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule)}}
		}
		nodes = append(nodes, node)
	}
	return nodes
}
