package audit

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"tenantisolation.dev/scheduler/pkg/cluster"
)

// lookForHidden asks the API server for pods that are said to have ended, and notes those that are hidden.
func (a *Auditor) lookForHidden(ctx context.Context) {
	hidden := map[string][]*v1.Pod{}
	for _, phase := range []v1.PodPhase{v1.PodSucceeded, v1.PodFailed} {
		err := a.eachPod(ctx, phase, func(pod *v1.Pod) {
			if pod.Spec.NodeName != "" && pod.Status.Phase == phase && cluster.Hidden(pod) {
				hidden[pod.Spec.NodeName] = append(hidden[pod.Spec.NodeName], pod)
			}
		})
		if err != nil {
			if ctx.Err() == nil {
				a.logger.Error(err, "Pods that are said to have ended could not be listed, trying again with the next sweep")
			}
			return
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.engine.SetHidden(hidden)
}

// eachPod calls do for each pod of a phase, which the API server returns page by page.
func (a *Auditor) eachPod(ctx context.Context, phase v1.PodPhase, do func(*v1.Pod)) error {
	pages := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return a.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, o)
	})
	options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("status.phase", string(phase)).String()}
	return pages.EachListItem(ctx, options, func(object runtime.Object) error {
		pod, ok := object.(*v1.Pod)
		if !ok {
			return fmt.Errorf("want a pod, got %T", object)
		}
		do(pod)
		return nil
	})
}
