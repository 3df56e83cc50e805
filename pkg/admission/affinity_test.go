package admission_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserver "k8s.io/apiserver/pkg/admission"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// setOf asks for the labels that a node of these has.
func setOf(labels isolation.NodeLabels) []corev1.NodeSelectorRequirement {
	var set []corev1.NodeSelectorRequirement
	for _, axis := range isolation.Axes() {
		set = append(set, corev1.NodeSelectorRequirement{
			Key: isolation.NodeLabelKey(axis), Operator: corev1.NodeSelectorOpIn, Values: []string{labels[axis]},
		})
	}
	return set
}

// noSet asks for a node without labels.
func noSet() []corev1.NodeSelectorRequirement {
	var set []corev1.NodeSelectorRequirement
	for _, key := range isolation.NodeLabelKeys() {
		set = append(set, corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpDoesNotExist})
	}
	return set
}

// required are the terms that admission makes of those of the author, nil if there is no list of them.
func required(author []corev1.NodeSelectorTerm, sets ...[]corev1.NodeSelectorRequirement) []corev1.NodeSelectorTerm {
	if author == nil {
		author = []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{}}}
	}
	terms := []corev1.NodeSelectorTerm{}
	for i, set := range sets {
		for _, term := range author {
			if term.MatchExpressions == nil && term.MatchFields == nil {
				if i == 0 {
					terms = append(terms, term)
				}
				continue
			}
			term.MatchExpressions = append(append([]corev1.NodeSelectorRequirement{}, term.MatchExpressions...), set...)
			terms = append(terms, term)
		}
	}
	return terms
}

func requiredBy(terms []corev1.NodeSelectorTerm) *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
	}}
}

func termsOf(pod *corev1.Pod) []corev1.NodeSelectorTerm {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil || pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

// surroundings are what a rule reads around a pod of inForce.
type surroundings struct{ namespace *corev1.Namespace }

func (s surroundings) Namespace(string) (podfacts.Namespace, bool) {
	return podfacts.Namespace{Labels: s.namespace.Labels}, true
}

func (surroundings) RuntimeClass(name string) (podfacts.RuntimeClass, bool) {
	handler, ok := map[string]string{"gvisor": "runsc", "kata-qemu": "kata-qemu", "plain": "crun"}[name]
	return podfacts.RuntimeClass{Handler: handler}, ok
}

func (surroundings) PVCOnHost(string) (onHost, known bool) { return false, true }

// fitting is the validating policy, asked only for whether the affinity fits the pod.
func fitting(t *testing.T) *evaluator {
	t.Helper()
	policy := shippedPolicy(t, "tenant-isolation-pods").DeepCopy()
	policy.Spec.Validations = []admissionregistrationv1.Validation{{Expression: "variables.fits"}}
	return compile(t, policy)
}

// randomSteering is a request for a pod that admission steers.
func randomSteering(random *rand.Rand) (request, *v1alpha1.InForce) {
	policy := inForce()
	policy.Spec.DataClasses = []string{"green", "amber", "red"}
	policy.Spec.Sharing.DataClasses = pick(random, nil, []v1alpha1.DataClassGroup{{"amber", "green"}}, []v1alpha1.DataClassGroup{{"red", "unclassified"}})
	policy.Spec.Sharing.Privileges = pick(random, nil, nil, []v1alpha1.PrivilegeGroup{{"baseline", "restricted"}}, []v1alpha1.PrivilegeGroup{{"restricted", "privileged"}})
	policy.Spec.SeparateBy = pick(random, policy.Spec.SeparateBy, policy.Spec.SeparateBy, []v1alpha1.Axis{v1alpha1.AxisTenant},
		[]v1alpha1.Axis{v1alpha1.AxisTenant, v1alpha1.AxisPrivilege}, []v1alpha1.Axis{v1alpha1.AxisTenant, v1alpha1.AxisDataClass, v1alpha1.AxisUserNamespace})
	policy.Spec.Boundaries.Minimum = pick(random, v1alpha1.BoundaryVM, v1alpha1.BoundarySandbox)
	if random.IntN(4) == 0 {
		policy.Spec.RuntimeClasses.ByDataClass = map[string]v1alpha1.RuntimeClassName{"red": "kata-qemu"}
	}

	pod := randomPod(random)
	pod.Spec.NodeName = ""
	for range random.IntN(3) {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "more", SecurityContext: randomContext(random)})
	}
	if random.IntN(3) == 0 {
		pod.Spec.InitContainers = []corev1.Container{{Name: "init", SecurityContext: randomContext(random)}}
	}
	pod.Spec.RuntimeClassName = pick(random, nil, nil, new("kata-qemu"), new("gvisor"), new("plain"))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{
		isolation.TenantLabel: pick(random, "acme", "vm", "any"),
	}}}
	pod.Labels = map[string]string{}
	for _, labels := range []map[string]string{namespace.Labels, pod.Labels} {
		for key, values := range map[string][]string{
			isolation.DataClassLabel: {"", "", "unclassified", "green", "amber", "red"},
			isolation.PrivilegeLabel: {"", "", "", "restricted", "baseline", "privileged"},
		} {
			if value := pick(random, values...); value != "" {
				labels[key] = value
			}
		}
	}
	if value := pick(random, "", "", "container", "vm", "node"); value != "" {
		namespace.Labels[isolation.BoundaryLabel] = value
	}
	if random.IntN(4) == 0 {
		namespace.Labels["tenantisolation.dev/runtime-class"] = "kata-qemu"
	}
	return request{operation: apiserver.Create, resource: "pods", object: pod, namespace: namespace, params: parametersOf(policy)}, policy
}

