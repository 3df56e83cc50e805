package admission

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// ours are the tolerations of this project's taints, as key=value or key alone, in order.
func ours(tolerations []corev1.Toleration) []string {
	var found []string
	for _, t := range tolerations {
		key, is := strings.CutPrefix(t.Key, "tenantisolation.dev/")
		switch {
		case !is:
		case t.Operator == corev1.TolerationOpExists:
			found = append(found, key)
		case t.Effect != "" || t.TolerationSeconds != nil:
			found = append(found, fmt.Sprintf("%s=%s:%s", key, t.Value, t.Effect))
		default:
			found = append(found, key+"="+t.Value)
		}
	}
	return found
}

func TestUseTolerationsOfAPod(t *testing.T) {
	for what, tc := range map[string]struct {
		namespace []label
		pod       []podOption
		want      []string
	}{
		"a pod that says nothing": {want: []string{"tenant=acme", "data-class=unclassified"}},
		"a pod of a namespace with a data class": {
			namespace: []label{dataClass("internal")}, want: []string{"tenant=acme", "data-class=internal"},
		},
		"a pod of a higher data class": {
			namespace: []label{dataClass("internal")}, pod: []podOption{labelled(dataClass("restricted"))},
			want: []string{"tenant=acme", "data-class=restricted"},
		},
		"a virtual machine": {
			pod: []podOption{runtimeClass(kataClass)}, want: []string{"tenant=acme", "data-class=unclassified", "boundary=vm"},
		},
		"a virtual machine by its namespace": {
			namespace: []label{defaultClass(kataClass)}, want: []string{"tenant=acme", "data-class=unclassified", "boundary=vm"},
		},
		"a virtual machine that is alone on its node": {
			namespace: []label{boundary("node")}, pod: []podOption{runtimeClass(kataClass)},
			want: []string{"tenant=acme", "data-class=unclassified"},
		},
		"a container with a RuntimeClass": {
			pod: []podOption{runtimeClass(plainClass)}, want: []string{"tenant=acme", "data-class=unclassified"},
		},
		"a container with a RuntimeClass in a namespace that gives others a virtual machine": {
			namespace: []label{defaultClass(kataClass)}, pod: []podOption{runtimeClass(plainClass)},
			want: []string{"tenant=acme", "data-class=unclassified"},
		},
		"a copy of a pod that has them all": {
			pod: []podOption{runtimeClass(kataClass), tolerating(
				corev1.Toleration{Key: boundaryKey, Value: "vm"},
				corev1.Toleration{Key: dataClassKey, Operator: corev1.TolerationOpEqual, Value: "unclassified"},
				corev1.Toleration{Key: tenantKey, Operator: corev1.TolerationOpEqual, Value: "acme"},
			)},
			want: []string{"boundary=vm", "data-class=unclassified", "tenant=acme"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t)
			got, err := s.create(s.managed(tc.namespace...), tc.pod...)
			s.allowed("its creation", err)
			if diff := cmp.Diff(tc.want, ours(got.Spec.Tolerations), anyOrder); diff != "" {
				t.Errorf("tolerations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUseVMByDataClass(t *testing.T) {
	s := newScene(t)
	before := s.policy()
	s.changePolicy(func(p *v1alpha1.InForce) {
		p.Spec.RuntimeClasses.ByDataClass = map[string]v1alpha1.RuntimeClassName{"confidential": kataClass}
	})
	t.Cleanup(func() {
		s.ctx = context.WithoutCancel(t.Context())
		s.changePolicy(func(p *v1alpha1.InForce) { p.Spec = before.Spec })
	})
	namespace := s.managed(dataClass("confidential"))
	var got *corev1.Pod
	s.must(poll(s.ctx, func(context.Context) (bool, error) {
		pod, err := s.create(namespace)
		got = pod
		return err == nil && pod.Spec.RuntimeClassName != nil, err
	}))
	if diff := cmp.Diff([]string{"tenant=acme", "data-class=confidential", "boundary=vm"}, ours(got.Spec.Tolerations), anyOrder); diff != "" {
		t.Errorf("tolerations (-want +got):\n%s", diff)
	}
}

// The platform's pods come and stay wherever they are needed.
func TestUseTolerationsOfThePlatform(t *testing.T) {
	s := newScene(t)
	want := []string{"tenant", "data-class", "boundary"}
	for what, option := range map[string]podOption{
		"a pod": func(*corev1.Pod) {},
		"a pod that tolerates one, and not for long": tolerating(corev1.Toleration{
			Key: tenantKey, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule,
		}),
	} {
		got, err := s.as(administrator).CoreV1().Pods(metav1.NamespaceSystem).Create(s.ctx, newPod(gated, option), metav1.CreateOptions{})
		s.allowed(what, err)
		if diff := cmp.Diff(want, last(ours(got.Spec.Tolerations), len(want)), anyOrder); diff != "" {
			t.Errorf("%s: tolerations (-want +got):\n%s", what, diff)
		}
		s.allowed("its deletion", s.remove(administrator, got, nil))
	}
	all, err := s.as(administrator).CoreV1().Pods(metav1.NamespaceSystem).Create(s.ctx,
		newPod(gated, tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists})), metav1.CreateOptions{})
	s.allowed("a pod that tolerates everything", err)
	if got := ours(all.Spec.Tolerations); len(got) > 0 {
		t.Errorf("a pod that tolerates everything is given %q, want it as it was", got)
	}
	s.allowed("its deletion", s.remove(administrator, all, nil))

	set, err := s.as(administrator).AppsV1().DaemonSets(metav1.NamespaceSystem).Create(s.ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: unique("agent")},
		Spec:       appsv1.DaemonSetSpec{Selector: selector(), Template: templateOf(only("nowhere"))},
	}, metav1.CreateOptions{})
	s.allowed("a DaemonSet", err)
	if diff := cmp.Diff(want, ours(set.Spec.Template.Spec.Tolerations), anyOrder); diff != "" {
		t.Errorf("tolerations of its template (-want +got):\n%s", diff)
	}
	s.allowed("its deletion", s.as(administrator).AppsV1().DaemonSets(metav1.NamespaceSystem).Delete(s.ctx, set.Name, metav1.DeleteOptions{}))
}

