package admission

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var anyOrder = cmpopts.SortSlices(func(a, b string) bool { return a < b })

// A bind that a scheduler decided before is refused as soon as the API server has seen the dedication. That it has is
// what the scheduler waits for, by its settle time, before it places the first pod.
func TestFenceRefusesBindsAfterTheDedication(t *testing.T) {
	const rounds = 20
	s := newScene(t)
	namespace := s.namespace(nil)
	bind := binders()["pods/binding"]
	pods := s.as(stockScheduler).CoreV1().Pods(namespace)
	try := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	var longest time.Duration
	for range rounds {
		node := unique("node")
		// Before the dedication it would have been bound.
		s.must(bind(s, stockScheduler, plainBindingOf(s.waiting(namespace), node)))
		binding := plainBindingOf(s.waiting(namespace), node)
		s.must(s.dedicate(s.ctx, node))
		begin := time.Now()
		s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
			return pods.Bind(ctx, binding, try) != nil, nil
		}))
		longest = max(longest, time.Since(begin))
		err := bind(s, stockScheduler, binding)
		if err == nil {
			t.Fatalf("a pod is bound to %s after a bind was refused", node)
		}
		if err := helps(err.Error(), []string{"dedicated"}); err != nil {
			t.Error(err)
		}
	}
	t.Logf("refused %s after the dedication at the latest", longest)
}

func TestFenceComparesWholeNodeNames(t *testing.T) {
	s := newScene(t)
	dedicated := []string{"a", "bc", "fence-1", "fence-1.example.com", "dot.x", "fence-22", "x.fence-3"}
	free := []string{
		"b", "c", "aa", "abc", "cbc", "ence-1", "1", "fence-11", "a-fence-1", "fence-1.example", "example.com", "om",
		"t.x", "fence-2", "fence-3", "x", "fence-1x", "fence-122",
	}
	s.must(s.dedicate(s.ctx, dedicated...))
	s.awaitFence("fence-22")
	pod, tenants := s.waiting(s.namespace(nil)), s.waiting(s.managed())
	try := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	bind := func(who user, binding *corev1.Binding) error {
		return s.as(who).CoreV1().Pods(binding.Namespace).Bind(s.ctx, binding, try)
	}
	token := func(node string) *corev1.Binding {
		binding := s.bindingOf(tenants, node)
		binding.Annotations[evidenceKey] = evidenceOf("baseline")
		return binding
	}
	for _, node := range dedicated {
		if err := bind(stockScheduler, plainBindingOf(pod, node)); !apierrors.IsForbidden(err) {
			t.Errorf("a pod without a tenant on %s, which is dedicated: %v, want it refused", node, err)
		}
		s.allowed("a tenant's pod on "+node, bind(ourScheduler, token(node)))
	}
	for _, node := range free {
		s.allowed("a pod without a tenant on "+node+", which is free", bind(stockScheduler, plainBindingOf(pod, node)))
		for _, other := range dedicated {
			binding := token(other)
			binding.Target.Name = node
			if err := bind(ourScheduler, binding); !apierrors.IsForbidden(err) {
				t.Errorf("a tenant's pod on %s under the dedication of %s: %v, want it refused", node, other, err)
			}
		}
	}
}

func TestFenceLetsThePlatformThrough(t *testing.T) {
	s := newScene(t)
	node := s.dedicated()
	pod := s.waitingIn(metav1.NamespaceSystem)
	s.allowed("a Binding of the cluster's own scheduler", binders()["pods/binding"](s, stockScheduler, plainBindingOf(pod, node)))
	s.allowed("its deletion by force", s.remove(administrator, pod, new(int64)))
	named, err := s.as(administrator).CoreV1().Pods(metav1.NamespaceSystem).Create(s.ctx, newPod(onNode(node)), metav1.CreateOptions{})
	s.allowed("a pod that names the node", err)
	s.allowed("its deletion by force", s.remove(administrator, named, new(int64)))
	mirror, err := s.as(kubelet).CoreV1().Pods(s.namespace(nil)).Create(s.ctx, newPod(
		annotated(corev1.MirrorPodAnnotationKey, "hash"), onNode(attackedNode), ownedBy(s.node(attackedNode)),
	), metav1.CreateOptions{})
	s.allowed("the mirror pod of a node that is dedicated", err)
	s.allowed("its end", s.remove(kubelet, mirror, new(int64)))
}

// Without a readable table no tenant's pod can be bound; so there is none to keep others from.
func TestFenceWithoutItsTableBindsNoTenantsPod(t *testing.T) {
	s := newScene(t)
	node := s.dedicated()
	tenants, others := s.waiting(s.managed()), s.waiting(s.namespace(nil))
	try := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	binding := s.bindingOf(tenants, node)
	binding.Annotations[evidenceKey] = evidenceOf("baseline")
	bind := func() error {
		return s.as(ourScheduler).CoreV1().Pods(binding.Namespace).Bind(s.ctx, binding, try)
	}
	s.allowed("a Binding under its dedication", bind())

	s.must(s.as(ourScheduler).CoreV1().ConfigMaps(systemNamespace).Delete(s.ctx, dedicationTable, metav1.DeleteOptions{}))
	t.Cleanup(func() {
		back := newScene(t)
		back.ctx = context.WithoutCancel(t.Context())
		witness := unique("witness")
		back.must(back.dedicate(back.ctx, witness))
		back.awaitFence(witness)
	})
	var refusal error
	s.must(poll(s.ctx, func(context.Context) (bool, error) {
		refusal = bind()
		return refusal != nil, nil
	}))
	for _, want := range []string{"configmap", dedicationTable} {
		if !strings.Contains(refusal.Error(), want) {
			t.Errorf("the refusal does not name %q: %v", want, refusal)
		}
	}
	s.allowed("a pod without a tenant",
		s.as(stockScheduler).CoreV1().Pods(others.Namespace).Bind(s.ctx, plainBindingOf(others, node), try))
}

// Tenants read these messages in the events of their pods.
func TestFenceNamesNoTenant(t *testing.T) {
	s := newScene(t)
	node := s.dedicated()
	err := binders()["pods/binding"](s, stockScheduler, plainBindingOf(s.waiting(s.namespace(nil)), node))
	if err == nil {
		t.Fatal("the pod is bound")
	}
	_, text, _ := strings.Cut(err.Error(), "denied request: ")
	for _, secret := range []string{node, "acme", s.table.token(node), term} {
		if strings.Contains(text, secret) {
			t.Errorf("the refusal names %q: %s", secret, text)
		}
	}
}
