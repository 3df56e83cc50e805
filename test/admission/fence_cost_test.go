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

func TestBudgetOfTheFence(t *testing.T) {
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
		none, fence, dedication := s.binder(metav1.NamespaceSystem), s.binder(s.namespace(nil)), s.binder(s.managed())
		// Alternately, so that all see the same load of the machine; the first ones are a warm-up.
		warm := often(20)
		for turn := range warm + often(200) {
			if turn == warm {
				none.took, fence.took, dedication.took = nil, nil, nil
			}
			none.bind(nodes[0], "")
			// A free node whose name ends like those of many others.
			fence.bind(fmt.Sprintf("pool-a-worker-%05d", size), "")
			dedication.bind(nodes[0], s.table.token(nodes[0]))
		}
		t.Logf("%d entries, written in %v: a bind that is tried out takes %.2f ms where no policy applies, "+
			"%.2f ms (%.2f times) without a tenant, %.2f ms (%.2f times) in a managed namespace (medians of %d)",
			size, wrote.Round(time.Millisecond), median(none.took),
			median(fence.took), median(fence.took)/median(none.took),
			median(dedication.took), median(dedication.took)/median(none.took), len(none.took))
	}
}

// binder measures how long a bind takes in a namespace, as our scheduler's account. The binds are
// dry runs, because a write takes longer than admission and varies more.
type binder struct {
	*scene
	pod    *corev1.Pod
	client *kubernetes.Clientset
	// took is in milliseconds.
	took []float64
}

func (s *scene) binder(namespace string) *binder {
	pod := s.waitingIn(namespace)
	s.tb.Cleanup(func() {
		s.must(s.admin.CoreV1().Pods(namespace).Delete(context.WithoutCancel(s.ctx), pod.Name, *metav1.NewDeleteOptions(0)))
	})
	return &binder{scene: s, pod: pod, client: s.quietly(ourScheduler)}
}

func (b *binder) bind(node, token string) {
	binding := plainBindingOf(b.pod, node)
	if token != "" {
		binding.Annotations = map[string]string{evidenceKey: evidenceOf("baseline"), dedicationKey: token}
	}
	begin := time.Now()
	err := b.client.CoreV1().Pods(b.pod.Namespace).Bind(b.ctx, binding, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	b.took = append(b.took, time.Since(begin).Seconds()*1000)
	b.must(err)
}
