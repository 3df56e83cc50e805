package dedication

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	system       = "tenant-isolation-system"
	settleTime   = time.Second
	releaseAfter = 30 * time.Second
)

// server is an API server of nodes, pods and one ConfigMap. Unlike client-go's fake it
// guards writes by resourceVersion, filters pods by node, and can lose answers.
type server struct {
	mu      sync.Mutex
	version int
	table   *v1.ConfigMap
	nodes   map[string]*v1.Node
	pods    map[string]*v1.Pod
	// writes counts those that took effect, by resource.
	writes map[string]int
	calls  map[string]int
	// fault is called before each call, "update configmaps" for example, and returns what goes
	// wrong with it. It runs without the lock and may change the server.
	fault func(call string) fault
}

// fault is what goes wrong with one call.
type fault struct {
	// before fails the call before it takes effect, after afterwards.
	before, after error
	// then runs when the call has taken effect and is not answered yet.
	then func()
}

func newServer() *server {
	return &server{nodes: map[string]*v1.Node{}, pods: map[string]*v1.Pod{}, writes: map[string]int{}, calls: map[string]int{}}
}

func (s *server) client() *fake.Clientset {
	c := fake.NewClientset()
	c.PrependReactor("*", "*", func(action k8stesting.Action) (bool, runtime.Object, error) {
		call := action.GetVerb() + " " + action.GetResource().Resource
		s.mu.Lock()
		s.calls[call]++
		ask := s.fault
		s.mu.Unlock()
		var f fault
		if ask != nil {
			f = ask(call)
		}
		if f.before != nil {
			return true, nil, f.before
		}
		s.mu.Lock()
		object, err := s.serve(action)
		s.mu.Unlock()
		if f.then != nil {
			f.then()
		}
		if err == nil && f.after != nil {
			return true, nil, f.after
		}
		return true, object, err
	})
	return c
}

// onCall sets the function that is called before each call; nil removes it.
func (s *server) onCall(f func(call string) fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// writesOf returns how many writes of a resource took effect, of all if it is empty.
func (s *server) writesOf(resource string) int { return s.count(s.writes, resource) }

// callsOf returns how many calls such as "list pods" were made, all if it is empty.
func (s *server) callsOf(call string) int { return s.count(s.calls, call) }

func (s *server) count(of map[string]int, key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != "" {
		return of[key]
	}
	total := 0
	for _, n := range of {
		total += n
	}
	return total
}

// resetCounts sets the counts of writes and calls to zero.
func (s *server) resetCounts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.writes)
	clear(s.calls)
}

// data returns what is in the table, nil if there is none.
func (s *server) data() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table == nil {
		return nil
	}
	return s.table.Data
}

// editTable edits the table, as an administrator might.
func (s *server) editTable(change func(data map[string]string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = s.table.DeepCopy()
	change(s.table.Data)
	s.table.ResourceVersion = s.next()
}

// deleteTable deletes the table, as an administrator might.
func (s *server) deleteTable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = nil
}

// getNode returns a node, nil if there is none.
func (s *server) getNode(name string) *v1.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes[name]
}

// podsOn returns how many pods are bound to a node.
func (s *server) podsOn(node string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, pod := range s.pods {
		if pod.Spec.NodeName == node {
			n++
		}
	}
	return n
}

func (s *server) next() string {
	s.version++
	return strconv.Itoa(s.version)
}

