package admission

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// newScene gives a test a part of the cluster, with the enforcing policies in place.
func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{environment: getEnvironment(t), ctx: t.Context(), phase: enforced, warned: &warnings{}, tb: t}
}

// allowed fails the test if one of our policies refuses a use or warns of it.
func (s *scene) allowed(what string, err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Errorf("%s: %v", what, err)
	}
	for _, warning := range s.warned.take() {
		if strings.Contains(warning, "ValidatingAdmissionPolicy") {
			s.tb.Errorf("%s: it is warned of: %s", what, warning)
		}
	}
}

func TestUsePodLabelsBeyondItsNamespaces(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(dataClass("internal"), privilege("baseline"))
	for what, options := range map[string][]podOption{
		"nothing":                      nil,
		"its own tenant":               {labelled(tenant("acme"))},
		"a higher data class":          {labelled(dataClass("restricted"))},
		"a higher privilege":           {labelled(privilege("privileged"))},
		"a RuntimeClass of its own":    {runtimeClass(plainClass)},
		"a toleration with a key":      {tolerating(corev1.Toleration{Key: "example.com/gpu", Operator: corev1.TolerationOpExists})},
		"the scheduler by its name":    {scheduledBy(schedulerName)},
		"host access":                  {hostNetwork, hostPID, hostIPC, hostPath, privileged},
		"a grace period of one second": {graceSeconds(1)},
		"other labels and annotations": {labelled(label{"app", "web"}), annotated("example.com/note", "hello")},
	} {
		_, err := s.create(namespace, options...)
		s.allowed("a pod that says "+what, err)
	}
}

func TestUsePodKeepsItsOwnFields(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(dataClass("internal"), defaultClass(kataClass))
	pod, err := s.create(namespace, scheduledBy(""), labelled(dataClass("restricted")), runtimeClass(plainClass))
	s.allowed("a pod with some fields", err)
	if got := pod.Labels[dataClassKey]; got != "restricted" {
		t.Errorf("its data class is %q, want its own", got)
	}
	if got := ptr.Deref(pod.Spec.RuntimeClassName, ""); got != plainClass {
		t.Errorf("its RuntimeClass is %q, want its own", got)
	}
	if got := pod.Labels[tenantKey]; got != "acme" {
		t.Errorf("its tenant is %q, want that of its namespace", got)
	}
	if pod.Spec.SchedulerName != schedulerName {
		t.Errorf("its scheduler is %q, want ours", pod.Spec.SchedulerName)
	}
}

func TestUseMirrorPod(t *testing.T) {
	s := newScene(t)
	// Kubelets report what runs anyway, even if it breaks the rules.
	options := []podOption{
		annotated(corev1.MirrorPodAnnotationKey, "hash"), onNode(attackedNode), scheduledBy("default-scheduler"),
		hostNetwork, hostPath, privileged, graceSeconds(0),
		tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}),
		annotated(kataPath, "/bin/sh"), ownedBy(s.node(attackedNode)),
	}
	for what, l := range map[string][]label{
		"a managed namespace":            nil,
		"a namespace that demands much":  {boundary("vm"), dataClass("restricted"), privilege("privileged"), defaultClass(kataClass)},
		"a namespace with unknown words": {boundary("wall"), dataClass("secret"), privilege("root")},
	} {
		t.Run("in "+what, func(t *testing.T) {
			s := newScene(t)
			want := newPod(append(options, labelled(tenant("acme")))...)
			got, err := s.as(kubelet).CoreV1().Pods(s.managed(l...)).Create(s.ctx, want, metav1.CreateOptions{})
			s.allowed("its creation", err)
			if err != nil {
				return
			}
			if !equality.Semantic.DeepEqual(got.Labels, want.Labels) || !equality.Semantic.DeepEqual(got.Annotations, want.Annotations) {
				t.Errorf("it has labels %v and annotations %v, want them as they were: %v, %v",
					got.Labels, got.Annotations, want.Labels, want.Annotations)
			}
			if got.Spec.SchedulerName != want.Spec.SchedulerName || got.Spec.RuntimeClassName != nil {
				t.Errorf("it is changed: scheduler %q, RuntimeClass %v", got.Spec.SchedulerName, got.Spec.RuntimeClassName)
			}
			s.allowed("its status", s.report(got))
			s.allowed("its end", s.remove(kubelet, got, ptr.To[int64](0)))
		})
	}
}

