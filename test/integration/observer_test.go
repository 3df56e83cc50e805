package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"

	"tenantisolation.dev/scheduler/internal/checker"
)

// observer follows the pods through the API, in the order in which the API server wrote
// them, and has the checker judge a node whenever a pod comes to it. The later pod of a pair is
// at fault. Pairs that break the rule because a namespace has changed are no fault of the
// scheduler.
type observer struct {
	c    *fixture
	stop context.CancelFunc
	done chan struct{}

	mu sync.Mutex
	// worlds has the namespaces as they are, and as they were before changes of which the
	// scheduler may not know yet.
	worlds []*checker.Cluster
	pods   map[types.UID]*corev1.Pod
	binds  int
	pairs  int
	faults []string
}

func (c *fixture) observe() *observer {
	c.Helper()
	o := &observer{c: c, done: make(chan struct{}), pods: map[types.UID]*corev1.Pod{}}
	o.changing(func() {})
	list, err := c.api.CoreV1().Pods("").List(c.Context(), metav1.ListOptions{})
	c.must(err)
	for i := range list.Items {
		o.pods[list.Items[i].UID] = &list.Items[i]
	}
	ctx, cancel := context.WithCancel(c.Context())
	o.stop = cancel
	w, err := c.watchPods(ctx, list.ResourceVersion)
	c.must(err)
	go func() {
		defer close(o.done)
		for event := range w.ResultChan() {
			o.note(event)
		}
		if ctx.Err() == nil {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.faults = append(o.faults, "the watch broke off")
		}
	}()
	c.Cleanup(func() {
		cancel()
		<-o.done
	})
	return o
}

// changing makes a change of namespaces, between two events. Until settle is called the
// scheduler may not have received it yet.
func (o *observer) changing(change func()) {
	o.c.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
	world, err := checker.Read(o.c.Context(), o.c.api)
	o.c.must(err)
	o.worlds = append(o.worlds, world)
}

// settle says that the scheduler has received all changes.
func (o *observer) settle() {
	o.c.Helper()
	o.caughtUp()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.worlds = o.worlds[len(o.worlds)-1:]
}

func (o *observer) note(event watch.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	pod, ok := event.Object.(*corev1.Pod)
	if !ok {
		o.faults = append(o.faults, fmt.Sprintf("the watch says %v", event.Object))
		return
	}
	if event.Type == watch.Deleted {
		delete(o.pods, pod.UID)
		return
	}
	before := o.pods[pod.UID]
	o.pods[pod.UID] = pod
	if pod.Spec.NodeName == "" || (before != nil && before.Spec.NodeName != "") {
		return
	}
	o.binds++
	var neighbours []corev1.Pod
	for _, other := range o.pods {
		if other.Spec.NodeName == pod.Spec.NodeName {
			neighbours = append(neighbours, *other)
		}
	}
	o.pairs += len(neighbours) - 1
	var faults []string
	for _, world := range o.worlds {
		node := checker.Cluster{Pods: neighbours, Namespaces: world.Namespaces, RuntimeClasses: world.RuntimeClasses}
		faults = faultsOf(podKey(pod), node.Check())
		if id := node.Identify(pod); id.Managed && pod.Annotations[checker.StampKey] != id.Stamp() {
			faults = append(faults, fmt.Sprintf("%s came as %s, and its evidence says %q", podKey(pod), id.Stamp(), pod.Annotations[checker.StampKey]))
		}
		if len(faults) == 0 {
			return
		}
	}
	o.faults = append(o.faults, faults...)
}

// faultsOf returns the violations of a verdict of which one pod is the cause.
func faultsOf(pod string, verdict checker.Result) []string {
	var faults []string
	for _, pair := range verdict.Broken {
		if pair.A == pod || pair.B == pod {
			faults = append(faults, fmt.Sprintf("when %s came: %s", pod, pair))
		}
	}
	for _, weak := range verdict.Weak {
		if weak.Pod == pod {
			faults = append(faults, fmt.Sprintf("when it came: %s", weak))
		}
	}
	return faults
}

// caughtUp waits until the observer has seen all that has happened.
func (o *observer) caughtUp() {
	o.c.Helper()
	list, err := o.c.api.CoreV1().Pods("").List(o.c.Context(), metav1.ListOptions{})
	o.c.must(err)
	o.c.eventually("the observer to see all binds", func(context.Context) (bool, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for i := range list.Items {
			pod := &list.Items[i]
			if known := o.pods[pod.UID]; pod.Spec.NodeName != "" && (known == nil || known.Spec.NodeName == "") {
				return false, nil
			}
		}
		return true, nil
	})
}

// expectNoFaults fails the test if a pod ever came where it must not be.
func (o *observer) expectNoFaults() {
	o.c.Helper()
	o.caughtUp()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.c.Logf("observed %d binds and %d pairs of pods", o.binds, o.pairs)
	if len(o.faults) > 0 {
		o.c.Errorf("the rule was broken:\n%s", strings.Join(o.faults, "\n"))
	}
}

func (o *observer) bound() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.binds
}

// settled waits until, by the checker, no node could take a pod that is not placed, and returns the
// cluster at that moment.
func (c *fixture) settled() *checker.Cluster {
	c.Helper()
	var world *checker.Cluster
	var waiting []string
	begin := time.Now()
	err := wait.PollUntilContextTimeout(c.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		var err error
		if world, err = checker.Read(ctx, c.api); err != nil {
			return false, err
		}
		waiting = nil
		for _, pod := range world.Unplaced() {
			if takers := world.Takers(pod); pod.Spec.SchedulerName == c.scheduler.profile && len(takers) > 0 {
				waiting = append(waiting, fmt.Sprintf("%s could go to %s and is refused: %s", podKey(pod), strings.Join(takers, ", "), refusal(pod)))
			}
		}
		return len(waiting) == 0, c.environment.plane.Failed()
	})
	if err != nil {
		c.Fatalf("%v: pods wait in vain:\n%s", err, strings.Join(waiting, "\n"))
	}
	c.Logf("settled after %.1f s", time.Since(begin).Seconds())
	return world
}