func last[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// The DaemonSet controller looks at the template, not at the pods that come of it.
func TestUseDaemonSetOfATenant(t *testing.T) {
	s := newScene(t)
	node := newNode(unique("node"))
	for key, value := range map[string]string{tenantKey: "acme", dataClassKey: "unclassified"} {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffectNoSchedule})
	}
	_, err := s.admin.CoreV1().Nodes().Create(s.ctx, node, metav1.CreateOptions{})
	s.must(err)
	there := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node.Name} }
	for _, tc := range []struct {
		name, tenant, class string
		want                int32
	}{
		{"the node's tenant", "acme", "unclassified", 1},
		{"its tenant, of another data class", "acme", "internal", 0},
		{"another tenant", "globex", "unclassified", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t)
			namespace := s.namespace(labels(tenant(tc.tenant), dataClass(tc.class)))
			s.must(s.daemonSet(namespace, templateOf(there)))
			var got *appsv1.DaemonSet
			s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
				var err error
				got, err = s.admin.AppsV1().DaemonSets(namespace).Get(ctx, "workload", metav1.GetOptions{})
				return err == nil && got.Status.ObservedGeneration == got.Generation, err
			}))
			if got.Status.DesiredNumberScheduled != tc.want {
				t.Errorf("it comes to %d nodes, want %d", got.Status.DesiredNumberScheduled, tc.want)
			}
			if tc.want > 0 {
				s.allowed("its pod", s.awaitPod(namespace))
			}
			s.must(s.admin.CoreV1().Namespaces().Delete(s.ctx, namespace, metav1.DeleteOptions{}))
		})
	}
}

func TestUseDaemonSetOfARelabelledNamespace(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(dataClass("internal"))
	gpu := corev1.Toleration{Key: "example.com/gpu", Operator: corev1.TolerationOpExists}
	disk := corev1.Toleration{Key: "example.com/disk", Operator: corev1.TolerationOpExists}
	s.must(s.daemonSet(namespace, templateOf(only("nowhere"), tolerating(gpu))))
	sets := s.as(editor).AppsV1().DaemonSets(namespace)
	patch := func(form types.PatchType, change any) *appsv1.DaemonSet {
		set, err := sets.Patch(s.ctx, "workload", form, s.marshal(change), metav1.PatchOptions{})
		s.must(err)
		return set
	}
	touch := func() *appsv1.DaemonSet {
		return patch(types.MergePatchType, metadata("annotations", "example.com/touched", unique("touch")))
	}
	patch(types.JSONPatchType, []map[string]any{{"op": "add", "path": "/spec/template/spec/tolerations/-", "value": disk}})
	before := touch()
	if again := touch(); again.Generation != before.Generation {
		t.Errorf("generation %d after an update that changes nothing, want %d: its pods are rolled out again", again.Generation, before.Generation)
	}

	s.relabel(namespace, dataClass("restricted"))
	s.relabel(namespace, tenant("globex"))
	after := touch()
	want := []string{"example.com/disk", "example.com/gpu", "reserved", "tenant=globex", "data-class=restricted"}
	got := ours(after.Spec.Template.Spec.Tolerations)
	for _, toleration := range after.Spec.Template.Spec.Tolerations {
		if !strings.HasPrefix(toleration.Key, "tenantisolation.dev/") {
			got = append(got, strings.Replace(toleration.Key, reserved, "reserved", 1))
		}
	}
	if diff := cmp.Diff(want, got, anyOrder); diff != "" {
		t.Errorf("tolerations (-want +got):\n%s", diff)
	}
}

