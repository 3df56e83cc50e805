package integration

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

var burstPods = flag.Int("burst", 40, "how many pods come at once in TestBurstWaitsWithoutRetry")

const (
	// podsPerNode is how many pods of a burst fill a node.
	podsPerNode  = 8
	burstTenants = 5
	// settleLong outlasts a burst.
	settleLong = 20 * time.Second
)

// burstNamespaces makes a namespace for each of so many tenants, and waits until the scheduler knows them.
func (c *fixture) burstNamespaces(tenants int) []string {
	c.Helper()
	var namespaces []string
	for i := range tenants {
		namespaces = append(namespaces, c.namespace(tenant(fmt.Sprintf("burst-%d", i))))
	}
	for _, namespace := range namespaces {
		probe, last := c.tenantPod(namespace, onlyOn("none")), ""
		// A scheduler that has just started waits for the settle time as well.
		err := wait.PollUntilContextTimeout(c.Context(), 10*time.Millisecond, settleLong+2*patience, true, func(context.Context) (bool, error) {
			last = refusal(c.get(probe))
			return strings.Contains(last, "didn't match Pod's node affinity/selector"), c.environment.plane.Failed()
		})
		if err != nil {
			c.Fatalf("the scheduler does not know %s: %v: %s", namespace, err, last)
		}
		c.remove(probe)
	}
	return namespaces
}

// burst creates pods at once, the namespaces in turn, and returns them with the times of their creation.
func (c *fixture) burst(namespaces []string, count int) ([]*corev1.Pod, map[types.UID]time.Time) {
	c.Helper()
	pods := make([]*corev1.Pod, count)
	for i := range pods {
		pods[i] = c.newPod(namespaces[i%len(namespaces)], tolerant, cpu("1"))
	}
	var (
		mu      sync.Mutex
		group   sync.WaitGroup
		created = map[types.UID]time.Time{}
		next    = make(chan int)
	)
	for range 8 {
		group.Go(func() {
			for i := range next {
				pod, err := c.api.CoreV1().Pods(pods[i].Namespace).Create(c.Context(), pods[i], metav1.CreateOptions{})
				if err != nil {
					c.Error(err)
					continue
				}
				mu.Lock()
				pods[i], created[pod.UID] = pod, time.Now()
				mu.Unlock()
			}
		})
	}
	for i := range pods {
		next <- i
	}
	close(next)
	group.Wait()
	if c.Failed() {
		c.FailNow()
	}
	return pods, created
}

// withoutRetry checks that each pod has been tried once and never refused.
func (c *fixture) withoutRetry(pods []*corev1.Pod) {
	c.Helper()
	for _, pod := range pods {
		c.atOnce(pod)
	}
}

// While the first node of a trust domain is being dedicated, its pods that have no room there open the others that
// they need: all nodes have their taints before the first pod is bound.
func TestBurstOpensItsNodesAtOnce(t *testing.T) {
	const needed = 5
	c := newDedicating(t, map[string]any{"settleTime": settleLong.String(), "releaseAfter": "1h"})
	for range 2 * needed {
		c.node()
	}
	pods, _ := c.burst(c.burstNamespaces(1), needed*podsPerNode)
	waiting := map[string]int{}
	c.eventually("a node for every pod", func(context.Context) (bool, error) {
		clear(waiting)
		for _, pod := range pods {
			// The framework announces the node of a pod that waits in PreBind.
			node := c.get(pod).Status.NominatedNodeName
			if node == "" {
				return false, nil
			}
			waiting[node]++
		}
		return true, nil
	})
	if len(waiting) != needed {
		t.Errorf("pods wait for %d nodes, want %d: %v", len(waiting), needed, waiting)
	}
	for node := range waiting {
		c.eventually("the dedication of "+node, func(context.Context) (bool, error) {
			return c.dedicationOn(node) != "" && c.entryOf(node) != "", nil
		})
	}
	c.stillRefused(pods...)
	c.withoutRetry(pods)
}

