package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// api serves pods to the scheduler: list, watch, get, bind, and a status that it accepts and
// drops. All other objects are served by client-go's fake clientset, which is too slow for
// thousands of pods: it copies an object for every reader and panics when a watcher falls
// behind.
type api struct {
	mu       sync.Mutex
	pods     map[string]*corev1.Pod
	version  int64
	watchers []*podWatch
	// bound is called for every binding, without mu held.
	bound func(*corev1.Pod)
}

// newClient returns a client of the cluster without its pending pods.
func newClient(c *Cluster) (*fake.Clientset, *api) {
	client := fake.NewClientset(c.others()...)
	a := &api{pods: map[string]*corev1.Pod{}, version: 1}
	for _, pod := range c.Pods {
		if pod.Spec.NodeName != "" {
			a.store(pod.DeepCopy())
		}
	}
	index := map[string]int{}
	for i, node := range c.Nodes {
		index[node.Name] = i
	}
	client.PrependReactor("list", "nodes", func(action clienttesting.Action) (bool, runtime.Object, error) {
		// In the order of the input: the scheduler samples nodes by order, and the tracker has none.
		object, err := client.Tracker().List(action.GetResource(), corev1.SchemeGroupVersion.WithKind("Node"), "")
		if list, ok := object.(*corev1.NodeList); ok {
			slices.SortFunc(list.Items, func(x, y corev1.Node) int { return cmp.Compare(index[x.Name], index[y.Name]) })
		}
		return true, object, err
	})
	client.PrependReactor("*", "pods", a.react)
	client.PrependWatchReactor("pods", func(action clienttesting.Action) (bool, watch.Interface, error) {
		begin, ok := action.(clienttesting.WatchAction)
		if !ok {
			return false, nil, nil
		}
		w, err := a.watch(begin.GetWatchRestrictions().ResourceVersion)
		if err != nil {
			return true, nil, err
		}
		return true, w, nil
	})
	return client, a
}

func podKey(namespace, name string) string { return namespace + "/" + name }

// store gives the pod the next version and keeps it. The caller must not change it any more.
func (a *api) store(pod *corev1.Pod) {
	a.version++
	pod.ResourceVersion = strconv.FormatInt(a.version, 10)
	a.pods[podKey(pod.Namespace, pod.Name)] = pod
}

// create adds a pod for the scheduler to place.
func (a *api) create(pod *corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pod = pod.DeepCopy()
	a.store(pod)
	a.notify(watch.Added, pod)
}

func (a *api) get(namespace, name string) *corev1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pods[podKey(namespace, name)]
}

func (a *api) react(action clienttesting.Action) (bool, runtime.Object, error) {
	switch verb, part := action.GetVerb(), action.GetSubresource(); {
	case verb == "list":
		return true, a.list(), nil
	case verb == "get", verb == "patch" && part == "status":
		// A simulation does not need the status that the scheduler writes, and each patch
		// would be sent to every watcher.
		named, ok := action.(interface{ GetName() string })
		if !ok {
			break
		}
		if pod := a.get(action.GetNamespace(), named.GetName()); pod != nil {
			return true, pod.DeepCopy(), nil
		}
		return true, nil, apierrors.NewNotFound(corev1.Resource("pods"), named.GetName())
	case verb == "create" && part == "binding":
		if create, ok := action.(clienttesting.CreateAction); ok {
			if binding, ok := create.GetObject().(*corev1.Binding); ok {
				return true, binding, a.bind(action.GetNamespace(), binding)
			}
		}
	}
	return true, nil, fmt.Errorf("the simulated API has no %s %s/%s", action.GetVerb(), action.GetResource().Resource, action.GetSubresource())
}

func (a *api) list() *corev1.PodList {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(a.version, 10)}}
	for _, pod := range a.pods {
		list.Items = append(list.Items, *pod.DeepCopy())
	}
	slices.SortFunc(list.Items, func(x, y corev1.Pod) int {
		return slices.Compare([]string{x.Namespace, x.Name}, []string{y.Namespace, y.Name})
	})
	return list
}

// bind handles a Binding as the API server does: it checks the preconditions, and sets node
// and annotations of the pod in one write.
func (a *api) bind(namespace string, binding *corev1.Binding) error {
	a.mu.Lock()
	pod := a.pods[podKey(namespace, binding.Name)]
	conflict := func(format string, args ...any) error {
		a.mu.Unlock()
		return apierrors.NewConflict(corev1.Resource("pods/binding"), binding.Name, fmt.Errorf(format, args...))
	}
	switch {
	case pod == nil:
		a.mu.Unlock()
		return apierrors.NewNotFound(corev1.Resource("pods"), binding.Name)
	case binding.UID != "" && binding.UID != pod.UID:
		return conflict("the UID is %s", pod.UID)
	case binding.ResourceVersion != "" && binding.ResourceVersion != pod.ResourceVersion:
		return conflict("the resource version is %s", pod.ResourceVersion)
	case pod.Spec.NodeName != "":
		return conflict("pod is on node %s already", pod.Spec.NodeName)
	}
	pod = pod.DeepCopy()
	pod.Spec.NodeName = binding.Target.Name
	for key, value := range binding.Annotations {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, key, value)
	}
	a.store(pod)
	a.notify(watch.Modified, pod)
	a.mu.Unlock()
	a.bound(pod)
	return nil
}

func (a *api) notify(event watch.EventType, pod *corev1.Pod) {
	for _, w := range a.watchers {
		w.send(watch.Event{Type: event, Object: pod})
	}
}

// podWatch is a watch that never fills up.
type podWatch struct {
	mu     sync.Mutex
	queue  []watch.Event
	wake   chan struct{}
	result chan watch.Event
	stop   chan struct{}
	once   sync.Once
}

// watch sends what has changed since a list of this version. No pod is ever deleted.
func (a *api) watch(from string) (*podWatch, error) {
	seen, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest("a watch of pods begins at the version of a list: " + err.Error())
	}
	w := &podWatch{wake: make(chan struct{}, 1), result: make(chan watch.Event), stop: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	missed := map[int64]*corev1.Pod{}
	for _, pod := range a.pods {
		if version, _ := strconv.ParseInt(pod.ResourceVersion, 10, 64); version > seen {
			missed[version] = pod
		}
	}
	for _, version := range slices.Sorted(maps.Keys(missed)) {
		w.send(watch.Event{Type: watch.Added, Object: missed[version]})
	}
	a.watchers = append(a.watchers, w)
	go w.run()
	return w, nil
}

func (w *podWatch) send(event watch.Event) {
	w.mu.Lock()
	w.queue = append(w.queue, event)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *podWatch) run() {
	defer close(w.result)
	for {
		select {
		case <-w.wake:
		case <-w.stop:
			return
		}
		w.mu.Lock()
		batch := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, event := range batch {
			select {
			case w.result <- event:
			case <-w.stop:
				return
			}
		}
	}
}

// ResultChan returns the events.
func (w *podWatch) ResultChan() <-chan watch.Event { return w.result }

// Stop ends the watch.
func (w *podWatch) Stop() { w.once.Do(func() { close(w.stop) }) }