// randomTerms are those of an author, nil for none.
func randomTerms(random *rand.Rand) []corev1.NodeSelectorTerm {
	if random.IntN(2) == 0 {
		return nil
	}
	zone := corev1.NodeSelectorRequirement{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a", "b"}}
	disk := corev1.NodeSelectorRequirement{Key: "disk", Operator: corev1.NodeSelectorOpExists}
	cores := corev1.NodeSelectorRequirement{Key: "cores", Operator: corev1.NodeSelectorOpGt, Values: []string{"4"}}
	name := corev1.NodeSelectorRequirement{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"node-1"}}
	terms := []corev1.NodeSelectorTerm{}
	for range random.IntN(4) {
		terms = append(terms, pick(random, corev1.NodeSelectorTerm{},
			corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{zone}},
			corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{zone, disk, cores}},
			corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{name}},
			corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{disk}, MatchFields: []corev1.NodeSelectorRequirement{name}}))
	}
	return terms
}

// What admission asks of nodes is what the rule says of the pod.
func TestAffinityIsThatOfTheRule(t *testing.T) {
	random := rand.New(rand.NewPCG(seed, 16))
	mutator, fits := compileMutation(t, shippedMutation(t, "tenant-isolation-pods")), fitting(t)
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		t.Fatal(err)
	}
	virtual, several := 0, map[isolation.NodeLabels]int{}
	for range 800 {
		r, policy := randomSteering(random)
		author := randomTerms(random)
		pod := r.object.(*corev1.Pod)
		if author != nil {
			pod.Spec.Affinity = requiredBy(author)
		} else {
			pod.Spec.Affinity = pick(random, nil, &corev1.Affinity{}, &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}})
		}
		got := mutator.patch(t, r)
		rules, err := podfacts.NewRules(&policy.Spec)
		if err != nil {
			t.Fatal(err)
		}
		facts := gatherer.Gather(got)
		subject := rules.Subject(got, &facts, surroundings{r.namespace})
		labels, ok := rules.NodeLabels(&subject)
		if !ok {
			t.Fatalf("no trust domain: %s", subject)
		}
		sets := [][]corev1.NodeSelectorRequirement{noSet(), setOf(labels)}
		opened, _ := rules.OpenedNodeLabels(&subject)
		shares := opened == isolation.VMNodeLabels()
		// A hole in its boundary is found by the scheduler.
		if len(got.Spec.Tolerations) > 0 && got.Spec.Tolerations[len(got.Spec.Tolerations)-1].Key == isolation.BoundaryTaint {
			sets = [][]corev1.NodeSelectorRequirement{noSet(), setOf(isolation.VMNodeLabels()), setOf(labels)}
			virtual++
		} else if shares {
			t.Fatalf("%s is open to other tenants' VMs, and may not be on their nodes", subject)
		}
		want := required(author, sets...)
		if diff := cmp.Diff(want, termsOf(got), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s with %v (-want +got):\n%s", subject, author, diff)
		}
		several[labels]++
		r.object = got
		if len(want) > 0 && !fits.ask(t, r).allowed() {
			t.Fatalf("%s: the terms do not fit: %v", subject, termsOf(got))
		}
		// As a restored pod brings them: the API server has cleared its UID.
		got.UID = ""
		if again := mutator.patch(t, r); !cmp.Equal(termsOf(got), termsOf(again), cmpopts.EquateEmpty()) {
			t.Fatalf("%s: once more (-once +twice):\n%s", subject, cmp.Diff(termsOf(got), termsOf(again)))
		}
	}
	if virtual < 100 || len(several) < 20 {
		t.Errorf("%d VMs, and these labels: %v", virtual, several)
	}
}

