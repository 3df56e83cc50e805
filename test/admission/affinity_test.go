package admission

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// terms are what a pod asks of the labels of nodes, with the part behind the prefix of each key.
func terms(spec *corev1.PodSpec) []string {
	var found []string
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil || spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	for _, term := range spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		var parts []string
		for _, e := range term.MatchExpressions {
			key, _ := strings.CutPrefix(e.Key, isolation.NodeLabelPrefix)
			parts = append(parts, strings.Join(slices.Concat([]string{key, string(e.Operator)}, e.Values), " "))
		}
		found = append(found, strings.Join(parts, ", "))
	}
	return found
}

const (
	noOnes = "tenant DoesNotExist, data-class DoesNotExist, privilege DoesNotExist, user-namespace DoesNotExist"
	forVMs = "tenant In vm, data-class In vm, privilege In vm, user-namespace In vm"
)

func acmes(class, privilege, users string) string {
	return "tenant In acme, data-class In " + class + ", privilege In " + privilege + ", user-namespace In " + users
}

func TestUseAffinityOfAPod(t *testing.T) {
	for what, tc := range map[string]struct {
		namespace []label
		pod       []podOption
		want      []string
	}{
		"a pod that says nothing": {want: []string{noOnes, acmes("unclassified", "baseline", "host")}},
		"a restricted pod": {
			namespace: []label{dataClass("internal")}, pod: []podOption{restricted}, want: []string{noOnes, acmes("internal", "restricted", "host")},
		},
		"a privileged init container": {pod: []podOption{privilegedInit}, want: []string{noOnes, acmes("unclassified", "privileged", "host")}},
		"a label above what it does": {
			pod: []podOption{restricted, labelled(privilege("privileged"))}, want: []string{noOnes, acmes("unclassified", "privileged", "host")},
		},
		"users of its own": {
			pod:  []podOption{func(p *corev1.Pod) { p.Spec.HostUsers = ptr.To(false) }},
			want: []string{noOnes, acmes("unclassified", "baseline", "pod")},
		},
		"a virtual machine with a volume that is not bound yet": {
			pod: []podOption{runtimeClass(kataClass), func(p *corev1.Pod) {
				p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
					PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
				}})
			}},
			want: []string{noOnes, forVMs, acmes("unclassified", "baseline", "host")},
		},
		"a virtual machine that is alone on its node": {
			namespace: []label{boundary("node")}, pod: []podOption{runtimeClass(kataClass)}, want: []string{noOnes, acmes("unclassified", "baseline", "host")},
		},
		"a term of its own": {
			pod: []podOption{nodeAffinity("example.com/disk", false)},
			want: []string{
				"example.com/pool Exists, example.com/disk In acme victim, " + noOnes,
				"example.com/pool Exists, example.com/disk In acme victim, " + acmes("unclassified", "baseline", "host"),
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t)
			namespace := s.managed(tc.namespace...)
			got, err := s.create(namespace, tc.pod...)
			s.allowed("its creation", err)
			if diff := cmp.Diff(tc.want, terms(&got.Spec)); diff != "" {
				t.Errorf("terms (-want +got):\n%s", diff)
			}
			if strings.Contains(string(got.UID), "/") {
				t.Errorf("the pod keeps the mark %q", got.UID)
			}
			// A restored pod brings the terms of the pod that it was.
			again, err := s.create(namespace, slices.Concat(tc.pod, []podOption{func(p *corev1.Pod) { p.Spec.Affinity = got.Spec.Affinity }})...)
			s.allowed("a copy of it", err)
			if diff := cmp.Diff(tc.want, terms(&again.Spec)); diff != "" {
				t.Errorf("terms of a copy (-want +got):\n%s", diff)
			}
		})
	}
}