// node reads a node.
func (s *scene) node(name string) *corev1.Node {
	node, err := s.admin.CoreV1().Nodes().Get(s.ctx, name, metav1.GetOptions{})
	s.must(err)
	return node
}

// ownedBy makes a node the owner of a pod, as it is of its mirror pods.
func ownedBy(node *corev1.Node) podOption {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID, Controller: ptr.To(true),
		}}
	}
}

// report reports, as its kubelet, that a pod runs.
func (s *scene) report(pod *corev1.Pod) error {
	return s.patch(kubelet, pod, types.StrategicMergePatchType, map[string]any{"status": map[string]any{
		"phase":      corev1.PodRunning,
		"conditions": []any{map[string]any{"type": "Ready", "status": "True"}},
	}}, "status")
}

func TestUsePodOfARelabelledNamespace(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(dataClass("internal"))
	pod := s.bound(namespace, evidenceOf("baseline"))
	s.must(s.patchNamespace(administrator, namespace, types.MergePatchType, map[string]any{"metadata": map[string]any{
		"labels": map[string]any{dataClassKey: "restricted", privilegeKey: "privileged", boundaryKey: "vm"},
	}}))
	s.relabel(namespace, tenant("globex"))

	s.allowed("its kubelet's status", s.report(pod))
	s.allowed("a finalizer", s.patch(editor, pod, types.MergePatchType,
		map[string]any{"metadata": map[string]any{"finalizers": []string{"example.com/wait"}}}))
	s.allowed("a label of the tenant's", mergePatch(s, pod, "labels", "app", "web"))
	s.allowed("an annotation of the tenant's", mergePatch(s, pod, "annotations", "example.com/note", "hello"))
	s.allowed("a new image", s.patch(editor, pod, types.JSONPatchType,
		[]map[string]any{{"op": "replace", "path": "/spec/containers/0/image", "value": "other"}}))
	s.allowed("a toleration with a key", s.patch(editor, pod, types.JSONPatchType, []map[string]any{{
		"op": "add", "path": "/spec/tolerations/-", "value": map[string]any{"key": "example.com/gpu", "operator": "Exists"},
	}}))
	s.allowed("an in-place resize", s.resize(pod))
	s.allowed("no finalizer", s.patch(editor, pod, types.MergePatchType,
		map[string]any{"metadata": map[string]any{"finalizers": nil}}))
	s.allowed("its deletion", s.remove(editor, pod, nil))
	s.allowed("its end", s.remove(kubelet, pod, ptr.To[int64](0)))
}

// resize asks for more of a resource while the pod runs. The role edit does not allow it.
func (s *scene) resize(pod *corev1.Pod) error {
	return s.patch(owner, pod, types.StrategicMergePatchType, map[string]any{"spec": map[string]any{
		"containers": []any{map[string]any{
			"name": "c", "resources": map[string]any{"requests": map[string]any{"cpu": "20m"}},
		}},
	}}, "resize")
}

func TestUseServerSideApplyWithoutChange(t *testing.T) {
	s := newScene(t)
	// The apply does not contain the fields that steering sets, neither at first nor again.
	pod := newPod(scheduledBy(""))
	pod.Namespace = s.managed(dataClass("internal"), defaultClass(kataClass))
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	s.allowed("the first apply", s.patch(editor, pod, types.ApplyPatchType, pod))
	steered := s.get(pod)
	s.allowed("an apply to a pod that waits", s.patch(editor, pod, types.ApplyPatchType, pod))
	s.bind(s.get(pod), attackedNode, evidenceOf("baseline"))
	s.allowed("an apply to a bound pod", s.patch(editor, pod, types.ApplyPatchType, pod))
	s.allowed("kubectl apply", s.kubectlApply(editor, pod))
	if got := s.get(pod); !equality.Semantic.DeepEqual(got.Labels, steered.Labels) || got.Labels[dataClassKey] != "internal" {
		t.Errorf("its labels are %v, want those that it was given: %v", got.Labels, steered.Labels)
	}
}

