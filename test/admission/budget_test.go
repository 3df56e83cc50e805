package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// large makes a pod of about the maximum size and cost of evaluation: a policy that exceeds its
// budget refuses the pod.
func large(p *corev1.Pod) {
	const many = 50
	for i := range many {
		name := fmt.Sprintf("c%d", i)
		c := p.Spec.Containers[0]
		c.Name = name
		c.SecurityContext = restrictedContainer()
		p.Spec.Containers = append(p.Spec.Containers, c)
		c.Name = "init-" + name
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{
			Key: "example.com/" + name, Operator: corev1.TolerationOpExists,
		})
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{
			Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
		for j := range 4 {
			p.Labels[fmt.Sprintf("example.com/%s-%d", name, j)] = name
			p.Annotations[fmt.Sprintf("example.com/%s-%d", name, j)] = strings.Repeat(name, 100)
		}
	}
	p.Spec.Containers = p.Spec.Containers[1:]
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot:   ptr.To(true),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func TestBudgetALargePodIsJudged(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(dataClass("internal"), privilege("restricted"), boundary("vm"), defaultClass(kataClass))
	_, err := s.create(namespace, large)
	s.allowed("a large pod", err)
	_, err = s.create(namespace, large, tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}))
	if err == nil {
		t.Error("a large pod with a wrong toleration at the end is allowed")
	} else if err := helps(err.Error(), []string{"spec.tolerations"}); err != nil {
		t.Error(err)
	}
	_, err = s.create(namespace, large, func(p *corev1.Pod) {
		p.Spec.Containers[len(p.Spec.Containers)-1].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
	})
	if err == nil {
		t.Error("a large pod with a wrong container at the end is allowed")
	} else if err := helps(err.Error(), []string{boundaryKey}); err != nil {
		t.Error(err)
	}
}

func TestBudgetALargePodIsChanged(t *testing.T) {
	s := newScene(t)
	pod := s.bound(s.managed(), evidenceOf("restricted"), large)
	s.allowed("a label", mergePatch(s, pod, "labels", "app", "web"))
	s.allowed("its kubelet's status", s.report(pod))
	pod = s.get(pod)
	for i := range 50 {
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{
				Name: fmt.Sprintf("debugger-%d", i), Image: "none", SecurityContext: restrictedContainer(),
				TerminationMessagePolicy: corev1.TerminationMessageReadFile, ImagePullPolicy: corev1.PullIfNotPresent,
			},
		})
	}
	s.allowed("one more, and fifty at once", s.debug(pod, restrictedContainer()))
	err := s.debug(s.get(pod), &corev1.SecurityContext{Privileged: ptr.To(true)})
	if err == nil {
		t.Fatal("a privileged one after them is allowed")
	}
	if err := helps(err.Error(), []string{"restricted"}); err != nil {
		t.Error(err)
	}
}

// The ratios are only printed: they differ from run to run on a busy machine.
func TestBudgetOfThePolicies(t *testing.T) {
	w := getEnvironment(t)
	free, err := w.newCreator(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	managed, err := w.newCreator(t.Context(), acmeLabels(dataClass("internal"), defaultClass(kataClass)))
	if err != nil {
		t.Fatal(err)
	}
	var speed, processor []float64
	// Alternately, so that both see the same load of the machine; the first turn is a warm-up.
	for turn := range 6 {
		without, err := free.create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		with, err := managed.create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if turn > 0 {
			t.Logf("where no policy applies: %v; in a managed namespace: %v", without, with)
			speed = append(speed, with.perSecond()/without.perSecond())
			processor = append(processor, with.millisecondsEach()/without.millisecondsEach())
		}
	}
	t.Logf("before there were policies, in a namespace with a tenant: %v", w.created)
	t.Logf("in a managed namespace %.2f times as many pods a second, at %.2f times the processor time (medians)",
		median(speed), median(processor))
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// rate is how many pods were created, how long it took, and how long the API server's
// processors worked meanwhile.
type rate struct {
	pods            int
	took, processor time.Duration
}

func (r rate) perSecond() float64 { return float64(r.pods) / r.took.Seconds() }

// millisecondsEach is the processor time that the API server spends on a pod. On a busy machine this
// varies less than the rate.
func (r rate) millisecondsEach() float64 {
	return float64(r.processor.Milliseconds()) / float64(r.pods)
}

func (r rate) String() string {
	return fmt.Sprintf("%.0f pods a second, %.1f ms of the API server's processor time each", r.perSecond(), r.millisecondsEach())
}

// processorTime returns the processor time that the API server has used since its start.
func (w *environment) processorTime(ctx context.Context) (time.Duration, error) {
	metrics, err := w.admin.CoreV1().RESTClient().Get().AbsPath("/metrics").Do(ctx).Raw()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(metrics)) {
		if value, ok := strings.CutPrefix(line, "process_cpu_seconds_total "); ok {
			return time.ParseDuration(strings.TrimSpace(value) + "s")
		}
	}
	return 0, errors.New("the API server does not report its processor time")
}

// creator creates pods in a namespace of its own, as a tenant does.
type creator struct {
	environment *environment
	namespace   string
	client      *kubernetes.Clientset
}

func (w *environment) newCreator(ctx context.Context, namespaceLabels map[string]string) (*creator, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: namespaceLabels}}
	if _, err := w.admin.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	if err := w.settle(ctx, ns.Name); err != nil {
		return nil, err
	}
	client, err := w.client(editor, &warnings{})
	return &creator{environment: w, namespace: ns.Name, client: client}, err
}

// create creates pods as fast as it can, several at once, and deletes them: no scheduler of
// a later test has to deal with them.
func (c *creator) create(ctx context.Context) (rate, error) {
	const (
		pods   = 60
		atOnce = 4
	)
	before, err := c.environment.processorTime(ctx)
	if err != nil {
		return rate{}, err
	}
	var all sync.WaitGroup
	errs := make([]error, atOnce)
	begin := time.Now()
	for i := range atOnce {
		all.Go(func() {
			for range pods / atOnce {
				if _, err := c.client.CoreV1().Pods(c.namespace).Create(ctx, newPod(), metav1.CreateOptions{}); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	after, err := c.environment.processorTime(ctx)
	if err != nil {
		return rate{}, err
	}
	errs = append(errs, c.client.CoreV1().Pods(c.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	if err := errors.Join(errs...); err != nil {
		return rate{}, fmt.Errorf("creating pods: %w", err)
	}
	return rate{pods, took, after - before}, nil
}
