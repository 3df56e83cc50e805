package admission

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// scene is the part of the cluster that only one attack or test uses.
type scene struct {
	*environment

	ctx    context.Context
	phase  phase
	warned *warnings
	// tb is the test of the scene; nil for an attack, because attacks run before the tests.
	tb testing.TB
}

// brokenScene is the panic of must in an attack; attackAll recovers it.
type brokenScene struct{ why error }

// must ends the scene if a step that only prepares it fails.
func (s *scene) must(err error) {
	if err == nil {
		return
	}
	if s.tb == nil {
		panic(brokenScene{why: err})
	}
	s.tb.Helper()
	s.tb.Fatal(err)
}

// as returns the client of a user whose warnings are recorded.
func (s *scene) as(who user) *kubernetes.Clientset {
	client, err := s.client(who, s.warned)
	s.must(err)
	return client
}

// quietly returns the client of a user for steps that only prepare the scene.
func (s *scene) quietly(who user) *kubernetes.Clientset {
	client, err := s.client(who, &warnings{})
	s.must(err)
	return client
}

var serial atomic.Int64

// unique makes a name that nothing else in the cluster has.
func unique(kind string) string { return fmt.Sprintf("%s-%d", kind, serial.Add(1)) }

// namespace makes a namespace with the tenants' users in it.
func (s *scene) namespace(labels map[string]string) string {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: labels}}
	_, err := s.admin.CoreV1().Namespaces().Create(s.ctx, ns, metav1.CreateOptions{})
	s.must(err)
	s.must(s.settle(s.ctx, ns.Name))
	return ns.Name
}

// managed makes a namespace of the tenant acme.
func (s *scene) managed(l ...label) string { return s.namespace(acmeLabels(l...)) }

// create makes a pod the way a tenant does.
func (s *scene) create(namespace string, options ...podOption) (*corev1.Pod, error) {
	return s.as(editor).CoreV1().Pods(namespace).Create(s.ctx, newPod(options...), metav1.CreateOptions{})
}

// waiting is a legitimate pod of a tenant that is not bound yet.
func (s *scene) waiting(namespace string, options ...podOption) *corev1.Pod {
	pod, err := s.quietly(editor).CoreV1().Pods(namespace).Create(s.ctx, newPod(options...), metav1.CreateOptions{})
	s.must(err)
	return pod
}

// bound is a legitimate pod that our scheduler has put on attackedNode, with this evidence.
func (s *scene) bound(namespace, evidence string, options ...podOption) *corev1.Pod {
	pod := s.waiting(namespace, options...)
	s.bind(pod, attackedNode, evidence)
	return s.get(pod)
}

// bind does what our scheduler does at the end.
func (s *scene) bind(pod *corev1.Pod, node, evidence string) {
	binding := s.bindingOf(pod, node)
	binding.Annotations[evidenceKey] = evidence
	s.must(s.quietly(ourScheduler).CoreV1().Pods(pod.Namespace).Bind(s.ctx, binding, metav1.CreateOptions{}))
}

func (s *scene) get(pod *corev1.Pod) *corev1.Pod {
	got, err := s.admin.CoreV1().Pods(pod.Namespace).Get(s.ctx, pod.Name, metav1.GetOptions{})
	s.must(err)
	return got
}

// bindingOf is a Binding under the current dedication of the node.
func (s *scene) bindingOf(pod *corev1.Pod, node string) *corev1.Binding {
	binding := plainBindingOf(pod, node)
	binding.Annotations = map[string]string{dedicationKey: s.table.token(node)}
	return binding
}

// plainBindingOf is a Binding of a scheduler that knows nothing of dedicated nodes.
func plainBindingOf(pod *corev1.Pod, node string) *corev1.Binding {
	return &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}
}

// warnings collects what the API server warns a client of.
type warnings struct {
	mu   sync.Mutex
	list []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, text)
}

// take returns the warnings since the last call.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.list
	w.list = nil
	return taken
}
