package autoscaling

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// requested is what each pod asks for: five of them fill a machine of four CPUs better than one of eight.
const requested = "500m"

// tenant makes a namespace of a tenant that only this scenario has.
func (s *scenario) tenant(name string) string {
	s.Helper()
	return s.namespaceOf(name, map[string]string{"tenantisolation.dev/tenant": s.name + "-" + name})
}

// unmanaged makes a namespace without a tenant.
func (s *scenario) unmanaged(name string) string { return s.namespaceOf(name, nil) }

func (s *scenario) namespaceOf(name string, labels map[string]string) string {
	s.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.name + "-" + name, Labels: labels}}
	_, err := s.api.CoreV1().Namespaces().Create(s.Context(), ns, metav1.CreateOptions{})
	s.must(err)
	return ns.Name
}

// run creates a Deployment of restricted pods.
func (s *scenario) run(namespace, name string, replicas int32, change ...func(*corev1.PodSpec)) {
	s.Helper()
	labels := map[string]string{"app": name}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: s.podSpec(change...)},
		},
	}
	_, err := s.api.AppsV1().Deployments(namespace).Create(s.Context(), deployment, metav1.CreateOptions{})
	s.must(err)
}

func (s *scenario) podSpec(change ...func(*corev1.PodSpec)) corev1.PodSpec {
	spec := corev1.PodSpec{
		NodeSelector: map[string]string{scenarioLabel: s.name},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "c", Image: "none",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(requested)}},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
		TerminationGracePeriodSeconds: ptr.To[int64](1),
	}
	for _, each := range change {
		each(&spec)
	}
	return spec
}

// baseline makes a pod that the Pod Security Standards call baseline.
func baseline(spec *corev1.PodSpec) {
	spec.SecurityContext, spec.Containers[0].SecurityContext = nil, nil
}

func remapped(spec *corev1.PodSpec) { spec.HostUsers = ptr.To(false) }

func inKata(spec *corev1.PodSpec) { spec.RuntimeClassName = ptr.To("kata-qemu") }

// unsatisfiablePreference is what Karpenter has to drop before it may drop a required term.
func unsatisfiablePreference(spec *corev1.PodSpec) {
	spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"nowhere"}},
			}},
		}},
	}}
}

func (s *scenario) scale(namespace, name string, replicas int32) {
	s.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := s.api.AppsV1().Deployments(namespace).Patch(s.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	s.must(err)
}

// placed waits until that many pods are on nodes, and none waits.
func (s *scenario) placed(count int, d time.Duration) {
	s.Helper()
	took := s.within(d, fmt.Sprintf("all %d pods placed", count), func() string {
		placed, pending, _ := s.journal.waits(s.name, "")
		if placed == count && len(pending) == 0 {
			return ""
		}
		return fmt.Sprintf("%d placed, %v wait; nodes %v", placed, pending, s.nodesWithLabels())
	})
	_, _, longest := s.journal.waits(s.name, "")
	s.report("%d pods placed after %.1f s, on %v; the longest wait of all was %.1f s", count, took.Seconds(), s.machines(), longest.Seconds())
}

func (s *scenario) nodesWithLabels() []string {
	var described []string
	for _, node := range s.nodes() {
		described = append(described, fmt.Sprintf("%s %s [%s]", node.Name, node.Labels[corev1.LabelInstanceTypeStable], labelsOf(&node)))
	}
	return described
}

// idle lets time pass in which pods come and go elsewhere, at which Karpenter looks at its nodes again, and
// returns what it has cost.
func (s *scenario) idle(d time.Duration, namespace string) tally {
	s.Helper()
	before := s.journal.tally(s.name)
	const each = 6 * time.Second
	tick := time.NewTicker(each)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < d; {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "passing-", Namespace: namespace}, Spec: s.podSpec()}
		pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/never"}}
		pod, err := s.api.CoreV1().Pods(namespace).Create(s.Context(), pod, metav1.CreateOptions{})
		s.must(err)
		select {
		case <-s.Context().Done():
			s.Fatal(s.Context().Err())
		case <-tick.C:
		}
		s.must(s.api.CoreV1().Pods(namespace).Delete(s.Context(), pod.Name, metav1.DeleteOptions{}))
		s.must(s.plane.Failed())
	}
	cost := s.journal.tally(s.name).since(before)
	s.report("idle for %s: %s", d, cost)
	return cost
}
