// Package dedication tests the dedication engine against a real kube-apiserver: what it writes,
// how it gets along with other writers of the same objects, and what outlives its process. There
// are no kubelets and no scheduler: the test does their part.
package dedication

import (
	"context"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/transport"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	system       = "tenant-isolation-system"
	settleTime   = 200 * time.Millisecond
	releaseAfter = 300 * time.Millisecond
	// patience is the deadline of all that the tests wait for.
	patience = time.Minute
)

// environment is a control plane with an administrator's client.
type environment struct {
	t      *testing.T
	plane  *controlplane.ControlPlane
	api    *kubernetes.Clientset
	policy *isolation.Policy
}

func startEnvironment(t *testing.T) *environment {
	t.Helper()
	w := &environment{t: t, plane: controlplanetest.Start(t, controlplane.Options{})}
	var err error
	if w.api, err = w.plane.Client(); err != nil {
		t.Fatal(err)
	}
	w.policy, err = isolation.NewPolicy(isolation.Config{
		SeparateBy: isolation.Axes(), MinimumBoundary: isolation.BoundaryVM,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{system, "acme", "bolt"} {
		_, err := w.api.CoreV1().Namespaces().Create(t.Context(), &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// node makes a Node as a kubelet would.
func (w *environment) node(name string, taints ...v1.Taint) {
	w.t.Helper()
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.NodeSpec{Taints: taints}}
	if _, err := w.api.CoreV1().Nodes().Create(w.t.Context(), node, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.boot(name, "first boot of "+name)
}

// boot has a node report that it was started.
func (w *environment) boot(name, id string) {
	w.t.Helper()
	node := w.get(name)
	node.Status.NodeInfo.BootID = id
	if _, err := w.api.CoreV1().Nodes().UpdateStatus(w.t.Context(), node, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *environment) get(name string) *v1.Node {
	w.t.Helper()
	node, err := w.api.CoreV1().Nodes().Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return node
}

// dedicated returns whether a node has the taints of a dedication, and the value of the table with
// its entry.
func (w *environment) dedicated(name string) (tainted bool, table string) {
	w.t.Helper()
	for _, taint := range w.get(name).Spec.Taints {
		tainted = tainted || taint.Key == isolation.TenantTaint
	}
	found, err := w.api.CoreV1().ConfigMaps(system).Get(w.t.Context(), dedication.TableName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return tainted, ""
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return tainted, found.Data[name[len(name)-2:]]
}

// eventually waits until the condition holds.
func (w *environment) eventually(what string, holds func() bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return holds(), nil
	})
	if err != nil {
		w.t.Fatalf("%s: not within %v", what, patience)
	}
}

// free waits until the node has neither taints nor an entry.
func (w *environment) free(name string) {
	w.t.Helper()
	w.eventually(name+" is released", func() bool {
		tainted, table := w.dedicated(name)
		return !tainted && table == ""
	})
}

// pod makes a pending pod of a tenant. Its namespace has the tenant's name.
func (w *environment) pod(tenant, name string) *v1.Pod {
	w.t.Helper()
	pod, err := w.api.CoreV1().Pods(tenant).Create(w.t.Context(), &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1.PodSpec{
			Containers:                    []v1.Container{{Name: "main", Image: "example.com/app"}},
			TerminationGracePeriodSeconds: ptr.To[int64](0),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pod
}

func (w *environment) bind(pod *v1.Pod, node string) error {
	return w.api.CoreV1().Pods(pod.Namespace).Bind(w.t.Context(), &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     v1.ObjectReference{Kind: "Node", Name: node},
	}, metav1.CreateOptions{})
}

func (w *environment) remove(pod *v1.Pod) {
	w.t.Helper()
	if err := w.api.CoreV1().Pods(pod.Namespace).Delete(w.t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *environment) Subject(pod *v1.Pod) isolation.Subject {
	return w.policy.Resolve(isolation.Pod{
		Privilege: isolation.PrivilegeRestricted,
		Namespace: &isolation.Namespace{Name: pod.Namespace, Labels: map[string]string{"tenantisolation.dev/tenant": pod.Namespace}},
	})
}

// process is a scheduler process, as far as dedication is concerned.
type process struct {
	*environment
	engine *dedication.Engine
	nodes  cache.Store
	pods   cache.Indexer
	// stop ends it without cleaning up.
	stop func()

	mu     sync.Mutex
	writes map[string]int
}

var _ dedication.Cluster = &process{}

// HasPlainNodeFor and LocalTenants are of no account here: all nodes are alike, and have no disks.
func (p *process) HasPlainNodeFor(*v1.Pod) bool { return false }
func (p *process) LocalTenants(string) []string { return nil }

// start starts a process that leads and has taken over.
func (w *environment) start(change ...func(*dedication.Config)) *process {
	w.t.Helper()
	p := w.standby(change...)
	p.engine.Lead()
	w.eventually("takeover", p.engine.Ready)
	return p
}

func (w *environment) standby(change ...func(*dedication.Config)) *process {
	w.t.Helper()
	cfg := dedication.Config{
		Namespace: system, Settings: dedication.Settings{
			Enabled: true, TaintEffect: v1.TaintEffectNoSchedule,
			SettleTime: settleTime, ReleaseAfter: releaseAfter, NodeReuse: dedication.ReuseImmediately,
			LabelledNodes: labels.Everything(),
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	p := &process{environment: w, writes: map[string]int{}}
	config := w.plane.Admin()
	config.QPS, config.Burst = 1000, 1000
	config.Wrap(transport.WrapperFunc(p.count))
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		w.t.Fatal(err)
	}
	logger, ctx := ktesting.NewTestContext(w.t)
	ctx, cancel := context.WithCancel(ctx)

	factory := informers.NewSharedInformerFactory(client, 0)
	nodes, pods := factory.Core().V1().Nodes().Informer(), factory.Core().V1().Pods().Informer()
	if err := pods.AddIndexers(cache.Indexers{"node": func(obj any) ([]string, error) {
		return []string{obj.(*v1.Pod).Spec.NodeName}, nil
	}}); err != nil {
		w.t.Fatal(err)
	}
	p.nodes, p.pods = nodes.GetStore(), pods.GetIndexer()
	p.engine = dedication.New(client, p, cfg, clock.RealClock{}, logger)
	notify := func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		switch o := obj.(type) {
		case *v1.Node:
			p.engine.NodeChanged(o.Name)
		case *v1.Pod:
			p.engine.NodeChanged(o.Spec.NodeName)
		}
	}
	for _, informer := range []cache.SharedIndexInformer{nodes, pods} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: notify, UpdateFunc: func(_, after any) { notify(after) }, DeleteFunc: notify,
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.engine.Run(ctx)
	}()
	p.stop = func() {
		cancel()
		<-ended
		factory.Shutdown()
	}
	w.t.Cleanup(p.stop)
	return p
}

func (p *process) Nodes() []*v1.Node {
	var nodes []*v1.Node
	for _, obj := range p.nodes.List() {
		nodes = append(nodes, obj.(*v1.Node))
	}
	return nodes
}

func (p *process) Node(name string) (*v1.Node, bool) {
	obj, ok, err := p.nodes.GetByKey(name)
	if !ok || err != nil {
		return nil, false
	}
	return obj.(*v1.Node), true
}

func (p *process) Occupancy(node string) isolation.Occupancy {
	var residents []isolation.Resident
	for _, pod := range p.PodsOn(node) {
		residents = append(residents, isolation.Resident{UID: string(pod.UID), Subject: p.Subject(pod)})
	}
	return isolation.NewOccupancy(residents)
}

func (p *process) Policy() *isolation.Policy { return p.policy }

func (p *process) PodsOn(node string) []*v1.Pod {
	objs, err := p.pods.ByIndex("node", node)
	if err != nil {
		panic(err)
	}
	var pods []*v1.Pod
	for _, obj := range objs {
		pods = append(pods, obj.(*v1.Pod))
	}
	return pods
}

func (p *process) DedicationOf(node *v1.Node) (isolation.Dedication, bool) {
	var taints []isolation.Taint
	for _, taint := range node.Spec.Taints {
		taints = append(taints, isolation.Taint{Key: taint.Key, Value: taint.Value})
	}
	return p.policy.ParseDedication(taints)
}

func (p *process) Knows(pod *v1.Pod) bool {
	obj, ok, err := p.pods.GetByKey(pod.Namespace + "/" + pod.Name)
	return err == nil && ok && obj.(*v1.Pod).Spec.NodeName != ""
}

func (p *process) NodeCount() int { return len(p.nodes.ListKeys()) }

func (p *process) Judge(pod *v1.Pod) isolation.Subject { return p.Subject(pod) }

func (p *process) DedicationChanged(string, cluster.Dedicated, cluster.Dedicated) {}

// place does what the scheduler does with a pod that Filter has admitted.
func (p *process) place(pod *v1.Pod, node string) error {
	subject := p.Subject(pod)
	if err := p.engine.Reserve(pod, node, &subject); err != nil {
		return err
	}
	defer p.engine.Release(pod.UID, node, dedication.OutcomeKnown)
	if err := p.engine.Ensure(p.t.Context(), pod, node, &subject); err != nil {
		return err
	}
	if err := p.bind(pod, node); err != nil {
		return err
	}
	p.eventually("the informer sees the pod", func() bool { return p.Knows(pod) })
	return nil
}
