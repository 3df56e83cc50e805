package admission_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserver "k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// A plain pod is accepted without a further look, so it must have no fault; and each line of what is plain must
// exclude a fault that no other line excludes.
func TestPlainPodsHaveNoFault(t *testing.T) {
	const tries = 1000
	random := rand.New(rand.NewPCG(seed, 2))
	policy := shippedPolicy(t, "tenant-isolation-pods").DeepCopy()
	at := slices.IndexFunc(policy.Spec.Variables, func(v admissionregistrationv1.Variable) bool { return v.Name == "plain" })
	lines := strings.Split(policy.Spec.Variables[at].Expression, "// ")[1:]
	for i, line := range lines {
		_, condition, _ := strings.Cut(line, "\n")
		lines[i] = strings.TrimPrefix(strings.TrimSpace(condition), "&& ")
	}
	policy.Spec.Validations = []admissionregistrationv1.Validation{{Expression: "variables.plain && variables.exact"}, {
		Expression: "size(variables.faults) == 0", MessageExpression: `variables.faults.join("; ")`,
	}}
	shipped := compile(t, policy)
	without := make([]*evaluator, len(lines))
	for i := range lines {
		shorter := policy.DeepCopy()
		shorter.Spec.Variables[at].Expression = strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "\n&& ")
		without[i] = compile(t, shorter)
	}

	mutation := compileMutation(t, shippedMutation(t, "tenant-isolation-pods"))
	plain, needed := 0, make([]bool, len(lines))
	for range tries {
		r := randomRequest(random)
		answer := shipped.ask(t, r)
		holds := answer.holds
		if holds[0] && !holds[1] {
			t.Fatalf("a plain pod has a fault, %s: %+v in %v by %v", answer.text, r.object, r.namespace.Labels, r.user)
		}
		if holds[0] {
			plain++
		}
		// Where nobody else changes new pods, they are as admission leaves them.
		alone := r
		alone.params.(*corev1.ConfigMap).Data[admission.PodMutatorsKey] = admission.PodMutatorsNone
		alone.object = mutation.patch(t, alone)
		if answer := shipped.ask(t, alone); answer.holds[0] && !answer.holds[1] {
			t.Fatalf("a plain pod has a fault, %s: %+v in %v by %v", answer.text, alone.object, r.namespace.Labels, r.user)
		}
		delete(alone.params.(*corev1.ConfigMap).Data, admission.PodMutatorsKey)
		for i := range lines {
			// A pod without a fault shows nothing.
			if !holds[1] && !needed[i] {
				needed[i] = without[i].ask(t, r).holds[0]
			}
		}
	}
	t.Logf("%d of %d pods are plain", plain, tries)
	if plain < tries/20 {
		t.Error("hardly any pod is plain: this compares nothing")
	}
	for i, line := range lines {
		if !needed[i] {
			t.Errorf("no pod with a fault would be plain without: %s", line)
		}
	}
}

// randomRequest creates a pod that is near to an ordinary one.
func randomRequest(random *rand.Rand) request {
	pod := ordinaryPod()
	r := request{operation: apiserver.Create, resource: "pods", object: pod, user: user.DefaultInfo{Name: "edith"}}
	r.namespace = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{"tenantisolation.dev/tenant": "acme"}}}
	policy := inForce()
	policy.Spec.DataClasses = []string{"green", "amber", "red"}
	policy.Spec.Sharing.DataClasses = pick(random, nil, []v1alpha1.DataClassGroup{{"amber", "green"}}, []v1alpha1.DataClassGroup{{"red", "unclassified"}})
	if random.IntN(4) == 0 {
		policy.Spec.SeparateBy = []v1alpha1.Axis{v1alpha1.AxisTenant}
	}
	r.params = parametersOf(policy)
	pod.Labels["tenantisolation.dev/tenant"] = "acme"
	pod.Spec.SchedulerName = schedulerName
	class, privilege, users := "unclassified", "restricted", "host"
	if len(policy.Spec.SeparateBy) == 1 {
		class, privilege, users = isolation.NodeLabelAny, isolation.NodeLabelAny, isolation.NodeLabelAny
	} else if len(policy.Spec.Sharing.DataClasses) > 0 && policy.Spec.Sharing.DataClasses[0][0] == "red" {
		class = "red"
	}
	pod.Spec.Affinity = requiredBy(required(nil, noSet(), setOf(isolation.NodeLabels{"acme", class, privilege, users})))
	changes := changesOfPods(random, &r, pod)
	for range random.IntN(4) {
		pick(random, changes...)()
	}
	return r
}