// Kubelets check the required node affinity of each pod that starts, and so does every scheduler that has the
// NodeAffinity plugin: what came past this project's scheduler is rejected on the node of another trust domain.
func TestUseAffinityIsASecondFence(t *testing.T) {
	s := newScene(t)
	container, err := s.create(s.managed())
	s.must(err)
	virtual, err := s.create(s.managed(), runtimeClass(kataClass))
	s.must(err)
	own := isolation.NodeLabels{"acme", "unclassified", "baseline", "host"}
	for where, tc := range map[string]struct {
		labels             isolation.NodeLabels
		container, virtual bool
	}{
		"a node of no one":                {isolation.NodeLabels{}, true, true},
		"its trust domain's":              {own, true, true},
		"another tenant's":                {isolation.NodeLabels{"victim", "unclassified", "baseline", "host"}, false, false},
		"another data class's":            {isolation.NodeLabels{"acme", "internal", "baseline", "host"}, false, false},
		"another privilege's":             {isolation.NodeLabels{"acme", "unclassified", "restricted", "host"}, false, false},
		"that of other user namespaces":   {isolation.NodeLabels{"acme", "unclassified", "baseline", "pod"}, false, false},
		"one that virtual machines share": {isolation.VMNodeLabels(), false, true},
		"one with pods without a tenant":  {isolation.UnmanagedNodeLabels(), false, false},
	} {
		node := newNode("node")
		maps.Copy(node.Labels, tc.labels.Map())
		info := framework.NewNodeInfo()
		info.SetNode(node)
		for pod, want := range map[*corev1.Pod]bool{container: tc.container, virtual: tc.virtual} {
			bound := pod.DeepCopy()
			bound.Spec.NodeName = node.Name
			rejected := slices.ContainsFunc(scheduler.AdmissionCheck(bound, info, true), func(r scheduler.AdmissionResult) bool {
				return r.Name == "NodeAffinity"
			})
			if rejected == want {
				t.Errorf("a kubelet of %s rejects a pod with %v: %v", where, terms(&pod.Spec), rejected)
			}
		}
	}
}

// What admission wrote stays, whatever an update changes.
func TestUseAffinityOfAGatedPod(t *testing.T) {
	s := newScene(t)
	pod := s.waiting(s.managed(), gated)
	change := func(edit func(*corev1.NodeSelector)) error {
		changed := s.get(pod)
		edit(changed.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		_, err := s.as(editor).CoreV1().Pods(pod.Namespace).Update(s.ctx, changed, metav1.UpdateOptions{})
		return err
	}
	for what, edit := range map[string]func(*corev1.NodeSelector){
		"another tenant as well": func(n *corev1.NodeSelector) {
			n.NodeSelectorTerms[1].MatchExpressions = append(n.NodeSelectorTerms[1].MatchExpressions, corev1.NodeSelectorRequirement{
				Key: isolation.NodeLabelKey(isolation.AxisTenant), Operator: corev1.NodeSelectorOpNotIn, Values: []string{"victim"},
			})
		},
		"another data class": func(n *corev1.NodeSelector) {
			n.NodeSelectorTerms[1].MatchExpressions = append(n.NodeSelectorTerms[1].MatchExpressions, corev1.NodeSelectorRequirement{
				Key: dataClassKey, Operator: corev1.NodeSelectorOpExists,
			})
		},
	} {
		if err := change(edit); err == nil {
			t.Errorf("%s: allowed", what)
		} else if err := helps(err.Error(), []string{"affinity", "tenantisolation.dev/"}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.allowed("a zone in every term", change(func(n *corev1.NodeSelector) {
		for i := range n.NodeSelectorTerms {
			n.NodeSelectorTerms[i].MatchExpressions = append(n.NodeSelectorTerms[i].MatchExpressions, corev1.NodeSelectorRequirement{
				Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"a"},
			})
		}
	}))
}

// A requirement in one term alone would have the pod on nodes of one kind alone.
func TestUseAffinityThatIsUneven(t *testing.T) {
	s := newScene(t)
	pod := s.waiting(s.managed(), gated, runtimeClass(kataClass))
	changed := s.get(pod)
	changed.Spec.SchedulingGates = nil
	for _, i := range []int{0, 2} {
		term := &changed.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[i]
		term.MatchExpressions = append(term.MatchExpressions, corev1.NodeSelectorRequirement{
			Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"never"},
		})
	}
	_, err := s.as(editor).CoreV1().Pods(pod.Namespace).Update(s.ctx, changed, metav1.UpdateOptions{})
	if err == nil {
		t.Error("a zone in all terms but that of shared nodes is allowed")
	} else if err := helps(err.Error(), []string{"spec.affinity"}); err != nil {
		t.Error(err)
	}
}

// The template gets the terms as well, and an update that changes nothing rolls nothing out.
func TestUseAffinityOfADaemonSet(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(dataClass("internal"))
	sets := s.as(editor).AppsV1().DaemonSets(namespace)
	template := templateOf(nodeAffinity("example.com/disk", false))
	set, err := sets.Create(s.ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: unique("agent")}, Spec: appsv1.DaemonSetSpec{Selector: selector(), Template: template},
	}, metav1.CreateOptions{})
	s.allowed("its creation", err)
	author := "example.com/pool Exists, example.com/disk In acme victim, "
	want := []string{author + noOnes, author + acmes("internal", "baseline", "host")}
	if diff := cmp.Diff(want, terms(&set.Spec.Template.Spec)); diff != "" {
		t.Fatalf("terms (-want +got):\n%s", diff)
	}
	for what, spec := range map[string]corev1.PodTemplateSpec{"as it is": set.Spec.Template, "as its author wrote it": template} {
		var got *appsv1.DaemonSet
		// Its controller writes the status meanwhile.
		s.allowed("an update", retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
			if got, err = sets.Get(s.ctx, set.Name, metav1.GetOptions{}); err != nil {
				return err
			}
			got.Spec.Template = spec
			got, err = sets.Update(s.ctx, got, metav1.UpdateOptions{})
			return err
		}))
		if got.Generation != set.Generation {
			t.Errorf("updated %s, it is rolled out anew: %v", what, terms(&got.Spec.Template.Spec))
		}
	}
	s.relabel(namespace, dataClass("restricted"))
	want[1] = author + acmes("restricted", "baseline", "host")
	s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
		got, err := sets.Get(ctx, set.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		got.Labels = map[string]string{"touched": unique("x")}
		got, err = sets.Update(ctx, got, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil && cmp.Equal(want, terms(&got.Spec.Template.Spec)), err
	}))
}