func TestUseDeletionAtOnce(t *testing.T) {
	now := ptr.To[int64](0)
	for what, tc := range map[string]struct {
		who   user
		pod   func(s *scene, namespace string) *corev1.Pod
		grace *int64
	}{
		"a tenant, a pod that is on no node": {editor, func(s *scene, ns string) *corev1.Pod { return s.waiting(ns) }, now},
		"a tenant, a pod that has ended": {editor, func(s *scene, ns string) *corev1.Pod {
			pod := s.bound(ns, evidenceOf("baseline"))
			s.must(s.finish(kubelet, pod, corev1.PodSucceeded))
			return pod
		}, now},
		"a tenant, a pod that runs, with a second's grace": {editor, running, ptr.To[int64](1)},
		"a tenant, a pod that runs, with its own grace":    {editor, running, nil},
		"the pod's kubelet":           {kubelet, running, now},
		"a controller of kube-system": {podCollector, running, now},
		"an administrator":            {administrator, running, now},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t)
			s.allowed("the deletion", s.remove(tc.who, tc.pod(s, s.managed()), tc.grace))
		})
	}
}

func running(s *scene, namespace string) *corev1.Pod {
	pod := s.bound(namespace, evidenceOf("baseline"))
	s.must(s.report(pod))
	return pod
}

func TestUseTenantEvictsItsPod(t *testing.T) {
	s := newScene(t)
	namespace := s.managed()
	s.allowed("an eviction", s.evict(running(s, namespace), nil))
	s.allowed("an eviction with options", s.evict(running(s, namespace), metav1.NewDeleteOptions(5)))
}

func TestUseOtherNamespacesAreLeftAlone(t *testing.T) {
	anything := []podOption{
		scheduledBy("another-scheduler"), hostNetwork, privileged, graceSeconds(0), annotated(kataPath, "/bin/sh"),
		tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}),
		labelled(tenant("globex"), dataClass("secret")),
	}
	for what, namespace := range map[string]func(s *scene) string{
		"an unmanaged namespace": func(s *scene) string { return s.namespace(nil) },
		"kube-system":            func(*scene) string { return metav1.NamespaceSystem },
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t)
			ns := namespace(s)
			s.allowed("a pod on a node of its own choice", s.createAs(administrator, ns, append(anything, onNode(freeNode))...))
			want := newPod(append(anything, gated)...)
			got, err := s.as(administrator).CoreV1().Pods(ns).Create(s.ctx, want, metav1.CreateOptions{})
			s.allowed("a pod", err)
			if !equality.Semantic.DeepEqual(got.Labels, want.Labels) || got.Spec.SchedulerName != want.Spec.SchedulerName || got.Spec.RuntimeClassName != nil {
				t.Errorf("it is changed: labels %v, scheduler %q, RuntimeClass %v", got.Labels, got.Spec.SchedulerName, got.Spec.RuntimeClassName)
			}
			s.allowed("a change of a label", s.patch(administrator, got, types.MergePatchType, metadata("labels", tenantKey, "initech")))
			plain := s.waitingIn(ns)
			s.allowed("a Binding of the cluster's own scheduler", binders()["pods/binding"](s, stockScheduler, plainBindingOf(plain, freeNode)))
			s.allowed("its deletion by force", s.remove(administrator, plain, ptr.To[int64](0)))
			s.allowed("the deletion of the other", s.remove(administrator, got, ptr.To[int64](0)))
		})
	}
}

// waitingIn is a pod that an administrator has made.
func (s *scene) waitingIn(namespace string) *corev1.Pod {
	pod, err := s.admin.CoreV1().Pods(namespace).Create(s.ctx, newPod(), metav1.CreateOptions{})
	s.must(err)
	return pod
}

func TestUseNamespacesWithoutIsolation(t *testing.T) {
	s := newScene(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: map[string]string{"example.com/team": "web"}}}
	_, err := s.as(namespaceKeeper).CoreV1().Namespaces().Create(s.ctx, ns, metav1.CreateOptions{})
	s.allowed("creating one", err)
	s.allowed("changing it", s.patchNamespace(namespaceKeeper, ns.Name, types.MergePatchType, metadata("labels", "example.com/team", "api")))
	s.allowed("changing another label of a tenant's", s.patchNamespace(owner, s.managed(), types.MergePatchType, metadata("labels", "example.com/team", "api")))
	s.allowed("deleting it", s.as(namespaceKeeper).CoreV1().Namespaces().Delete(s.ctx, ns.Name, metav1.DeleteOptions{}))
}

