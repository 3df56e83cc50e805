package admission

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// What TestBudget... measure is only printed: it differs from run to run, and a busy machine says nothing at all.
// Otherwise each is made once or twice, so that the measuring itself does not rot.
var measure = flag.Bool("measure", false, "have TestBudget... measure what requests cost the API server: some minutes, on a quiet machine (with -v)")

// often is how many times something is done to measure it.
func often(many int) int {
	if *measure {
		return many
	}
	return 1
}

// The floor is an API server with a single mutating policy that sets one field; another sets all fields that ours
// does, and judges nothing.
func TestBudgetOfThePolicies(t *testing.T) {
	ours, bare := newInstallation(t, true), newPlane(t)
	bare.floor("floor", oneField)
	bare.floor("same", sameFields)
	type place struct {
		*installation
		namespace string
	}
	places := map[string]place{"none": {bare, "others"}, "floor": {bare, "floor"}, "same": {bare, "same"}, "managed": {ours, "tenants"}, "unmanaged": {ours, "others"}}
	tried := func(names ...string) map[string][]float64 {
		what := map[string]func() float64{}
		for _, name := range names {
			at := places[name]
			what[name] = func() float64 {
				return at.cost(often(1000), func() error { return at.try(at.namespace, newPod(scheduledBy(""))) })
			}
		}
		return byTurns(what)
	}
	ours.inForce()
	beside := tried("floor", "managed")
	ours.alone = true
	ours.write()
	ours.inForce()
	alone := tried(slices.Collect(maps.Keys(places))...)
	what, waited := map[string]func() float64{}, map[string][]float64{}
	for name, at := range places {
		pods := at.admin.CoreV1().Pods(at.namespace)
		what[name] = func() float64 {
			var took time.Duration
			cost := at.cost(often(1000), func() error {
				begin := time.Now()
				_, err := pods.Create(t.Context(), newPod(scheduledBy("")), metav1.CreateOptions{})
				took += time.Since(begin)
				return err
			})
			waited[name] = append(waited[name], took.Seconds()*1000/float64(often(1000)))
			if err := pods.DeleteCollection(t.Context(), *metav1.NewDeleteOptions(0), metav1.ListOptions{}); err != nil {
				t.Fatal(err)
			}
			return cost
		}
	}
	created := byTurns(what)
	for name, each := range waited {
		waited[name] = each[1:] // without the warm-up
	}
	for what, took := range map[string]map[string][]float64{"tried out, with others that may change pods": beside, "tried out": alone, "created": created, "waited for": waited} {
		for _, of := range [][2]string{{"floor", "none"}, {"same", "floor"}, {"managed", "floor"}, {"managed", "same"}, {"unmanaged", "none"}} {
			if a, b := took[of[0]], took[of[1]]; len(a) > 0 && len(b) > 0 {
				t.Logf("a new pod %s, in ms: %s %.2f, %s %.2f, %s times", what, of[0], median(a), of[1], median(b), ratio(a, b))
			}
		}
	}
}

// What the API server allocates depends on no other program.
func TestBudgetOfMemory(t *testing.T) {
	ours, bare := newInstallation(t, true), newPlane(t)
	bare.floor("floor", oneField)
	bare.floor("same", sameFields)
	ours.inForce()
	kilobytes := func(i *installation, namespace string) float64 {
		try := func() error { return i.try(namespace, newPod(scheduledBy(""))) }
		i.each("go_memstats_alloc_bytes_total", often(50), try)
		return i.each("go_memstats_alloc_bytes_total", often(200), try) / 1024
	}
	none, floor, same := kilobytes(bare, "others"), kilobytes(bare, "floor"), kilobytes(bare, "same")
	beside := kilobytes(ours, "tenants")
	ours.alone = true
	ours.write()
	ours.inForce()
	managed, unmanaged := kilobytes(ours, "tenants"), kilobytes(ours, "others")
	t.Logf("a new pod, tried out, in KB that the API server allocates: %.0f without policies, %.0f with a trivial mutating one (%.2f times), "+
		"%.0f with one that writes the same fields, %.0f in a managed namespace (%.2f times the trivial one; %.2f if others may change pods), %.0f in one without a tenant (%.2f times none)",
		none, floor, floor/none, same, managed, managed/floor, beside/floor, unmanaged, unmanaged/none)
}