// A webhook may change the pod after it was given its affinity: the policy runs once more, and changes what
// follows from the change; without one it changes nothing.
func TestAffinityAfterAWebhook(t *testing.T) {
	mutator, fits := compileMutation(t, shippedMutation(t, "tenant-isolation-pods")), fitting(t)
	own := func(privilege, users string) []corev1.NodeSelectorTerm {
		return required(nil, noSet(), setOf(isolation.NodeLabels{"acme", "unclassified", privilege, users}))
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   []corev1.NodeSelectorTerm
	}{
		"nothing":            {func(*corev1.Pod) {}, own("restricted", "host")},
		"an annotation":      {func(p *corev1.Pod) { p.Annotations = map[string]string{"sidecar": "yes"} }, own("restricted", "host")},
		"a baseline sidecar": {func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "sidecar"}) }, own("baseline", "host")},
		"a privileged one":   {func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{privilegedContainer()} }, own("privileged", "host")},
		"users of its own":   {func(p *corev1.Pod) { p.Spec.HostUsers = new(false) }, own("restricted", "pod")},
		"a directory of host": {func(p *corev1.Pod) {
			p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}
		}, own("privileged", "host")},
		"a label":           {func(p *corev1.Pod) { p.Labels[isolation.PrivilegeLabel] = "baseline" }, own("baseline", "host")},
		"the affinity away": {func(p *corev1.Pod) { p.Spec.Affinity = nil }, own("restricted", "host")},
		"another term": {func(p *corev1.Pod) {
			terms := &p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
			*terms = append(*terms, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: "Exists"}}})
		}, required([]corev1.NodeSelectorTerm{
			{MatchExpressions: []corev1.NodeSelectorRequirement{}},
			{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: "Exists"}}},
		}, noSet(), setOf(isolation.NodeLabels{"acme", "unclassified", "restricted", "host"}))},
	} {
		t.Run(name, func(t *testing.T) {
			r := request{
				operation: apiserver.Create, resource: "pods", object: ordinaryPod(), params: parametersOf(inForce()),
				namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{isolation.TenantLabel: "acme"}}},
			}
			pod := mutator.patch(t, r)
			r.object = pod
			if !fits.ask(t, r).allowed() {
				t.Fatal("the affinity does not fit from the start")
			}
			tc.change(pod)
			unchanged := cmp.Equal(tc.want, termsOf(pod))
			if fit := fits.ask(t, r).allowed(); fit != unchanged {
				t.Errorf("a change that asks for %v fits: %v", tc.want, fit)
			}
			after := mutator.patch(t, r)
			if unchanged && after != pod {
				t.Error("the pod is read and written once more for nothing")
			}
			if diff := cmp.Diff(tc.want, termsOf(after), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("terms (-want +got):\n%s", diff)
			}
			r.object = after
			if !fits.ask(t, r).allowed() {
				t.Error("the affinity does not fit in the end")
			}
		})
	}
}

func privilegedContainer() corev1.Container {
	return corev1.Container{Name: "c", SecurityContext: &corev1.SecurityContext{Privileged: new(true)}}
}