func TestUseRuntimeClassesWithoutIsolation(t *testing.T) {
	s := newScene(t)
	class := newClass(unique("class"), "crun")
	s.allowed("creating one", s.createClass(classKeeper, class))
	s.allowed("changing it", s.updateClass(class.Name, func(class *nodev1.RuntimeClass) {
		class.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"example.com/pool": "mine"}}
	}))
	s.allowed("deleting it", s.deleteClass(classKeeper, class.Name))
}

// holder makes an ordinary user with some rights in the whole cluster.
func (s *scene) holder(who user, rules ...rbacv1.PolicyRule) {
	config, err := s.plane.AddUser(string(who))
	s.must(err)
	s.users[who] = config
	s.must(s.allow(s.ctx, who, rules...))
}

// grant gives a user a shipped ClusterRole.
func (s *scene) grant(who user, role string) {
	_, err := s.admin.RbacV1().ClusterRoleBindings().Create(s.ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: unique("binding")},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: string(who)}},
	}, metav1.CreateOptions{})
	s.must(err)
}

// Who may force-delete is another right than who may administer, and administrators have both.
func TestUseForceDeletion(t *testing.T) {
	s := newScene(t)
	anything := []string{"*"}
	writes := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "namespaces"}, Verbs: anything}
	const deleter, both, administersOnly user = "frida", "fatima", "felix"
	s.holder(deleter, writes)
	s.grant(deleter, "tenant-isolation-force-deleter")
	s.holder(both, writes)
	s.grant(both, "tenant-isolation-administrator")
	s.holder(administersOnly, writes, rbacv1.PolicyRule{
		APIGroups: []string{"tenantisolation.dev"}, Resources: []string{"isolation"}, Verbs: []string{"administer"},
	})
	namespace := s.managed()
	for _, who := range []user{deleter, both} {
		pod := running(s, namespace)
		s.allowed("a deletion by force by "+string(who), poll(s.ctx, func(context.Context) (bool, error) {
			return s.remove(who, pod, ptr.To[int64](0)) == nil, nil // once the API server knows the rights
		}))
	}
	if err := s.patchNamespace(deleter, namespace, types.MergePatchType, metadata("labels", tenantKey, "globex")); !apierrors.IsForbidden(err) {
		t.Errorf("who may force-delete moves a namespace: %v, want it refused", err)
	}
	pod := running(s, namespace)
	s.must(poll(s.ctx, func(context.Context) (bool, error) {
		return s.patchNamespace(administersOnly, namespace, types.MergePatchType, metadata("labels", tenantKey, "globex")) == nil, nil
	}))
	err := s.remove(administersOnly, pod, ptr.To[int64](0))
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "tenant-isolation-force-deleter") {
		t.Errorf("who may administer alone deletes by force: %v, want it refused with the role to ask for", err)
	}
}

func TestUseIsolationAdministrator(t *testing.T) {
	s := newScene(t)
	// With the right to write namespaces, and the one that the policies ask for.
	const keeper user = "ida"
	s.grant(keeper, "tenant-isolation-administrator")
	s.holder(keeper,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"*"}},
		rbacv1.PolicyRule{APIGroups: []string{"node.k8s.io"}, Resources: []string{"runtimeclasses"}, Verbs: []string{"*"}})
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: acmeLabels(boundary("vm"))}}
	err := poll(s.ctx, func(context.Context) (bool, error) {
		_, err := s.as(keeper).CoreV1().Namespaces().Create(s.ctx, ns, metav1.CreateOptions{})
		return err == nil, nil
	})
	s.allowed("creating a tenant's namespace", err)
	s.allowed("a RuntimeClass that isolates", s.createClass(keeper, newClass(unique("class"), "kata-fc")))
	s.allowed("deleting the namespace", s.as(keeper).CoreV1().Namespaces().Delete(s.ctx, ns.Name, metav1.DeleteOptions{}))
}

func TestUseTenantLabelRemovalWarns(t *testing.T) {
	s := newScene(t)
	s.must(s.patchNamespace(administrator, s.managed(), types.MergePatchType, metadata("labels", tenantKey, nil)))
	if got := strings.Join(s.warned.take(), "\n"); !strings.Contains(got, tenantKey) {
		t.Errorf("removing the tenant of a namespace warns %q, want a warning that names the label", got)
	}
}