// byTurns measures several things by turns, so that all see the same load of the machine. The first turn is a
// warm-up.
func byTurns(what map[string]func() float64) map[string][]float64 {
	took := map[string][]float64{}
	for turn := range 1 + often(7) {
		for name, each := range what {
			cost := each()
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
	took := byTurns(map[string]func() float64{
		"none": bare.statusWrites("tenants"), "managed": ours.statusWrites("tenants"), "unmanaged": ours.statusWrites("others"),
	})
	t.Logf("a kubelet's write of a pod's status, tried out, in ms of the API server: %.2f without policies, %.2f in a managed namespace "+
		"(%s times), %.2f in one without a tenant (%s times)", median(took["none"]),
		median(took["managed"]), ratio(took["managed"], took["none"]), median(took["unmanaged"]), ratio(took["unmanaged"], took["none"]))
}

// statusWrites measures writes of the status of a pod that is on a node, by its kubelet.
func (i *installation) statusWrites(namespace string) func() float64 {
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
	return func() float64 {
		return i.cost(often(200), func() error {
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
				each[j] = plane.cost(often(5), func() error {
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
func (i *installation) cost(count int, request func() error) float64 {
	i.t.Helper()
	return 1000 * i.each("process_cpu_seconds_total", count, request)
}

// each is how much a metric grows for each of several requests, without what reading the metrics adds.
func (i *installation) each(metric string, count int, request func() error) float64 {
	i.t.Helper()
	first := i.metric(metric)
	before := i.metric(metric)
	for range count {
		if err := request(); err != nil {
			i.t.Fatal(err)
		}
	}
	return (i.metric(metric) - before - (before - first)) / float64(count)
}

// The least that can be done: one field.
const oneField = `[JSONPatch{op: "add", path: "/spec/schedulerName", value: "another"}]`

// The fields that a managed pod gets, as they are, without a look at the pod.
const sameFields = `[
	JSONPatch{op: "add", path: "/spec/schedulerName", value: "another"},
	JSONPatch{op: "add", path: "/metadata/labels", value: {"tenantisolation.dev/tenant": "acme"}},
	JSONPatch{op: "add", path: "/spec/tolerations/-", value: {"key": "tenantisolation.dev/tenant", "operator": "Equal", "value": "acme"}},
	JSONPatch{op: "add", path: "/spec/tolerations/-", value: {"key": "tenantisolation.dev/data-class", "operator": "Equal", "value": "any"}},
	JSONPatch{op: "add", path: "/spec/affinity", value: {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
		dyn({"matchExpressions": [
			{"key": "tenantisolation.node-restriction.kubernetes.io/tenant", "operator": "DoesNotExist"},
			{"key": "tenantisolation.node-restriction.kubernetes.io/data-class", "operator": "DoesNotExist"},
			{"key": "tenantisolation.node-restriction.kubernetes.io/privilege", "operator": "DoesNotExist"},
			{"key": "tenantisolation.node-restriction.kubernetes.io/user-namespace", "operator": "DoesNotExist"}]}),
		dyn({"matchExpressions": [
			{"key": dyn("tenantisolation.node-restriction.kubernetes.io/tenant"), "operator": dyn("In"), "values": dyn(["acme"])},
			{"key": dyn("tenantisolation.node-restriction.kubernetes.io/data-class"), "operator": dyn("In"), "values": dyn(["any"])},
			{"key": dyn("tenantisolation.node-restriction.kubernetes.io/privilege"), "operator": dyn("In"), "values": dyn(["baseline"])},
			{"key": dyn("tenantisolation.node-restriction.kubernetes.io/user-namespace"), "operator": dyn("In"), "values": dyn(["any"])}]})]}}}}]`

// floor makes a namespace whose pods only one mutating policy sees, with this patch.
func (i *installation) floor(name, patch string) {
	i.t.Helper()
	ctx, meta := i.t.Context(), metav1.ObjectMeta{Name: name}
	_, err := i.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"floor": name}}}, metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	_, err = i.admin.AdmissionregistrationV1().MutatingAdmissionPolicies().Create(ctx, &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: meta,
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			FailurePolicy:      ptr.To(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"floor": name}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{
				Expression: patch,
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	_, err = i.admin.AdmissionregistrationV1().MutatingAdmissionPolicyBindings().Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
	}, metav1.CreateOptions{})
	if err != nil {
		i.t.Fatal(err)
	}
	if err := poll(ctx, func(ctx context.Context) (bool, error) {
		pod, err := i.admin.CoreV1().Pods(name).Create(ctx, newPod(scheduledBy("")), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
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
