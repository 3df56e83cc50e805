package admission

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// The figures are for a reader, as those of what the policies cost.
func TestBudgetWhatTheFenceCosts(t *testing.T) {
	s := newScene(t)
	before := map[string]string{}
	s.must(s.writeTable(s.ctx, func(ids map[string]string) { maps.Copy(before, ids) }))
	t.Cleanup(func() {
		s.must(s.writeTable(context.WithoutCancel(t.Context()), func(ids map[string]string) {
			clear(ids)
			maps.Copy(ids, before)
		}))
	})
	for _, size := range []int{100, 5_000, 15_000} {
		nodes := make([]string, size)
		for i := range nodes {
			nodes[i] = fmt.Sprintf("pool-a-worker-%05d", i)
		}
		begin := time.Now()
		s.must(s.writeTable(s.ctx, func(ids map[string]string) {
			for i, node := range nodes {
				ids[node] = fmt.Sprintf("%026d", i)
			}
		}))
		wrote := time.Since(begin)
		s.awaitFence(nodes[size-1])
		free, fenced, tenants := s.binder(metav1.NamespaceSystem), s.binder(s.namespace(nil)), s.binder(s.managed())
		var none, fence, claim []float64
		// By turns, so that all meet the same weather, and the first turn only to get warm.
		for turn := range 4 {
			a, b, c := free.bind(nodes[0], ""), fenced.bind(fmt.Sprintf("pool-a-worker-%05d", size), ""), tenants.bind(nodes[0], s.table.token(nodes[0]))
			if turn > 0 {
				none, fence, claim = append(none, a...), append(fence, b...), append(claim, c...)
			}
		}
		t.Logf("%d claims, written in %v: a bind takes %.2f ms where no policy applies, %.2f ms (%.2f times) without a tenant, "+
			"%.2f ms (%.2f times) in a managed namespace (medians of %d)", size, wrote.Round(time.Millisecond), median(none),
			median(fence), median(fence)/median(none), median(claim), median(claim)/median(none), len(none))
	}
}

// binder binds pods of a namespace as our scheduler's account may.
type binder struct {
	*scene
	namespace string
	client    *kubernetes.Clientset
}

func (s *scene) binder(namespace string) *binder {
	return &binder{scene: s, namespace: namespace, client: s.quietly(ourScheduler)}
}

// bind makes some pods, binds them one after the other and returns how many milliseconds each
// bind took.
func (b *binder) bind(node, token string) []float64 {
	const pods = 25
	var all []*corev1.Pod
	for range pods {
		pod, err := b.admin.CoreV1().Pods(b.namespace).Create(b.ctx, newPod(), metav1.CreateOptions{})
		b.must(err)
		all = append(all, pod)
	}
	var took []float64
	for _, pod := range all {
		binding := plainBindingOf(pod, node)
		if token != "" {
			binding.Annotations = map[string]string{evidenceKey: evidenceOf("baseline"), claimKey: token}
		}
		begin := time.Now()
		err := b.client.CoreV1().Pods(b.namespace).Bind(b.ctx, binding, metav1.CreateOptions{})
		took = append(took, time.Since(begin).Seconds()*1000)
		b.must(err)
	}
	for _, pod := range all {
		b.must(b.remove(administrator, pod, new(int64)))
	}
	return took
}
