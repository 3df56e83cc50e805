package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// timeline prints the nodes, with the pods on them, whenever they have changed, and counts.
type timeline struct {
	end  context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	nodes   map[string]bool
	waiting int
	last    string
}

// startTimeline looks once a second, which is often enough for nodes that take seconds to come. Each act
// of the demo ends with a look as well.
func (d *demo) startTimeline(ctx context.Context) *timeline {
	ctx, end := context.WithCancel(ctx)
	t := &timeline{end: end, nodes: map[string]bool{}}
	t.done.Go(func() {
		wait.UntilWithContext(ctx, func(ctx context.Context) { t.look(ctx, d) }, time.Second)
	})
	return t
}

func (t *timeline) stop() {
	t.end()
	t.done.Wait()
}

func (t *timeline) look(ctx context.Context, d *demo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	nodes, err := d.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return // it looks again
	}
	pods, err := d.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	waiting := 0
	for i := range pods.Items {
		if pods.Items[i].Spec.NodeName == "" {
			waiting++
		}
	}
	lines := make([]string, 0, len(nodes.Items))
	for i := range nodes.Items {
		t.nodes[nodes.Items[i].Name] = true
		lines = append(lines, nodeLine(&nodes.Items[i], pods.Items))
	}
	slices.Sort(lines)
	lines = append([]string{fmt.Sprintf("%d nodes, %d pods wait", len(lines), waiting)}, lines...)
	now := strings.Join(lines, "\n         ")
	if now != t.last {
		t.last = now
		d.say("  %s", now)
	}
	t.waiting = max(t.waiting, waiting)
}

// summary is for the end of the demo.
func (t *timeline) summary() string {
	return fmt.Sprintf("Karpenter added %d nodes in all, and removed them all again; at most %d pods waited at a time.", len(t.nodes), t.waiting)
}