func (s *server) serve(action k8stesting.Action) (runtime.Object, error) {
	resource := action.GetResource().GroupResource()
	switch a := action.(type) {
	case k8stesting.CreateActionImpl:
		if s.table != nil {
			return nil, apierrors.NewAlreadyExists(resource, TableName)
		}
		s.table = a.Object.(*v1.ConfigMap).DeepCopy()
		s.table.ResourceVersion = s.next()
		s.writes[resource.Resource]++
		return s.table.DeepCopy(), nil
	case k8stesting.UpdateActionImpl:
		wanted := a.Object.(*v1.ConfigMap).DeepCopy()
		if s.table == nil {
			return nil, apierrors.NewNotFound(resource, TableName)
		}
		if wanted.ResourceVersion != s.table.ResourceVersion {
			return nil, apierrors.NewConflict(resource, TableName, fmt.Errorf("version %s is not %s", wanted.ResourceVersion, s.table.ResourceVersion))
		}
		wanted.ResourceVersion = s.next()
		s.table = wanted
		s.writes[resource.Resource]++
		return s.table.DeepCopy(), nil
	case k8stesting.GetActionImpl:
		if resource.Resource == "configmaps" {
			if s.table == nil {
				return nil, apierrors.NewNotFound(resource, TableName)
			}
			return s.table.DeepCopy(), nil
		}
		if node := s.nodes[a.GetName()]; node != nil {
			return node.DeepCopy(), nil
		}
		return nil, apierrors.NewNotFound(resource, a.GetName())
	case k8stesting.PatchActionImpl:
		return s.patch(resource, a)
	case k8stesting.ListActionImpl:
		node := strings.TrimPrefix(a.GetListRestrictions().Fields.String(), "spec.nodeName=")
		list := &v1.PodList{}
		for _, key := range slices.Sorted(maps.Keys(s.pods)) {
			if pod := s.pods[key]; pod.Spec.NodeName == node {
				list.Items = append(list.Items, *pod.DeepCopy())
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("no such call here: %T", action)
}

func (s *server) patch(resource schema.GroupResource, a k8stesting.PatchActionImpl) (runtime.Object, error) {
	node := s.nodes[a.GetName()]
	if node == nil {
		return nil, apierrors.NewNotFound(resource, a.GetName())
	}
	var p struct {
		Metadata struct {
			ResourceVersion     string
			Labels, Annotations map[string]*string
		}
		Spec struct{ Taints []v1.Taint }
	}
	if err := json.Unmarshal(a.GetPatch(), &p); err != nil {
		return nil, err
	}
	if p.Metadata.ResourceVersion != node.ResourceVersion {
		return nil, apierrors.NewConflict(resource, node.Name, fmt.Errorf("version %s is not %s", p.Metadata.ResourceVersion, node.ResourceVersion))
	}
	node = node.DeepCopy()
	node.Labels = merged(node.Labels, p.Metadata.Labels)
	node.Annotations = merged(node.Annotations, p.Metadata.Annotations)
	node.Spec.Taints = p.Spec.Taints
	node.ResourceVersion = s.next()
	s.nodes[node.Name] = node
	s.writes[resource.Resource]++
	return node.DeepCopy(), nil
}

func merged(values map[string]string, patch map[string]*string) map[string]string {
	out := maps.Clone(values)
	if out == nil {
		out = map[string]string{}
	}
	for key, value := range patch {
		if value == nil {
			delete(out, key)
		} else {
			out[key] = *value
		}
	}
	return out
}

// world is a server and what its processes share. It lives in a synctest bubble: time passes
// when all goroutines wait.
type world struct {
	*server
	t      *testing.T
	policy atomic.Pointer[isolation.Policy]
}

// inWorld runs a test in a bubble, in which the clock is virtual.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		policy, err := isolation.NewPolicy(isolation.Config{
			DataClasses:        []string{"public", "secret"},
			SeparateBy:         isolation.Axes(),
			BoundaryByHandler:  map[string]isolation.Boundary{"kata": isolation.BoundaryVM},
			MinimumBoundary:    isolation.BoundaryVM,
			PlatformNamespaces: []string{"kube-system"},
		})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{server: newServer(), t: t}
		w.policy.Store(policy)
		test(w)
	})
}

func (w *world) node(name string, change ...func(*v1.Node)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid of " + name)}}
	node.Status.NodeInfo.BootID = "first boot of " + name
	if old := w.nodes[name]; old != nil {
		node = old.DeepCopy()
	}
	for _, c := range change {
		c(node)
	}
	node.ResourceVersion = w.next()
	w.nodes[name] = node
}

// deleteNode deletes the node n1, which these tests are about.
func (w *world) deleteNode() {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.nodes, "n1")
}

// pod makes a pod of the tenant, an unmanaged one if it is empty.
func (w *world) pod(name, tenant string, change ...func(*v1.Pod)) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "of " + tenant, Name: name, UID: types.UID("uid of " + name), Labels: map[string]string{"of": tenant},
	}}
	for _, c := range change {
		c(pod)
	}
	return pod
}

func inVM(pod *v1.Pod) { pod.Spec.RuntimeClassName = new(string); *pod.Spec.RuntimeClassName = "kata" }

func privileged(pod *v1.Pod) { pod.Labels["privileged"] = "true" }

func platform(pod *v1.Pod) { pod.Namespace = "kube-system" }

// bindPod binds the pod at the server, without the fence.
func (w *world) bindPod(pod *v1.Pod, node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pod = pod.DeepCopy()
	pod.Spec.NodeName = node
	w.pods[string(pod.UID)] = pod
}

func (w *world) removePod(pod *v1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pods, string(pod.UID))
}

