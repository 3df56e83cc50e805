package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// seedVariable repeats a random workload.
const seedVariable = "INTEGRATION_SEED"

const (
	randomNodes = 40
	randomPods  = 300
)

// workload makes random nodes, namespaces and pods of six tenants.
type workload struct {
	*fixture
	random     *rand.Rand
	namespaces []string
	pods       []*corev1.Pod
}

func newWorkload(t *testing.T) *workload {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("seed %d; %s=%d chooses the same objects again", seed, seedVariable, seed)
	w := &workload{fixture: newFixture(t), random: rand.New(rand.NewPCG(seed, 0))}
	w.addNodes()
	w.addNamespaces()
	return w
}

func (w *workload) oneIn(n int) bool { return w.random.IntN(n) == 0 }

func pick[T any](w *workload, from ...T) T { return from[w.random.IntN(len(from))] }

func (w *workload) addNodes() {
	w.Helper()
	unmanaged := w.fixture.namespace()
	for i := range randomNodes {
		options := []nodeOption{cpus(pick(w, "4", "8", "16"))}
		switch {
		case i%5 < 2:
			options = append(options, kataCapable)
		case i%5 < 4:
			options = append(options, plainOnly)
		}
		if w.oneIn(10) {
			options = append(options, tainted("example.com/closed"))
		}
		node := w.node(options...)
		if w.oneIn(8) {
			w.pod(unmanaged, boundTo(node), runtimeClass(pick(w, kata, plainClass)))
		}
		if w.oneIn(3) {
			w.platformPod(metav1.NamespaceSystem, boundTo(node), privileged)
		}
	}
}

func (w *workload) addNamespaces() {
	w.Helper()
	for i := range 6 {
		for range 3 {
			labels := append(w.randomLabels(), tenant(fmt.Sprintf("tenant-%d", i)))
			if w.oneIn(5) {
				labels = append(labels, boundary(pick(w, "container", "sandbox", "vm", "node")))
			}
			w.namespaces = append(w.namespaces, w.namespace(labels...))
		}
	}
	w.namespaces = append(w.namespaces, w.namespace())
}

func (w *workload) randomLabels() []label {
	var labels []label
	if w.oneIn(3) {
		labels = append(labels, dataClass(pick(w, "public", "internal", "confidential", "restricted")))
	}
	if w.oneIn(8) {
		labels = append(labels, privilege(pick(w, "restricted", "baseline", "privileged")))
	}
	return labels
}

func (w *workload) randomPod() *corev1.Pod {
	options := []podOption{
		labelled(w.randomLabels()...),
		cpu(pick(w, "100m", "250m", "500m", "1", "2")),
	}
	switch w.random.IntN(20) {
	case 0, 1, 2, 3, 4, 5:
		options = append(options, runtimeClass(kata))
	case 6, 7:
		options = append(options, runtimeClass(otherKata))
	case 8:
		options = append(options, runtimeClass(gvisor))
	case 9:
		options = append(options, runtimeClass(plainClass))
	}
	switch w.random.IntN(12) {
	case 0, 1:
		options = append(options, restrictedSpec)
	case 2:
		options = append(options, privileged)
	case 3:
		options = append(options, privilegedInit)
	case 4:
		options = append(options, hostPath)
	case 5:
		options = append(options, hostNetwork)
	case 6, 7:
		// The API server has these together with nothing of the host.
		options = append(options, ownUserNamespace)
	}
	if w.oneIn(15) {
		options = append(options, annotated(kataAnnotation, "true"))
	}
	if w.oneIn(25) {
		options = append(options, labelled(tenant("tenant-0")))
	}
	return w.newPod(pick(w, w.namespaces...), options...)
}

// createAll creates pods concurrently.
func (w *workload) createAll(pods []*corev1.Pod) {
	w.Helper()
	var creating sync.WaitGroup
	errs := make([]error, len(pods))
	next := make(chan int)
	for range 4 {
		creating.Go(func() {
			for i := range next {
				pods[i], errs[i] = w.api.CoreV1().Pods(pods[i].Namespace).Create(w.Context(), pods[i], metav1.CreateOptions{})
			}
		})
	}
	for i := range pods {
		next <- i
	}
	close(next)
	creating.Wait()
	for _, err := range errs {
		w.must(err)
	}
	w.pods = append(w.pods, pods...)
}

// removeSome deletes random pods, placed or not.
func (w *workload) removeSome(n int) {
	w.Helper()
	for range min(n, len(w.pods)) {
		i := w.random.IntN(len(w.pods))
		w.remove(w.pods[i])
		w.pods = slices.Delete(w.pods, i, i+1)
	}
}

// expectSound checks the final state as the observer checked each step, and that no pod waits that
// a node could take.
func (w *workload) expectSound(o *observer) {
	w.Helper()
	world := w.settled()
	o.expectNoFaults()
	if verdict := world.Check(); !verdict.Sound() {
		w.Errorf("at the end: %s", verdict)
	} else {
		w.Logf("at the end: %s; %d pods wait, and no node could take them", verdict, len(world.Unplaced()))
	}
}

func TestRandomWorkload(t *testing.T) {
	w := newWorkload(t)
	o := w.observe()
	pods := make([]*corev1.Pod, 0, randomPods)
	for range randomPods {
		pods = append(pods, w.randomPod())
	}
	for chunk := range slices.Chunk(pods, randomPods/6) {
		w.createAll(chunk)
		// While the scheduler is busy with them.
		w.removeSome(len(chunk) / 5)
	}
	w.expectSound(o)
	if n := o.bound(); n < randomPods/3 {
		t.Errorf("only %d pods were ever placed: this shows little", n)
	}
}

// Pods of a relabelled namespace stay where they are, even where they break the rule. No new pod
// may join them there.
func TestRandomRelabelling(t *testing.T) {
	w := newWorkload(t)
	o := w.observe()
	probes := w.node(tainted("example.com/probe"))
	for range 6 {
		var pods []*corev1.Pod
		for range 25 {
			pods = append(pods, w.randomPod())
		}
		w.createAll(pods)
		w.settled()
		o.expectNoFaults()
		for range 5 {
			o.changing(w.relabelOne)
		}
		// Pods that come from now on are judged by the new labels: the scheduler has seen a
		// namespace that was made after them.
		w.probe(probes, o)
		o.settle()
		w.removeSome(5)
	}
	w.settled()
	o.expectNoFaults()
}

func (w *workload) relabelOne() {
	w.Helper()
	ns := pick(w, w.namespaces...)
	switch w.random.IntN(4) {
	case 0:
		w.relabel(ns, tenant(fmt.Sprintf("tenant-%d", w.random.IntN(6))))
	case 1:
		w.relabel(ns, dataClass(pick(w, "public", "restricted")))
	case 2:
		w.unlabel(ns, dataClass("").key)
	case 3:
		w.relabel(ns, boundary(pick(w, "container", "vm", "node")))
	}
}

// probe returns when the scheduler has placed a pod of a namespace that is made now.
func (w *workload) probe(node string, o *observer) {
	w.Helper()
	var ns string
	o.changing(func() { ns = w.namespace(tenant(w.name("probe"))) })
	probe := w.pod(ns, onlyOn(node), func(p *corev1.Pod) {
		p.Spec.Tolerations = []corev1.Toleration{{Key: "example.com/probe", Operator: corev1.TolerationOpExists}}
	})
	w.expectOn(node, probe)
	w.remove(probe)
}
