package dedication

import (
	"context"
	"errors"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// errBehind: the informer did not see in time what the LIST saw.
var errBehind = errors.New("the pod informer is behind: pods that were listed on the node are not known to it")

const (
	// catchUpPoll is how often the informer is asked whether it has seen what was listed,
	// catchUpRelist after how long the list is made anew, for pods that have gone
	// meanwhile, and catchUpLimit when to give up.
	catchUpPoll   = 10 * time.Millisecond
	catchUpRelist = time.Second
	catchUpLimit  = 10 * time.Second
)

// onNode are pods that run or will run on a node.
type onNode struct {
	pods      []*v1.Pod
	occupancy isolation.Occupancy
}

// list asks the API server who is on a node. The answer has every bind that was
// committed before it was asked.
func (e *Engine) list(ctx context.Context, node string) (onNode, error) {
	var found onNode
	err := e.retry(ctx, func() error {
		// No resourceVersion: the newest, and not what some cache has.
		pods, err := e.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
		})
		if err != nil {
			return err
		}
		found = onNode{}
		var residents []isolation.Resident
		for i := range pods.Items {
			pod := &pods.Items[i]
			if pod.Spec.NodeName != node || pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
				continue
			}
			found.pods = append(found.pods, pod)
			residents = append(residents, isolation.Resident{UID: string(pod.UID), Subject: e.cluster.Judge(pod)})
		}
		found.occupancy = isolation.NewOccupancy(residents)
		return nil
	})
	return found, err
}

// catchUp waits until the informer has seen what was listed: those that follow are judged
// by the informer.
func (e *Engine) catchUp(ctx context.Context, node string, found onNode) error {
	began, listed := e.clock.Now(), e.clock.Now()
	for {
		unknown := slices.ContainsFunc(found.pods, func(pod *v1.Pod) bool { return !e.cluster.Knows(pod) })
		if !unknown {
			return nil
		}
		if e.clock.Since(began) > catchUpLimit {
			return errBehind
		}
		if err := e.sleep(ctx, catchUpPoll); err != nil {
			return err
		}
		if e.clock.Since(listed) > catchUpRelist {
			var err error
			if found, err = e.list(ctx, node); err != nil {
				return err
			}
			listed = e.clock.Now()
		}
	}
}