func (w *world) Subject(pod *v1.Pod) isolation.Subject {
	facts := isolation.Pod{Privilege: isolation.PrivilegeRestricted, Namespace: &isolation.Namespace{Name: pod.Namespace}}
	if tenant := pod.Labels["of"]; tenant != "" && pod.Namespace != "kube-system" {
		facts.Namespace.Labels = map[string]string{isolation.TenantLabel: tenant}
	}
	if pod.Labels["privileged"] != "" {
		facts.Privilege = isolation.PrivilegePrivileged
	}
	if pod.Spec.RuntimeClassName != nil {
		facts.RuntimeClass, facts.RuntimeClassFound, facts.Handler = "kata", true, "kata"
	}
	return w.policy.Load().Resolve(facts)
}

func (w *world) subject(pod *v1.Pod) *isolation.Subject {
	s := w.Subject(pod)
	return &s
}

// view is one process with its Cluster: what its informer has seen, which is everything
// unless it is held back.
type view struct {
	*world
	engine *Engine
	mu     sync.Mutex
	// unseen are the pods that the informer has not seen.
	unseen  map[types.UID]bool
	assumed map[types.UID]*v1.Pod
	changed map[string]int
	ready   int
	// stale are nodes as the informer still has them.
	stale map[string]*v1.Node
	// plain: there is a node for containers that cannot start pods in VMs.
	plain bool
	// local are the tenants with data on the disks of each node.
	local map[string][]string
}

// freeze keeps the informer from seeing further changes of a node, thaw lets it see them.
func (v *view) freeze(name string) {
	node := v.getNode(name)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stale = map[string]*v1.Node{name: node}
}

func (v *view) thaw() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stale = nil
}

func (v *view) Nodes() []*v1.Node {
	v.server.mu.Lock()
	defer v.server.mu.Unlock()
	return slices.Collect(maps.Values(v.nodes))
}

func (v *view) Node(name string) (*v1.Node, bool) {
	v.mu.Lock()
	stale := v.stale[name]
	v.mu.Unlock()
	if stale != nil {
		return stale, true
	}
	v.server.mu.Lock()
	defer v.server.mu.Unlock()
	node, ok := v.nodes[name]
	return node, ok
}

func (v *view) Occupancy(name string) isolation.Occupancy {
	var residents []isolation.Resident
	for _, pod := range v.PodsOn(name) {
		residents = append(residents, isolation.Resident{UID: string(pod.UID), Subject: v.Subject(pod)})
	}
	return isolation.NewOccupancy(residents)
}

func (v *view) DedicationOf(node *v1.Node) (isolation.Dedication, bool) {
	var taints []isolation.Taint
	for _, taint := range node.Spec.Taints {
		taints = append(taints, isolation.Taint{Key: taint.Key, Value: taint.Value})
	}
	return v.policy.Load().ParseDedication(taints)
}

func (v *view) Knows(pod *v1.Pod) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.unseen[pod.UID]
}

func (v *view) setSeen(pod *v1.Pod, seen bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unseen[pod.UID] = !seen
}

func (v *view) NodeCount() int {
	v.server.mu.Lock()
	defer v.server.mu.Unlock()
	return len(v.nodes)
}

func (v *view) HasPlainNodeFor(*v1.Pod) bool { return v.plain }

func (v *view) LocalTenants(node string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.local[node]
}

func (v *view) Policy() *isolation.Policy { return v.policy.Load() }

func (v *view) PodsOn(name string) []*v1.Pod {
	v.mu.Lock()
	on := map[types.UID]*v1.Pod{}
	for uid, pod := range v.assumed {
		if pod.Spec.NodeName == name {
			on[uid] = pod
		}
	}
	v.mu.Unlock()
	v.server.mu.Lock()
	defer v.server.mu.Unlock()
	for _, pod := range v.pods {
		if pod.Spec.NodeName == name && v.Knows(pod) {
			on[pod.UID] = pod
		}
	}
	return slices.Collect(maps.Values(on))
}

func (v *view) Judge(pod *v1.Pod) isolation.Subject { return v.Subject(pod) }

func (v *view) DedicationChanged(node string, before, after cluster.Dedicated) {
	if now := v.engine.Dedicated(node); before.Equal(after) { // which must not deadlock
		v.t.Errorf("node %s: a change from %v to %v was reported; now it is %v", node, before, after, now)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changed[node]++
}

func (v *view) becameReady() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ready++
}

