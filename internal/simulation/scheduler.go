package simulation

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"

	"tenantisolation.dev/scheduler/cmd/scheduler/app"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
)

// patience bounds the time for one pod.
const patience = time.Minute

// Outcome is the placement of the pods of a cluster.
type Outcome struct {
	// Node is the node of each placed pod, by UID.
	Node map[types.UID]string
	// Why is the scheduler's message for each other pod.
	Why map[types.UID]string
}

// Place lets a scheduler with this configuration place the pending pods of a cluster, one
// after the other in the order of the cluster. It is kube-scheduler itself with the plugin
// registered; only the API server is simulated.
//
// The same seed gives the same placement. The seed decides between nodes of the same score,
// and nodes are filtered one by one. What depends on the clock is left out: the hints of
// opportunistic batching, and the time of a retry, as refused pods are tried again at the
// end. No pod is preempted.
func Place(ctx context.Context, c *Cluster, configuration *schedulerconfig.KubeSchedulerConfiguration, seed uint64, progress func(done, total int)) (*Outcome, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r, err := newRun(ctx, c, configuration, seed)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.place(ctx, c, progress); err != nil {
		return nil, err
	}
	return r.outcome, nil
}

// run is one scheduler at work.
type run struct {
	sched *scheduler.Scheduler
	api   *api
	names map[string]bool // schedulers of the configuration

	pop func(klog.Logger) (framework.QueuedEntityInfo, error)
	// closeQueue may be called more than once, unlike the queue's own Close.
	closeQueue func()
	// current is the pod to be scheduled, early has the pods that the queue gave too early.
	current types.UID
	early   map[types.UID]*framework.QueuedPodInfo

	mu      sync.Mutex
	outcome *Outcome
	// settled has the pods with an outcome that place has not taken note of.
	settled map[types.UID]bool
	changed chan struct{}
}

func newRun(ctx context.Context, c *Cluster, configuration *schedulerconfig.KubeSchedulerConfiguration, seed uint64) (*run, error) {
	client, api := newClient(c)
	r := &run{
		api: api, names: map[string]bool{}, early: map[types.UID]*framework.QueuedPodInfo{},
		outcome: &Outcome{Node: map[types.UID]string{}, Why: map[types.UID]string{}},
		settled: map[types.UID]bool{}, changed: make(chan struct{}, 1),
	}
	api.bound = func(pod *corev1.Pod) { r.settle(pod.UID, pod.Spec.NodeName, "") }
	// The scheduler's log would be too long; its messages about pods are in the outcome.
	ctx = klog.NewContext(ctx, klog.Background().V(10))
	informers := scheduler.NewInformerFactory(client, 0, nil)
	var err error
	r.sched, err = scheduler.New(ctx, client, informers, nil,
		func(string) events.EventRecorderLogger { return &events.FakeRecorder{} },
		scheduler.WithProfiles(configuration.Profiles...),
		scheduler.WithPercentageOfNodesToScore(configuration.PercentageOfNodesToScore),
		scheduler.WithParallelism(1),
		scheduler.WithFrameworkOutOfTreeRegistry(frameworkruntime.Registry{tenantisolation.Name: app.NewPlugin}),
	)
	if err != nil {
		return nil, fmt.Errorf("making the scheduler: %w", err)
	}
	r.closeQueue = sync.OnceFunc(r.sched.SchedulingQueue.Close)
	for name, profile := range r.sched.Profiles {
		r.names[name] = true
		r.sched.Profiles[name] = &seeded{Framework: profile, seed: seed}
	}
	r.pop, r.sched.NextEntity = r.sched.NextEntity, r.next
	fail := r.sched.FailureHandler
	r.sched.FailureHandler = func(ctx context.Context, f framework.Framework, pod *framework.QueuedPodInfo, status *fwk.Status, nominating *fwk.NominatingInfo, start time.Time) {
		uid := pod.Pod.UID
		fail(ctx, f, pod, status, nominating, start)
		r.settle(uid, "", status.Message())
	}
	informers.Start(ctx.Done())
	informers.WaitForCacheSync(ctx.Done())
	if err := r.sched.WaitForHandlersSync(ctx); err != nil {
		return nil, err
	}
	return r, r.awaitPlugin(ctx, c)
}

func (r *run) close() {
	r.closeQueue()
	_ = r.sched.Profiles.Close()
}

// awaitPlugin returns when the plugin has read the cluster: until then it refuses all pods.
func (r *run) awaitPlugin(ctx context.Context, c *Cluster) error {
	for _, pod := range c.Pods {
		profile := r.sched.Profiles[pod.Spec.SchedulerName]
		if pod.Spec.NodeName != "" || profile == nil {
			continue
		}
		return wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
			_, status, _ := profile.RunPreFilterPlugins(ctx, framework.NewCycleState(), pod)
			return status.IsSuccess() || !slices.Contains(status.Reasons(), isolation.FactsIncomplete.Sentence()), nil
		})
	}
	return nil
}