func TestUseSchedulerDedicatesNodes(t *testing.T) {
	s := newScene(t)
	try := []string{metav1.DryRunAll}
	maps := s.as(ourScheduler).CoreV1().ConfigMaps(systemNamespace)
	table, err := maps.Get(s.ctx, dedicationTable, metav1.GetOptions{})
	s.allowed("reading the table", err)
	table.Data["term"] = "next"
	_, err = maps.Update(s.ctx, table, metav1.UpdateOptions{DryRun: try})
	s.allowed("taking over", err)
	change := metadata("labels", nodeLabelKey, "acme")
	change["spec"] = map[string]any{"taints": []any{map[string]any{"key": tenantKey, "value": "acme", "effect": "NoExecute"}}}
	_, err = s.as(ourScheduler).CoreV1().Nodes().Patch(s.ctx, livingNode, types.MergePatchType, s.marshal(change), metav1.PatchOptions{DryRun: try})
	s.allowed("dedicating a node", err)
	_, err = s.as(administrator).CoreV1().Nodes().Patch(s.ctx, livingNode, types.MergePatchType, s.marshal(change), metav1.PatchOptions{DryRun: try})
	s.allowed("an administrator who does it", err)
}

// Karpenter makes a Node with the labels of its NodeClaim, or writes them when it registers the node,
// which may be dedicated by then.
func TestUseKarpenterLabelsNodes(t *testing.T) {
	s := newScene(t)
	karpenter := s.as(karpenter)
	labels := isolation.NodeLabels{"acme", "internal", "baseline", "host"}.Map()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "made-by-karpenter", Labels: labels}}
	_, err := karpenter.CoreV1().Nodes().Create(s.ctx, node, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	s.allowed("a new node", err)
	for _, name := range []string{livingNode, attackedNode} {
		change := map[string]any{"metadata": map[string]any{"labels": labels}}
		_, err := karpenter.CoreV1().Nodes().Patch(s.ctx, name, types.MergePatchType, s.marshal(change), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		s.allowed("registering "+name, err)
	}
	taint := map[string]any{"spec": map[string]any{"taints": []any{map[string]any{"key": tenantKey, "value": "acme", "effect": "NoExecute"}}}}
	_, err = karpenter.CoreV1().Nodes().Patch(s.ctx, livingNode, types.MergePatchType, s.marshal(taint), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	if !apierrors.IsForbidden(err) {
		t.Errorf("it dedicates a node: %v, want it forbidden", err)
	}
}

func TestUseNodeWritesByOthers(t *testing.T) {
	s := newScene(t)
	for what, change := range map[string]map[string]any{
		"another taint":      {"spec": map[string]any{"unschedulable": true}},
		"another label":      metadata("labels", "example.com/rack", "7"),
		"another annotation": metadata("annotations", "example.com/note", "hello"),
	} {
		_, err := s.as(nodeKeeper).CoreV1().Nodes().Patch(s.ctx, livingNode, types.MergePatchType, s.marshal(change),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		s.allowed(what, err)
	}
	_, err := s.as(kubelet).CoreV1().Nodes().Patch(s.ctx, attackedNode, types.StrategicMergePatchType,
		s.marshal(map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}}),
		metav1.PatchOptions{}, "status")
	s.allowed("a kubelet's status", err)
}

// Agents on nodes often have the right to write the status of any Node, and its labels with it.
func TestThreat10LabelsThroughTheStatus(t *testing.T) {
	s := newScene(t)
	patch := func(change map[string]any) error {
		_, err := s.as(nodeAgent).CoreV1().Nodes().Patch(s.ctx, livingNode, types.MergePatchType, s.marshal(change),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, "status")
		return err
	}
	s.allowed("another label", patch(metadata("labels", "example.com/rack", "7")))
	for _, key := range isolation.NodeLabelKeys() {
		if err := patch(metadata("labels", key, "globex")); !apierrors.IsForbidden(err) {
			t.Errorf("the label %s: %v, want it forbidden", key, err)
		}
	}
}

// NodeRestriction does it, before any policy.
func TestThreat10KubeletTaintsANode(t *testing.T) {
	s := newScene(t)
	taints := map[string]any{"spec": map[string]any{"taints": []any{map[string]any{"key": tenantKey, "value": "acme", "effect": "NoSchedule"}}}}
	_, err := s.as(kubelet).CoreV1().Nodes().Patch(s.ctx, attackedNode, types.MergePatchType, s.marshal(taints), metav1.PatchOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "not allowed to modify taints") {
		t.Errorf("it taints its own node: %v, want it forbidden", err)
	}
	for _, key := range isolation.NodeLabelKeys() {
		_, err := s.as(kubelet).CoreV1().Nodes().Patch(s.ctx, attackedNode, types.MergePatchType, s.marshal(metadata("labels", key, "acme")), metav1.PatchOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "is not allowed to modify labels") {
			t.Errorf("it labels its own node: %v, want it forbidden by NodeRestriction", err)
		}
	}
}
