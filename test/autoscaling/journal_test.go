package autoscaling

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// journal notes what happens to the pods and nodes of all scenarios, which are told apart by the label of
// their nodes and the node selector of their pods.
type journal struct {
	mu    sync.Mutex
	pods  map[types.UID]*podStory
	nodes map[types.UID]*nodeStory
}

type podStory struct {
	scenario, name         string
	created, bound, gone   time.Time
	node                   string
	gated, evicted, failed bool
}

type nodeStory struct {
	scenario, name, machine string
	created, gone           time.Time
}

func newJournal(ctx context.Context, api kubernetes.Interface) (*journal, error) {
	j := &journal{pods: map[types.UID]*podStory{}, nodes: map[types.UID]*nodeStory{}}
	factory := informers.NewSharedInformerFactory(api, 0)
	pods, nodes := factory.Core().V1().Pods().Informer(), factory.Core().V1().Nodes().Informer()
	_, podErr := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { j.notePod(o.(*corev1.Pod), false) },
		UpdateFunc: func(_, o any) { j.notePod(o.(*corev1.Pod), false) },
		DeleteFunc: func(o any) { noteDeleted(o, func(pod *corev1.Pod) { j.notePod(pod, true) }) },
	})
	_, nodeErr := nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { j.noteNode(o.(*corev1.Node), false) },
		DeleteFunc: func(o any) { noteDeleted(o, func(node *corev1.Node) { j.noteNode(node, true) }) },
	})
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced, nodes.HasSynced) {
		return nil, context.Cause(ctx)
	}
	return j, errors.Join(podErr, nodeErr)
}

func noteDeleted[T any](object any, note func(T)) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	if last, ok := object.(T); ok {
		note(last)
	}
}

func (j *journal) notePod(pod *corev1.Pod, gone bool) {
	scenario := pod.Spec.NodeSelector[scenarioLabel]
	if scenario == "" {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	story := j.pods[pod.UID]
	if story == nil {
		story = &podStory{scenario: scenario, name: pod.Namespace + "/" + pod.Name, created: time.Now()}
		j.pods[pod.UID] = story
	}
	story.gated = len(pod.Spec.SchedulingGates) > 0
	if pod.Spec.NodeName != "" && story.bound.IsZero() {
		story.bound, story.node = time.Now(), pod.Spec.NodeName
	}
	for _, condition := range pod.Status.Conditions {
		story.evicted = story.evicted || condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue
	}
	story.failed = pod.Status.Phase == corev1.PodFailed
	if gone {
		story.gone = time.Now()
	}
}

func (j *journal) noteNode(node *corev1.Node, gone bool) {
	scenario := node.Labels[scenarioLabel]
	if scenario == "" {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	story := j.nodes[node.UID]
	if story == nil {
		story = &nodeStory{scenario: scenario, name: node.Name, machine: node.Labels[corev1.LabelInstanceTypeStable], created: time.Now()}
		j.nodes[node.UID] = story
	}
	if gone {
		story.gone = time.Now()
	}
}

// tally is how much a scenario has cost until now.
type tally struct{ added, removed, evicted, failed int }

func (t tally) String() string {
	return fmt.Sprintf("%d nodes added, %d removed, %d pods evicted, %d failed", t.added, t.removed, t.evicted, t.failed)
}

func (t tally) since(before tally) tally {
	return tally{t.added - before.added, t.removed - before.removed, t.evicted - before.evicted, t.failed - before.failed}
}

func (j *journal) tally(scenario string) tally {
	j.mu.Lock()
	defer j.mu.Unlock()
	var sum tally
	for _, node := range j.nodes {
		if node.scenario == scenario {
			sum.added++
			if !node.gone.IsZero() {
				sum.removed++
			}
		}
	}
	for _, pod := range j.pods {
		if pod.scenario == scenario {
			if pod.evicted {
				sum.evicted++
			}
			if pod.failed {
				sum.failed++
			}
		}
	}
	return sum
}

// evicted are the pods of a scenario that were evicted.
func (j *journal) evicted(scenario string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var names []string
	for _, pod := range j.pods {
		if pod.scenario == scenario && pod.evicted {
			names = append(names, pod.name)
		}
	}
	return names
}

// waits returns how many pods of a scenario are on a node, what the others are called, and the longest time that
// one waited, of those whose namespace and name begin with prefix.
func (j *journal) waits(scenario, prefix string) (placed int, pending []string, longest time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, pod := range j.pods {
		if pod.scenario != scenario || !strings.HasPrefix(pod.name, prefix) || pod.gated || !pod.gone.IsZero() {
			continue
		}
		if pod.bound.IsZero() {
			pending = append(pending, pod.name)
			longest = max(longest, time.Since(pod.created))
			continue
		}
		placed++
		longest = max(longest, pod.bound.Sub(pod.created))
	}
	return placed, pending, longest
}
