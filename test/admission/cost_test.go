package admission

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// The ratios are only printed: they differ from run to run on a busy machine. The floor is an API server
// with a single mutating policy that sets one field.
func TestBudgetOfThePolicies(t *testing.T) {
	ours, bare := newInstallation(t, true), newPlane(t)
	bare.floor()
	ours.inForce()
	took := byTurns(150, map[string]func(requests int) float64{
		"none": func(n int) float64 {
			return bare.cost(n, func() error { return bare.try("others", newPod(scheduledBy(""))) })
		},
		"floor": func(n int) float64 {
			return bare.cost(n, func() error { return bare.try("floor", newPod(scheduledBy(""))) })
		},
		"unmanaged": func(n int) float64 {
			return ours.cost(n, func() error { return ours.try("others", newPod(scheduledBy(""))) })
		},
		"managed": func(n int) float64 {
			return ours.cost(n, func() error { return ours.try("tenants", newPod(scheduledBy(""))) })
		},
	})
	t.Logf("a new pod, tried out, in ms of the API server: %.2f without policies, %.2f with a trivial mutating one (%s times), "+
		"%.2f in a managed namespace (%s times the trivial one), %.2f in one without a tenant (%s times none)",
		median(took["none"]), median(took["floor"]), ratio(took["floor"], took["none"]),
		median(took["managed"]), ratio(took["managed"], took["floor"]),
		median(took["unmanaged"]), ratio(took["unmanaged"], took["none"]))
}

// What the API server allocates depends on no other program.
func TestBudgetOfMemory(t *testing.T) {
	ours, bare := newInstallation(t, true), newPlane(t)
	bare.floor()
	ours.inForce()
	kilobytes := func(i *installation, namespace string) float64 {
		try := func() error { return i.try(namespace, newPod(scheduledBy(""))) }
		i.each("go_memstats_alloc_bytes_total", 50, try)
		return i.each("go_memstats_alloc_bytes_total", 200, try) / 1024
	}
	none, floor := kilobytes(bare, "others"), kilobytes(bare, "floor")
	managed, unmanaged := kilobytes(ours, "tenants"), kilobytes(ours, "others")
	t.Logf("a new pod, tried out, in KB that the API server allocates: %.0f without policies, %.0f with a trivial mutating one (%.2f times), "+
		"%.0f in a managed namespace (%.2f times the trivial one), %.0f in one without a tenant (%.2f times none)",
		none, floor, floor/none, managed, managed/floor, unmanaged, unmanaged/none)
}

// byTurns measures several things by turns, so that all see the same load of the machine. The first turn is a
// warm-up.
func byTurns(requests int, measure map[string]func(requests int) float64) map[string][]float64 {
	const turns = 11
	took := map[string][]float64{}
	for turn := range turns {
		for name, each := range measure {
			cost := each(requests)
			if turn > 0 {
				took[name] = append(took[name], cost)
			}
		}
	}
	return took
}

