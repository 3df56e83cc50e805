package admission_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserver "k8s.io/apiserver/pkg/admission"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// A policy that runs over its budget refuses the request, a kubelet's as well.
func TestPoliciesCostOfALargePod(t *testing.T) {
	// A hundredth of what one policy may cost.
	const limit = celconfig.RuntimeCELCostBudget / 100

	large, bound, debugged := largePod(50, 0), largePod(50, 0), largePod(50, 50)
	bound.Spec.NodeName, debugged.Spec.NodeName = "node-1", "node-1"
	delete(large.Annotations, isolation.EvidenceAnnotation)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{
		"tenantisolation.dev/tenant": "acme", "tenantisolation.dev/data-class": "internal",
		"tenantisolation.dev/privilege": "restricted", "tenantisolation.dev/boundary": "vm",
	}}}
	create := request{operation: apiserver.Create, resource: "pods", object: large, params: parametersOf(inForce())}
	update := func(subresource string) request {
		return request{operation: apiserver.Update, resource: "pods", subresource: subresource, object: debugged, old: bound}
	}
	requests := map[string]request{
		"tenant-isolation-pods":                 create,
		"tenant-isolation-evidence":             update(""),
		"tenant-isolation-updates":              update("status"),
		"tenant-isolation-ephemeral-containers": update("ephemeralcontainers"),
	}
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		r := requests[name]
		r.namespace = namespace
		if r.operation == apiserver.Create {
			r.object = compileMutation(t, shippedMutation(t, name)).patch(t, r)
		}
		got := compile(t, shippedPolicy(t, name)).ask(t, r)
		if !got.allowed() {
			t.Errorf("%s refuses the pod: %v", name, got.holds)
		}
		if got.cost > limit {
			t.Errorf("%s costs %d, want at most %d of %d", name, got.cost, limit, celconfig.RuntimeCELCostBudget)
		}
		t.Logf("%-40s %7d, %.2f%% of the budget", name, got.cost, 100*float64(got.cost)/celconfig.RuntimeCELCostBudget)
	}
}

func largePod(containers, ephemeral int) *corev1.Pod {
	kata := "kata-qemu"
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{"tenantisolation.dev/tenant": "acme", "tenantisolation.dev/data-class": "restricted"},
			Annotations: map[string]string{
				isolation.EvidenceAnnotation: "tenant=acme,data-class=restricted,privilege=restricted,user-namespace=host,boundary=vm",
			},
		},
		Spec: corev1.PodSpec{SchedulerName: "tenant-isolation-scheduler", RuntimeClassName: &kata},
	}
	for i := range 50 {
		pod.Labels[fmt.Sprintf("example.com/label-%d", i)] = "value"
		pod.Annotations[fmt.Sprintf("example.com/annotation-%d", i)] = "value"
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: fmt.Sprintf("example.com/taint-%d", i), Operator: corev1.TolerationOpExists})
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
			Name: fmt.Sprintf("volume-%d", i), VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
	}
	for i := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("main-%d", i), SecurityContext: restrictedContext()})
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: fmt.Sprintf("init-%d", i), SecurityContext: restrictedContext()})
	}
	for i := range ephemeral {
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: fmt.Sprintf("debugger-%d", i), SecurityContext: restrictedContext()},
		})
	}
	return pod
}