// Another mutation, as of a webhook, that comes after admission wrote the affinity.
func TestUseAffinityWithOtherMutations(t *testing.T) {
	s := newScene(t)
	namespace := s.managed()
	s.mutating(namespace, "raises",
		`"raise" in object.metadata.labels ? [JSONPatch{op: "add", path: "/spec/hostPID", value: true}] : []`)
	var pod *corev1.Pod
	s.must(poll(s.ctx, func(context.Context) (bool, error) {
		var err error
		pod, err = s.create(namespace, labelled(label{"raise", "yes"}))
		return err == nil && pod.Spec.HostPID, err
	}))
	if diff := cmp.Diff([]string{noOnes, acmes("unclassified", "privileged", "host")}, terms(&pod.Spec)); diff != "" {
		t.Errorf("terms of a pod that was raised later (-want +got):\n%s", diff)
	}
}

// The mark by which admission knows what it has seen is left where an author cannot write.
func TestUseAffinityOfAForgedMark(t *testing.T) {
	s := newScene(t)
	given, err := s.create(s.managed())
	s.must(err)
	const mark = "tenantisolation.dev/1 host   "
	forged := func(p *corev1.Pod) {
		p.UID, p.Status.Reason, p.Spec.Affinity = mark, mark, given.Spec.Affinity.DeepCopy()
		p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[1].MatchExpressions[0].Values = []string{"victim"}
	}
	pod, err := s.create(s.managed(defaultClass(kataClass)), forged)
	s.allowed("its creation", err)
	if got := ptr.Deref(pod.Spec.RuntimeClassName, ""); got != kataClass || pod.Labels[tenantKey] != "acme" || len(pod.Spec.Tolerations) == 0 {
		t.Errorf("the pod has RuntimeClass %q, labels %v and tolerations %v: not what admission gives", got, pod.Labels, pod.Spec.Tolerations)
	}
	if got := strings.Join(terms(&pod.Spec), "\n"); strings.Contains(got, "victim") {
		t.Errorf("the pod asks for the victim's nodes: %s", got)
	}
}

// mutating makes a policy for the pods of a namespace.
func (s *scene) mutating(namespace, name, expression string) {
	name = unique(name)
	policies, bindings := s.admin.AdmissionregistrationV1().MutatingAdmissionPolicies(), s.admin.AdmissionregistrationV1().MutatingAdmissionPolicyBindings()
	_, err := policies.Create(s.ctx, &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy, FailurePolicy: ptr.To(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{Expression: expression}}},
		},
	}, metav1.CreateOptions{})
	s.must(err)
	_, err = bindings.Create(s.ctx, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
	}, metav1.CreateOptions{})
	s.must(err)
	s.tb.Cleanup(func() {
		ctx := context.WithoutCancel(s.ctx)
		_ = bindings.Delete(ctx, name, metav1.DeleteOptions{})
		_ = policies.Delete(ctx, name, metav1.DeleteOptions{})
	})
}