func (r *run) settle(uid types.UID, node, why string) {
	r.mu.Lock()
	if node != "" {
		r.outcome.Node[uid] = node
		delete(r.outcome.Why, uid)
	} else {
		r.outcome.Why[uid] = why
	}
	r.settled[uid] = true
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *run) place(ctx context.Context, c *Cluster, progress func(done, total int)) error {
	total := 0
	for _, pod := range c.Pods {
		if pod.Spec.NodeName == "" {
			total++
		}
	}
	done := 0
	for _, pod := range c.Pods {
		if pod.Spec.NodeName != "" {
			r.outcome.Node[pod.UID] = pod.Spec.NodeName
			continue
		}
		if err := r.feed(ctx, pod); err != nil {
			return err
		}
		done++
		progress(done, total)
	}
	return r.again(ctx)
}

// feed creates a pod and returns when it is bound or refused.
func (r *run) feed(ctx context.Context, pod *corev1.Pod) error {
	switch {
	case !r.names[pod.Spec.SchedulerName]:
		r.outcome.Why[pod.UID] = fmt.Sprintf("waits for the scheduler %q, which is not simulated", pod.Spec.SchedulerName)
		return nil
	case len(pod.Spec.SchedulingGates) > 0:
		r.outcome.Why[pod.UID] = "waits for its scheduling gates"
		return nil
	}
	r.api.create(pod)
	return r.schedule(ctx, pod)
}

// schedule runs scheduling cycles until the pod has an outcome.
func (r *run) schedule(ctx context.Context, pod *corev1.Pod) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("pod %s/%s has no outcome after %s", pod.Namespace, pod.Name, patience))
	defer cancel()
	stop := context.AfterFunc(ctx, r.closeQueue) // an empty queue blocks
	defer stop()
	r.current = pod.UID
	for !r.fetch(pod.UID) {
		r.sched.ScheduleOne(ctx)
		// The cycle is over; the binding may not be.
		if err := r.awaitBindings(ctx); err != nil {
			return err
		}
	}
	return nil
}

// next gives the scheduler the current pod. The queue also has refused pods that an event
// has brought back, at times that depend on the machine's speed.
func (r *run) next(logger klog.Logger) (framework.QueuedEntityInfo, error) {
	if pod, ok := r.early[r.current]; ok {
		delete(r.early, r.current)
		return pod, nil
	}
	for {
		entity, err := r.pop(logger)
		pod, ok := entity.(*framework.QueuedPodInfo)
		if !ok || pod.Pod.UID == r.current {
			return entity, err
		}
		r.early[pod.Pod.UID] = pod
	}
}

func (r *run) fetch(uid types.UID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.settled[uid] {
		return false
	}
	delete(r.settled, uid)
	return true
}

// awaitBindings returns when the pod of the last cycle is bound or refused.
func (r *run) awaitBindings(ctx context.Context) error {
	select {
	case <-r.changed:
		return nil
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx))
	}
}

// again retries the refused pods, as events would: a pod with affinity to a later one may
// fit now. It ends when a round places no pod.
func (r *run) again(ctx context.Context) error {
	for {
		var refused []*corev1.Pod
		for _, pod := range r.pending() {
			if why := r.outcome.Why[pod.UID]; why != "" && !strings.HasPrefix(why, "waits for") {
				refused = append(refused, pod)
			}
		}
		placed := len(r.outcome.Node)
		for _, pod := range refused {
			r.sched.SchedulingQueue.Activate(klog.Background(), map[string]*corev1.Pod{podKey(pod.Namespace, pod.Name): pod})
			if err := r.schedule(ctx, pod); err != nil {
				return err
			}
		}
		if len(r.outcome.Node) == placed {
			return nil
		}
	}
}

func (r *run) pending() []*corev1.Pod {
	var pending []*corev1.Pod
	list := r.api.list()
	for i := range list.Items {
		if pod := &list.Items[i]; pod.Spec.NodeName == "" {
			pending = append(pending, pod)
		}
	}
	return pending
}

// seeded is a profile that chooses between equal nodes by a seed.
type seeded struct {
	framework.Framework
	seed uint64
}

// RunScorePlugins replaces the framework's random number by a hash of seed, pod and node.
func (s *seeded) RunScorePlugins(ctx context.Context, state fwk.CycleState, pod *corev1.Pod, nodes []fwk.NodeInfo) ([]fwk.NodePluginScores, *fwk.Status) {
	scores, status := s.Framework.RunScorePlugins(ctx, state, pod, nodes)
	for i := range scores {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d/%s/%s", s.seed, pod.UID, scores[i].Name)
		scores[i].Randomizer = int(h.Sum64() >> 1)
	}
	return scores, status
}

// GetNodeHint returns none: hints hold for half a second, so they depend on the machine's speed.
func (s *seeded) GetNodeHint(context.Context, *corev1.Pod, fwk.PodSignature, fwk.CycleState, int64) string {
	return ""
}

// RunPostFilterPlugins preempts no pod.
func (s *seeded) RunPostFilterPlugins(context.Context, fwk.CycleState, *corev1.Pod, fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	return nil, fwk.NewStatus(fwk.Unschedulable)
}
