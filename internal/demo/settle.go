package demo

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	appslisters "k8s.io/client-go/listers/apps/v1"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"tenantisolation.dev/scheduler/internal/checker"
)

const (
	// quiet is how long no pod may have changed before we look whether that is the end.
	quiet = 1500 * time.Millisecond
	// stuck is how long we give what should still move: longer than the scheduler's
	// longest back-off, after which it has tried every pod again.
	stuck = 15 * time.Second
)

// observer follows a cluster until nothing moves any more.
type observer struct {
	pods         corelisters.PodLister
	deployments  appslisters.DeploymentLister
	replicaSets  appslisters.ReplicaSetLister
	statefulSets appslisters.StatefulSetLister
	daemonSets   appslisters.DaemonSetLister
	jobs         batchlisters.JobLister

	// changed is when a pod last came, went or moved on.
	changed atomic.Int64
}

func newObserver(ctx context.Context, d *demo) (*observer, error) {
	factory := informers.NewSharedInformerFactory(d.client, 0)
	o := &observer{
		pods:         factory.Core().V1().Pods().Lister(),
		deployments:  factory.Apps().V1().Deployments().Lister(),
		replicaSets:  factory.Apps().V1().ReplicaSets().Lister(),
		statefulSets: factory.Apps().V1().StatefulSets().Lister(),
		daemonSets:   factory.Apps().V1().DaemonSets().Lister(),
		jobs:         factory.Batch().V1().Jobs().Lister(),
	}
	o.touch()
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { o.touch() },
		DeleteFunc: func(any) { o.touch() },
		UpdateFunc: func(before, after any) {
			// A retry that ends as before is no news.
			a, okA := before.(*corev1.Pod)
			b, okB := after.(*corev1.Pod)
			if !okA || !okB || placed(a) != placed(b) || a.Status.Phase != b.Status.Phase || (refusal(a) == "") != (refusal(b) == "") {
				o.touch()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	return o, ctx.Err()
}

func (o *observer) touch() { o.changed.Store(time.Now().UnixNano()) }

func (o *observer) still() time.Duration { return time.Since(time.Unix(0, o.changed.Load())) }

func (o *observer) list() []*corev1.Pod {
	// A lister over a cache has no error to report.
	pods, _ := o.pods.List(labels.Everything())
	return pods
}

// waitUntilSettled returns when every pod is where it will stay: the controllers have made
// them all, and each is placed and running or has been refused, and the refused cannot be
// on any node as things stand. If something still ought to move and does not, it returns
// as well, after a while: what is wrong then is for the report to say.
func (o *observer) waitUntilSettled(ctx context.Context, d *demo) error {
	var shown progress
	lastShown := time.Time{}
	err := d.until(ctx, func(ctx context.Context) (bool, error) {
		pods := o.list()
		now := count(pods)
		if now != shown && time.Since(lastShown) > 2*time.Second {
			d.say("%s", now)
			shown, lastShown = now, time.Now()
		}
		still := o.still()
		switch {
		case still < quiet:
			return false, nil
		case still > stuck:
			return true, nil
		case len(o.incomplete()) > 0 || !allAnswered(pods):
			return false, nil
		}
		return o.nobodyWaitsInVain(ctx, d)
	})
	if err != nil {
		return fmt.Errorf("waiting for the pods (%s): %w", count(o.list()), err)
	}
	d.say("%s, and nothing moves any more", count(o.list()))
	return nil
}

func allAnswered(pods []*corev1.Pod) bool {
	for _, pod := range pods {
		if !answered(pod) || (placed(pod) && pod.Status.Phase == corev1.PodPending) {
			return false
		}
	}
	return true
}

// nobodyWaitsInVain asks the checker, as a pod can be refused a moment before a node
// becomes fit for it.
func (o *observer) nobodyWaitsInVain(ctx context.Context, d *demo) (bool, error) {
	cluster, err := checker.Read(ctx, d.client)
	if err != nil {
		return false, err
	}
	for _, pod := range cluster.Unplaced() {
		if ours(pod) && len(cluster.Takers(pod)) > 0 {
			return false, nil
		}
	}
	return true, nil
}