// ratio is the median of the ratios of each turn, with the middle half of them.
func ratio(a, b []float64) string {
	ratios := make([]float64, 0, len(a))
	for i := range a {
		ratios = append(ratios, a[i]/b[i])
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%.2f (%.2f to %.2f)", ratios[len(ratios)/2], ratios[len(ratios)/4], ratios[3*len(ratios)/4])
}

func TestBudgetOfAStatusWrite(t *testing.T) {
	ours, bare := newInstallation(t, true), newPlane(t)
	ours.inForce()
	took := byTurns(200, map[string]func(requests int) float64{
		"none": bare.statusWrites("tenants"), "managed": ours.statusWrites("tenants"), "unmanaged": ours.statusWrites("others"),
	})
	t.Logf("a kubelet's write of a pod's status, tried out, in ms of the API server: %.2f without policies, %.2f in a managed namespace "+
		"(%s times), %.2f in one without a tenant (%s times)", median(took["none"]),
		median(took["managed"]), ratio(took["managed"], took["none"]), median(took["unmanaged"]), ratio(took["unmanaged"], took["none"]))
}

// statusWrites measures writes of the status of a pod that is on a node, by its kubelet.
func (i *installation) statusWrites(namespace string) func(requests int) float64 {
	i.t.Helper()
	class := ""
	if namespace == "tenants" {
		class = i.policy.Spec.DataClasses[0]
	}
	pod, err := i.admin.CoreV1().Pods(namespace).Create(i.t.Context(),
		newPod(scheduledBy(i.policy.Spec.DataClasses[0]), labelled(dataClass(class))), metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	binding := plainBindingOf(pod, freeNode)
	if class != "" {
		// The node that the table names.
		binding = plainBindingOf(pod, class)
		binding.Annotations = map[string]string{evidenceKey: evidenceOf("baseline"), dedicationKey: term + "-id"}
	}
	if err := i.scheduler.CoreV1().Pods(namespace).Bind(i.t.Context(), binding, metav1.CreateOptions{}); err != nil {
		i.t.Fatal(err)
	}
	config := i.plane.Admin()
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:node:" + binding.Target.Name, Groups: []string{"system:nodes", "system:masters"},
	}
	client := kubernetes.NewForConfigOrDie(config)
	n := 0
	return func(requests int) float64 {
		return i.cost(requests, func() error {
			n++
			status := fmt.Sprintf(`{"status": {"message": "%d"}}`, n)
			_, err := client.CoreV1().Pods(namespace).Patch(i.t.Context(), pod.Name, types.StrategicMergePatchType, []byte(status),
				metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, "status")
			return err
		})
	}
}

// Pods that are refused for their size cost no more than their size.
func TestBudgetOfHugePods(t *testing.T) {
	ours, bare := newInstallation(t, true), newPlane(t)
	ours.inForce()
	for what, option := range map[string]func(n int) podOption{
		"annotations": func(n int) podOption {
			return func(p *corev1.Pod) {
				for j := range n {
					p.Annotations[fmt.Sprintf("a%d", j)] = ""
				}
			}
		},
		"tolerations": func(n int) podOption {
			return func(p *corev1.Pod) {
				for j := range n {
					tolerating(corev1.Toleration{Key: fmt.Sprintf("a%d", j), Operator: corev1.TolerationOpExists})(p)
				}
			}
		},
		"containers": func(n int) podOption {
			return func(p *corev1.Pod) {
				for j := range n {
					p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", j), Image: "none"})
				}
			}
		},
	} {
		most := map[string]int{"annotations": 16_000, "tolerations": 20_000, "containers": 5_000}[what]
		for _, n := range []int{most / 4, most / 2, most} {
			var each [3]float64
			for j, plane := range []*installation{bare, ours, ours} {
				pod, namespace := newPod(scheduledBy(""), option(n)), []string{"tenants", "tenants", "others"}[j]
				each[j] = plane.cost(5, func() error {
					_ = plane.try(namespace, pod)
					return nil
				})
			}
			t.Logf("%5d %s, in ms: %6.1f without policies, %6.1f in a managed namespace, %6.1f in one without a tenant", n, what, each[0], each[1], each[2])
		}
	}
}

// inForce waits until the policies answer.
func (i *installation) inForce() {
	i.t.Helper()
	if !i.answersByTheNewest(patience) {
		i.t.Fatal("the policies do not come into force")
	}
}

func (i *installation) try(namespace string, pod *corev1.Pod) error {
	_, err := i.admin.CoreV1().Pods(namespace).Create(i.t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// cost is the processor time of the API server, in milliseconds, for each of several requests.
func (i *installation) cost(requests int, request func() error) float64 {
	i.t.Helper()
	return 1000 * i.each("process_cpu_seconds_total", requests, request)
}

// each is how much a metric grows for each of several requests.
func (i *installation) each(metric string, requests int, request func() error) float64 {
	i.t.Helper()
	before := i.metric(metric)
	for range requests {
		if err := request(); err != nil {
			i.t.Fatal(err)
		}
	}
	return (i.metric(metric) - before) / float64(requests)
}

// floor makes a namespace whose pods only a trivial mutating policy sees.
func (i *installation) floor() {
	i.t.Helper()
	ctx, meta := i.t.Context(), metav1.ObjectMeta{Name: "floor"}
	_, err := i.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "floor", Labels: map[string]string{"floor": "yes"}}}, metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	_, err = i.admin.AdmissionregistrationV1().MutatingAdmissionPolicies().Create(ctx, &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: meta,
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			FailurePolicy:      ptr.To(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"floor": "yes"}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{
				Expression: `[JSONPatch{op: "add", path: "/spec/schedulerName", value: "another"}]`,
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	_, err = i.admin.AdmissionregistrationV1().MutatingAdmissionPolicyBindings().Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "floor"},
	}, metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	if err := poll(ctx, func(ctx context.Context) (bool, error) {
		pod, err := i.admin.CoreV1().Pods("floor").Create(ctx, newPod(scheduledBy("")), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && pod.Spec.SchedulerName == "another", nil
	}); err != nil {
		i.t.Fatal(err)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// metric is a counter of the API server.
func (i *installation) metric(name string) float64 {
	i.t.Helper()
	metrics, err := i.admin.CoreV1().RESTClient().Get().AbsPath("/metrics").Do(i.t.Context()).Raw()
	if err != nil {
		i.t.Fatal(err)
	}
	for line := range strings.Lines(string(metrics)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				i.t.Fatal(err)
			}
			return value
		}
	}
	i.t.Fatalf("the API server has no metric %s", name)
	return 0
}