// changesOfPods each make a fault, or nearly one.
func changesOfPods(random *rand.Rand, r *request, pod *corev1.Pod) []func() {
	term := func() corev1.PodAffinityTerm {
		return corev1.PodAffinityTerm{
			TopologyKey:       pick(random, "kubernetes.io/hostname", "tenantisolation.dev/tenant"),
			Namespaces:        pick(random, nil, []string{"ns"}, []string{"other"}),
			NamespaceSelector: pick(random, nil, &metav1.LabelSelector{}, &metav1.LabelSelector{MatchLabels: map[string]string{"tenantisolation.dev/tenant": "acme"}}),
		}
	}
	annotate := func(key string) { pod.Annotations = map[string]string{key: "yes"} }
	return []func(){
		func() {
			pod.Spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term()}}
		},
		func() {
			pod.Spec.NodeSelector = map[string]string{pick(random, "zone", "tenantisolation.dev/tenant"): "a"}
		},
		func() {
			pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{TopologyKey: pick(random, "zone", "tenantisolation.dev/tenant")}}
		},
		func() { pod.Spec.NodeName = pick(random, "", "node-1") },
		func() { pod.Spec.TerminationGracePeriodSeconds = pick(random, nil, new(int64(0)), new(int64(1))) },
		func() { pod.Spec.Priority = pick(random, nil, new(int32(1_000_000_000)), new(int32(2_000_000_000))) },
		func() { pod.Spec.PriorityClassName = pick(random, "", "high", "system-node-critical") },
		func() {
			annotate(pick(random, "example.com/a", "tenantisolation.dev/trust-domain", "tenantisolation.dev/dedication", "io.katacontainers.x"))
		},
		func() { pod.Annotations = map[string]string{} },
		func() {
			annotate("kubernetes.io/config.mirror")
			r.user = user.DefaultInfo{Name: "system:node:" + pod.Spec.NodeName, Groups: []string{"system:nodes"}}
		},
		func() {
			r.namespace.Labels["tenantisolation.dev/tenant"] = pick(random, "", "acme", "globex")
			pod.Labels = map[string]string{"app": "web", "tenantisolation.dev/tenant": pick(random, "", "acme", "globex")}
		},
		func() { delete(pod.Labels, "tenantisolation.dev/tenant") },
		func() { pod.Labels = map[string]string{"app": "web"} },
		func() {
			r.namespace.Labels["tenantisolation.dev/boundary"] = pick(random, "", "container", "sandbox", "vm", "node", "none")
			pod.Spec.RuntimeClassName = pick(random, nil, new("kata-qemu"), new("gvisor"), new("plain"))
		},
		func() {
			r.namespace.Labels["tenantisolation.dev/privilege"] = pick(random, "", "restricted", "baseline", "high")
		},
		func() {
			pod.Labels = map[string]string{"app": "web", "tenantisolation.dev/tenant": "acme", "tenantisolation.dev/privilege": pick(random, "", "restricted", "baseline", "high")}
		},
		func() {
			r.namespace.Labels["tenantisolation.dev/data-class"] = pick(random, "", "unclassified", "green", "red", "blue")
		},
		func() {
			pod.Labels = map[string]string{"app": "web", "tenantisolation.dev/tenant": "acme", "tenantisolation.dev/data-class": pick(random, "", "unclassified", "green", "red", "blue")}
		},
		func() {
			pod.Spec.SchedulerName = pick(random, "", "default-scheduler", "other", schedulerName, schedulerName+" ")
		},
		func() { pod.Spec.Tolerations = pick(random, nil, []corev1.Toleration{}) },
		func() { pod.Spec.Tolerations = append(pod.Spec.Tolerations, randomToleration(random)) },
		func() { pod.Spec.Tolerations = append(pod.Spec.Tolerations, randomToleration(random)) },
	}
}

func randomToleration(random *rand.Rand) corev1.Toleration {
	return corev1.Toleration{
		Key: pick(random, "", "example.com/a", "tenantisolation.dev/tenant", "tenantisolation.dev/data-class", "tenantisolation.dev/boundary",
			"tenantisolation.dev/other", "tenantisolation.node-restriction.kubernetes.io/tenant"),
		Operator: pick(random, "", corev1.TolerationOpEqual, corev1.TolerationOpEqual, corev1.TolerationOpExists),
		Value:    pick(random, "", "acme", "globex", "unclassified", "green", "amber", "red", "vm"),
		Effect:   pick(random, "", "", corev1.TaintEffectNoSchedule),
	}
}