// process starts a scheduler process that does not lead yet. It ends with the test, or by stop.
func (w *world) process(change ...func(*Config)) (p *view, stop func()) {
	w.t.Helper()
	cfg := Config{Namespace: system, Settings: Settings{
		Enabled: true, TaintEffect: v1.TaintEffectNoSchedule,
		SettleTime: settleTime, ReleaseAfter: releaseAfter, NodeReuse: ReuseImmediately,
	}}
	for _, c := range change {
		c(&cfg)
	}
	logger, ctx := ktesting.NewTestContext(w.t)
	p = &view{world: w, unseen: map[types.UID]bool{}, assumed: map[types.UID]*v1.Pod{}, changed: map[string]int{}}
	cfg.OnReady = p.becameReady
	p.engine = New(w.client(), p, cfg, clock.RealClock{}, logger)
	engine := p.engine
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		engine.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	w.t.Cleanup(stop)
	return p, stop
}

// leader starts a process that leads, and waits until it has taken over.
func (w *world) leader(change ...func(*Config)) *view {
	w.t.Helper()
	p, _ := w.process(change...)
	p.lead()
	return p
}

// openedBefore adds node n1, which acme's pod opened under a process that has stopped, and returns the pod.
func (w *world) openedBefore() *v1.Pod {
	w.t.Helper()
	w.node("n1")
	p, stop := w.process()
	p.lead()
	pod := p.open()
	stop()
	return pod
}

func (v *view) lead() {
	v.t.Helper()
	v.engine.Lead()
	v.sleep(settleTime)
	if !v.engine.Ready() {
		v.t.Fatal("not ready a settle time after Lead")
	}
}

// sleep lets virtual time pass, and waits for what is due then.
func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// mustReserve reserves node n1 for the pod.
func (v *view) mustReserve(pod *v1.Pod) {
	v.t.Helper()
	if err := v.engine.Reserve(pod, "n1", v.subject(pod)); err != nil {
		v.t.Fatal(err)
	}
}

// mustPlace places the pod.
func (v *view) mustPlace(pod *v1.Pod, node string) {
	v.t.Helper()
	if err := v.place(pod, node); err != nil {
		v.t.Fatal(err)
	}
}

// place does what the scheduler does with a pod that Filter has admitted.
func (v *view) place(pod *v1.Pod, node string) error {
	return v.placeAs(pod, node, OutcomeKnown)
}

func (v *view) placeAs(pod *v1.Pod, node string, outcome Outcome) error {
	subject := v.subject(pod)
	if err := v.engine.Reserve(pod, node, subject); err != nil {
		return err
	}
	err := v.engine.Ensure(v.t.Context(), pod, node, subject)
	if err == nil {
		err = v.bind(pod, node)
	}
	if outcome == OutcomeUnknown {
		v.engine.Release(pod.UID, node, outcome)
	}
	v.engine.Release(pod.UID, node, OutcomeKnown)
	return err
}

// bind binds the pod with the engine's token, if the fence lets it.
func (v *view) bind(pod *v1.Pod, node string) error {
	token, ok := v.engine.Token(node)
	if !ok {
		return fmt.Errorf("no token for %s", node)
	}
	return v.world.bindWith(token, pod, node)
}

func (w *world) bindWith(token string, pod *v1.Pod, node string) error {
	term, id, _ := strings.Cut(token, "-")
	w.mu.Lock()
	data := map[string]string{}
	if w.table != nil {
		data = w.table.Data
	}
	admitted := data[termKey] == term && strings.Contains(data[tableKey(node)], " "+node+"="+id+":")
	w.mu.Unlock()
	if !admitted {
		return fmt.Errorf("the fence refuses %s on %s", token, node)
	}
	w.bindPod(pod, node)
	return nil
}

// taints returns the dedication's taints of a node, as key=value:effect.
func (w *world) taints(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, taint := range w.nodes[name].Spec.Taints {
		out = append(out, taint.ToString())
	}
	return strings.Join(out, " ")
}

// entryOf returns a node's entry in the table, and whether it has one.
func (w *world) entryOf(name string) (entry, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.table == nil {
		return entry{}, false
	}
	t, damage := parseTable(w.table.Data)
	if len(damage) > 0 {
		w.t.Fatal(damage)
	}
	e, ok := t.entries[name]
	return e, ok
}

func (w *world) dedicated(name string) bool {
	_, entered := w.entryOf(name)
	tainted := strings.Contains(w.taints(name), "tenantisolation.dev/")
	if entered != tainted {
		w.t.Errorf("node %s: entry %t, taints %t", name, entered, tainted)
	}
	return entered
}