// Pods that come while nodes are being dedicated wait in PreBind, and none of them is refused and tried again. With
// -v the test logs how long they took: -burst=200 is the load of docs/benchmarks.md.
func TestBurstWaitsWithoutRetry(t *testing.T) {
	for _, tc := range []struct {
		name   string
		policy map[string]any
	}{
		{"without dedication", map[string]any{}},
		{"with a settle time of 1 s", dedicationArgs(map[string]any{"settleTime": "1s", "releaseAfter": "1h"})},
		{"with a settle time of 3 s", dedicationArgs(map[string]any{"settleTime": "3s", "releaseAfter": "1h"})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, err := sharedEnvironment()
			if err != nil {
				t.Fatal(err)
			}
			if err := w.mayDedicate(t.Context()); err != nil {
				t.Fatal(err)
			}
			c := newFixtureWith(t, tc.policy)
			token := c.scraper()
			for range *burstPods/podsPerNode + 2*burstTenants {
				c.node()
			}
			namespaces := c.burstNamespaces(burstTenants)
			binds := c.watchBinds()
			pods, created := c.burst(namespaces, *burstPods)
			for _, pod := range pods {
				c.placed(pod)
			}
			c.withoutRetry(pods)
			for series, count := range c.metric(token, "tenant_isolation_dedications_refused_total") {
				if count > 0 {
					t.Errorf("%s is %d, want none", series, count)
				}
			}
			c.logLatency(pods, created, binds())
			c.logMetrics(token, "scheduler_scheduling_attempt_duration_seconds", "tenant_isolation_dedication_opening_duration_seconds",
				"tenant_isolation_dedication_writes_total", "rest_client_request_duration_seconds")
		})
	}
}

// bind is when a pod was bound, as the API server tells it.
type bind struct {
	node string
	at   time.Time
}

// watchPods watches all pods. The API server ends the watch of a client that reads too slowly, and this begins another.
func (c *fixture) watchPods(ctx context.Context, from string) (*watchtools.RetryWatcher, error) {
	return watchtools.NewRetryWatcherWithContext(ctx, from, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.api.CoreV1().Pods("").Watch(ctx, options)
		},
	})
}

// watchBinds watches for binds until the result is called.
func (c *fixture) watchBinds() func() map[types.UID]bind {
	c.Helper()
	list, err := c.api.CoreV1().Pods("").List(c.Context(), metav1.ListOptions{})
	c.must(err)
	w, err := c.watchPods(c.Context(), list.ResourceVersion)
	c.must(err)
	binds, done := map[types.UID]bind{}, make(chan struct{})
	go func() {
		defer close(done)
		for event := range w.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
				if _, seen := binds[pod.UID]; !seen {
					binds[pod.UID] = bind{node: pod.Spec.NodeName, at: time.Now()}
				}
			}
		}
	}()
	return func() map[types.UID]bind {
		w.Stop()
		<-done
		return binds
	}
}

// logLatency logs how long pods took from creation to bind, and by how much a pod waited longer than the one that
// opened its node.
func (c *fixture) logLatency(pods []*corev1.Pod, created map[types.UID]time.Time, binds map[types.UID]bind) {
	c.Helper()
	opener := map[string]*corev1.Pod{}
	var all, beyond []time.Duration
	waited := func(pod *corev1.Pod) time.Duration { return binds[pod.UID].at.Sub(created[pod.UID]) }
	for _, pod := range pods {
		if _, ok := binds[pod.UID]; !ok {
			continue
		}
		all = append(all, waited(pod))
		node := binds[pod.UID].node
		if first := opener[node]; first == nil || created[pod.UID].Before(created[first.UID]) {
			opener[node] = pod
		}
	}
	for _, pod := range pods {
		if first := opener[binds[pod.UID].node]; first != nil && first != pod {
			beyond = append(beyond, waited(pod)-waited(first))
		}
	}
	c.Logf("%d pods on %d nodes, from creation to bind: %s", len(all), len(opener), quantiles(all))
	c.Logf("a follower beyond the opener of its node: %s", quantiles(beyond))
}

func quantiles(of []time.Duration) string {
	if len(of) == 0 {
		return "none"
	}
	slices.SortFunc(of, cmp.Compare)
	at := func(q float64) time.Duration {
		return of[min(len(of)-1, int(q*float64(len(of))))].Round(time.Millisecond)
	}
	return fmt.Sprintf("median %v, 90th percentile %v, 99th %v, longest %v", at(0.5), at(0.9), at(0.99), at(1))
}

// logMetrics logs metrics of the scheduler, without the buckets of histograms.
func (c *fixture) logMetrics(token string, names ...string) {
	c.Helper()
	status, text := c.fetch(token)
	if status != http.StatusOK {
		c.Fatalf("status %d: %s", status, text)
	}
	for line := range strings.Lines(text) {
		named := slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(line, name) })
		if named && !strings.Contains(line, "_bucket{") {
			c.Log(strings.TrimSpace(line))
		}
	}
}
