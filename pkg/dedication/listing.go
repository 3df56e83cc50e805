package dedication

import (
	"context"
	"errors"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// errInformerBehind: the informer did not receive in time what the LIST returned.
var errInformerBehind = errors.New("the pod informer is behind: it does not have pods that a LIST found on the node")

const (
	// informerPoll is how often the informer is compared with the LIST, informerRelist is when
	// the LIST is repeated, for pods that are gone by then, and informerTimeout is when to
	// give up.
	informerPoll    = 10 * time.Millisecond
	informerRelist  = time.Second
	informerTimeout = 10 * time.Second
)

// nodePods are the pods of a node that have not ended.
type nodePods struct {
	pods      []*v1.Pod
	occupancy isolation.Occupancy
	// hidden: one of them is said to have ended, while a container of it is said to run. The
	// informer, which leaves out pods by what they are said to be, never has it.
	hidden bool
}

// listPods lists the pods of a node from the API server. The result has every bind that was
// committed before the call.
func (e *Engine) listPods(ctx context.Context, node string) (nodePods, error) {
	var found nodePods
	err := e.retry(ctx, func() error {
		// No resourceVersion: the newest state, not that of a cache.
		pods, err := e.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
		})
		if err != nil {
			return err
		}
		policy := e.cluster.Policy()
		found = nodePods{}
		var residents []isolation.Resident
		for i := range pods.Items {
			pod := &pods.Items[i]
			hidden := cluster.Hidden(pod)
			if pod.Spec.NodeName != node || cluster.Ended(pod) && !hidden {
				continue
			}
			found.hidden = found.hidden || hidden
			found.pods = append(found.pods, pod)
			residents = append(residents, isolation.Resident{UID: string(pod.UID), Subject: e.cluster.Judge(pod)})
		}
		found.occupancy = isolation.NewOccupancy(residents)
		if !e.judgedBy(policy) {
			return errJudgedAnew
		}
		return nil
	})
	return found, err
}

// awaitInformer waits until the informer has the pods that the LIST found: later pods are
// judged by the informer.
func (e *Engine) awaitInformer(ctx context.Context, node string, found nodePods) error {
	began, listed := e.clock.Now(), e.clock.Now()
	for {
		unknown := slices.ContainsFunc(found.pods, func(pod *v1.Pod) bool { return !e.cluster.Knows(pod) })
		if !unknown {
			return nil
		}
		if e.clock.Since(began) > informerTimeout {
			return errInformerBehind
		}
		if err := e.sleep(ctx, informerPoll); err != nil {
			return err
		}
		if e.clock.Since(listed) > informerRelist {
			var err error
			if found, err = e.listPods(ctx, node); err != nil {
				return err
			}
			listed = e.clock.Now()
		}
	}
}
