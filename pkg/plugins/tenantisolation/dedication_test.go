package tenantisolation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// fakeEngine dedicates in memory what the test says, and reports each change before it
// returns.
type fakeEngine struct {
	// mu is for Ensure, which several pods call at once.
	mu       sync.Mutex
	world    *world
	ready    bool
	leads    int
	touched  []string
	nodes    map[string]isolation.Dedication
	openedBy map[string]string
	limit    int
	limited  map[string]bool
	denied   map[string]bool
	closing  map[string]bool
	held     map[string]bool
	ensure   error
	leases   map[string]int
	released []string
}

// dedicating gives the world an engine.
func (w *world) dedicating() *fakeEngine {
	e := &fakeEngine{
		world: w, ready: true, limit: 100,
		nodes: map[string]isolation.Dedication{}, openedBy: map[string]string{}, limited: map[string]bool{}, denied: map[string]bool{},
		closing: map[string]bool{}, held: map[string]bool{}, leases: map[string]int{},
	}
	w.pl.dedicator = e
	w.store.DedicatedBy(e)
	return e
}

func (e *fakeEngine) Lead()                   { e.leads++ }
func (e *fakeEngine) Ready() bool             { return e.ready }
func (e *fakeEngine) NodeChanged(node string) { e.touched = append(e.touched, node) }

func (e *fakeEngine) Dedicated(node string) cluster.Dedicated {
	to, ok := e.nodes[node]
	if !ok {
		return cluster.Dedicated{}
	}
	return cluster.Dedicated{Dedication: to, Dedicated: true, Charged: []string{e.openedBy[node]}}
}

func (e *fakeEngine) mayOpen(tenant string) bool {
	opened := 0
	for by := range maps.Values(e.openedBy) {
		if by == tenant {
			opened++
		}
	}
	return opened < e.limit
}

func (e *fakeEngine) Confine(pod *v1.Pod, subject isolation.Subject, wait bool) isolation.Subject {
	if e.world.store.HasPlainNodeFor(pod) {
		subject = subject.AvoidingVMNodes()
	}
	domain, ok := subject.TrustDomain()
	if !ok || e.mayOpen(domain.Tenant) {
		return subject
	}
	if wait {
		e.limited[domain.Tenant] = true
	}
	return subject.Confined()
}

func (e *fakeEngine) KeepsVMNodes() bool { return true }

func (e *fakeEngine) TenantsBelowLimit() map[string]bool {
	tenants := map[string]bool{}
	for tenant := range e.limited {
		if e.mayOpen(tenant) {
			tenants[tenant] = true
			delete(e.limited, tenant)
		}
	}
	return tenants
}

func (e *fakeEngine) Homes(subject *isolation.Subject, most int) []string {
	own, ok := subject.Dedication()
	var homes []string
	for _, node := range slices.Sorted(maps.Keys(e.nodes)) {
		if ok && e.nodes[node] == own && len(homes) < most {
			homes = append(homes, node)
		}
	}
	return homes
}

func (e *fakeEngine) Reserve(pod *v1.Pod, node string, subject *isolation.Subject) error {
	own, ok := subject.Dedication()
	to, dedicated := e.nodes[node]
	domain, _ := subject.TrustDomain()
	switch {
	case !ok:
		return nil
	case !e.ready:
		return dedication.ErrNotReady
	case e.closing[node] || dedicated && !to.Admits(subject):
		e.denied[node] = true
		return dedication.ErrDedicated
	case !dedicated && !e.mayOpen(domain.Tenant):
		e.limited[domain.Tenant] = true
		return dedication.ErrTooManyNodes
	case !dedicated:
		e.open(node, own, domain.Tenant)
	}
	e.leases[string(pod.UID)+" on "+node]++
	return nil
}

func (e *fakeEngine) ReadyToBind(_ types.UID, node string) bool { return e.held[node] }

func (e *fakeEngine) Ensure(_ context.Context, _ *v1.Pod, node string, _ *isolation.Subject) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[node] = e.ensure == nil
	return e.ensure
}

func (e *fakeEngine) Token(node string) (string, bool) { return "term-" + node, e.held[node] }

func (e *fakeEngine) Release(uid types.UID, node string, outcome dedication.Outcome) {
	key := string(uid) + " on " + node
	if e.leases[key] == 0 {
		return
	}
	delete(e.leases, key)
	e.released = append(e.released, fmt.Sprintf("%s, known %t", key, outcome == dedication.OutcomeKnown))
}

// change changes a node's dedication and reports it.
func (e *fakeEngine) change(node string, change func()) {
	before := e.Dedicated(node)
	change()
	if e.denied[node] {
		before = cluster.Dedicated{Dedicated: true}
		delete(e.denied, node)
	}
	e.world.store.DedicationChanged(node, before, e.Dedicated(node))
}

// open dedicates a node.
func (e *fakeEngine) open(node string, to isolation.Dedication, tenant string) {
	e.change(node, func() { e.nodes[node], e.openedBy[node] = to, tenant })
}

// free releases a node.
func (e *fakeEngine) free(node string) {
	e.change(node, func() {
		delete(e.nodes, node)
		delete(e.openedBy, node)
		delete(e.closing, node)
		delete(e.held, node)
	})
}

// dedicateFor dedicates a node as Reserve would for the pod.
func (w *world) dedicateFor(e *fakeEngine, node string, pod *v1.Pod) {
	w.t.Helper()
	subject := w.subject(pod)
	own, ok := subject.Dedication()
	if !ok {
		w.t.Fatalf("%s opens no node", cluster.PodKey(pod))
	}
	domain, _ := subject.TrustDomain()
	e.open(node, own, domain.Tenant)
}

func (w *world) reserve(pod *v1.Pod, node string) *fwk.Status {
	w.t.Helper()
	return w.pl.Reserve(w.t.Context(), framework.NewCycleState(), pod, node)
}

func TestFilterSeesADedicationAtOnce(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	red, blue := w.add(w.pod("red", "p")), w.add(w.pod("blue", "p"))
	if !w.admits(red, "n1") || !w.admits(blue, "n1") {
		t.Fatal("a free node denies")
	}
	w.dedicateFor(e, "n1", red)
	if !w.admits(red, "n1") || w.admits(blue, "n1") {
		t.Errorf("dedicated to red: admits red %t, blue %t", w.admits(red, "n1"), w.admits(blue, "n1"))
	}
	e.free("n1")
	if !w.admits(blue, "n1") {
		t.Error("released, and blue is denied")
	}
	if got := w.woken(); !slices.Equal(got, []string{"blue/p"}) {
		t.Errorf("woken %v, want blue's pod by the release alone", got)
	}
}

func TestTakingOver(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	e.ready = false
	pod := w.add(w.pod("red", "p"))
	if got := sentence(w.filter(pod, "n1")); got != isolation.TakingOver || e.leads == 0 {
		t.Errorf("got %s, notified %d times that it leads", got, e.leads)
	}
	if agent := w.add(w.pod("kube-system", "p")); !w.admits(agent, "n1") {
		t.Error("a platform pod waits")
	}
	e.ready = true
	w.pl.WakeAll("taken over")
	if got := w.woken(); !slices.Contains(got, "red/p") {
		t.Errorf("woken %v", got)
	}
	if !w.admits(pod, "n1") {
		t.Error("taken over, and the pod is denied")
	}
}

// The framework reserves a copy of the pod that is on the node already. If the store does not know the pod yet, it opens the
// node that Filter judged it for all the same.
func TestReserveOfAPodThatTheStoreDoesNotKnow(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	w.node("kata1", "", "kata-qemu")
	w.boundPVC("red", csi)
	pod := w.pod("red", "vm", class("kata"), mountsData)
	want, _ := ptr.To(w.subject(pod)).Dedication()
	assumed := pod.DeepCopy()
	assumed.Spec.NodeName = "kata1"
	if status := w.pl.Reserve(t.Context(), framework.NewCycleState(), assumed, "kata1"); !status.IsSuccess() {
		t.Fatal(status)
	}
	if got := e.nodes["kata1"]; got != want {
		t.Errorf("opened as %s, want %s", got, want)
	}
}

func TestReserveRefusedByTheEngine(t *testing.T) {
	for name, tc := range map[string]struct {
		refuse func(*fakeEngine)
		want   string
	}{
		"the node is being released": {func(e *fakeEngine) { e.closing["n1"] = true }, isolation.ForeignResident.Sentence()},
		"the tenant has its nodes":   {func(e *fakeEngine) { e.limit = 0 }, isolation.NodeLimit.Sentence()},
		"the leader is deposed":      {func(e *fakeEngine) { e.ready = false }, isolation.TakingOver.Sentence()},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			e := w.dedicating()
			pod := w.add(w.pod("red", "p"))
			tc.refuse(e)
			if got := w.reserve(pod, "n1"); got.Message() != tc.want || got.Code() != fwk.UnschedulableAndUnresolvable {
				t.Errorf("got %v, want %s", got, tc.want)
			}
			if on := w.store.Occupancy("n1"); !on.Empty() {
				t.Error("the pod is taken to be on the node")
			}
			if got := w.woken(); len(got) > 0 {
				t.Errorf("woken %v at once: it would be refused again and again", got)
			}
			e.limit, e.ready = 100, true
			e.free("n1")
			w.pl.WakeAll("taken over")
			if got := w.woken(); !slices.Equal(got, []string{"red/p"}) {
				t.Errorf("woken %v when what stood in its way has gone", got)
			}
		})
	}
}

func TestNodeLimit(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	w.node("n2")
	e.limit = 1
	w.dedicateFor(e, "n2", w.add(w.pod("red", "first")))
	pod := w.add(w.pod("red", "p"))
	w.woken()
	if got := sentence(w.filter(pod, "n1")); got != isolation.NodeLimit {
		t.Errorf("got %s", got)
	}
	if !w.admits(pod, "n2") {
		t.Error("its own node denies it")
	}
	if blue := w.add(w.pod("blue", "p")); !w.admits(blue, "n1") {
		t.Error("another tenant is denied a free node")
	}
	// A node that comes raises a limit in percent.
	e.limit = 2
	w.node("n3")
	if got := w.woken(); !slices.Contains(got, "red/p") || slices.Contains(got, "blue/p") {
		t.Errorf("woken %v by a higher limit", got)
	}
	if got := w.store.NodeCount(); got != len(w.nodes) {
		t.Errorf("%d nodes are counted, want %d", got, len(w.nodes))
	}
}

func TestPreBind(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	e.held["n1"] = true
	flight := func(pod *v1.Pod, node string) fwk.Code {
		result, status := w.pl.PreBindPreFlight(t.Context(), framework.NewCycleState(), pod, node)
		if status.IsSuccess() && result.AllowParallel {
			t.Error("beside other plugins")
		}
		return status.Code()
	}
	w.node("n2")
	red, agent := w.add(w.pod("red", "p")), w.add(w.pod("kube-system", "p"))
	got := []fwk.Code{flight(red, "n1"), flight(red, "n2"), flight(agent, "n2")}
	if diff := cmp.Diff([]fwk.Code{fwk.Skip, fwk.Success, fwk.Skip}, got); diff != "" {
		t.Errorf("on a held node, on another, of the platform (-want +got):\n%s", diff)
	}
	w.pl.dedicator = NoDedication{}
	if got := flight(red, "n2"); got != fwk.Skip {
		t.Errorf("without dedication: %s", got)
	}
}

// What a tenant reads names no other tenant.
func TestPreBindErrors(t *testing.T) {
	for name, tc := range map[string]struct{ err, want error }{
		"another pod came":   {fmt.Errorf("node n1: pod blue/p: %w", dedication.ErrTaken), errNodeTaken},
		"it is dedicated":    {fmt.Errorf("node n1: %w", dedication.ErrDedicated), errNodeTaken},
		"it was deposed":     {fmt.Errorf("term x: %w", dedication.ErrNotReady), errNotTakenOver},
		"the API server did": {apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "n1", errors.New("no")), errNotDedicated},
		"nothing":            {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			w.dedicating().ensure = tc.err
			status := w.pl.PreBind(t.Context(), framework.NewCycleState(), w.add(w.pod("red", "p")), "n1")
			if got := status.AsError(); !errors.Is(got, tc.want) || (got == nil) != (tc.want == nil) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// Another scheduler's pod is bound while the node is being dedicated: the pod was placed without
// it, and fits no more.
func TestPreBindCountsWhoCameMeanwhile(t *testing.T) {
	asking := func(cpu string) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.Spec.Containers = []v1.Container{{Name: "app", Resources: v1.ResourceRequirements{
				Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), "example.com/elsewhere": resource.MustParse("1")},
			}}}
		}
	}
	for name, tc := range map[string]struct {
		came, assumed string
		want          error
	}{
		"nobody":                           {},
		"one beside whom the pod fits":     {came: "23"},
		"one beside whom the pod does not": {came: "25", want: errNoRoom},
		"one that is about to be bound":    {assumed: "25", want: errNoRoom},
		"two that fill it together":        {came: "20", assumed: "5", want: errNoRoom},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			w.dedicating()
			pod := w.add(w.pod("red", "p", asking("40")))
			w.store.Assume(w.store.Rules(), pod, "n1")
			if tc.came != "" {
				w.set(w.pod("red", "came", on("n1"), asking(tc.came)))
			}
			if tc.assumed != "" {
				w.store.Assume(w.store.Rules(), w.add(w.pod("red", "assumed", asking(tc.assumed))), "n1")
			}
			status := w.pl.PreBind(t.Context(), framework.NewCycleState(), pod, "n1")
			if got := status.AsError(); !errors.Is(got, tc.want) || (got == nil) != (tc.want == nil) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// Of several pods that wait for a node on which another came, only as many leave as have no room.
func TestPreBindKeepsWhoHasRoom(t *testing.T) {
	w := tenants(t)
	w.dedicating()
	asking := func(cpu string) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.Spec.Containers = []v1.Container{{Name: "app", Resources: v1.ResourceRequirements{
				Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu)},
			}}}
		}
	}
	w.set(w.pod("red", "came", on("n1"), asking("5")))
	var waiting []*v1.Pod
	for i := range 4 {
		pod := w.add(w.pod("red", fmt.Sprint("p", i), asking("15")))
		w.store.Assume(w.store.Rules(), pod, "n1")
		waiting = append(waiting, pod)
	}
	var stayed atomic.Int32
	var group sync.WaitGroup
	for _, pod := range waiting {
		group.Go(func() {
			if w.pl.PreBind(t.Context(), framework.NewCycleState(), pod, "n1").IsSuccess() {
				stayed.Add(1)
			}
		})
	}
	group.Wait()
	if got := stayed.Load(); got != 3 {
		t.Errorf("%d of 4 stay, want 3: the node has 64 processors, which hold 5 and three times 15", got)
	}
}

func TestBindToken(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	pod := w.add(w.pod("red", "p"))
	bound := w.apiServer(pod)
	if status := w.bind(t.Context(), pod); status.IsSuccess() || len(*bound) != 0 {
		t.Fatalf("bound %v to a node that is not held: %v", *bound, status)
	}
	w.reserve(pod, "n1")
	e.held["n1"] = true
	if status := w.bind(t.Context(), pod); !status.IsSuccess() {
		t.Fatal(status)
	}
	if got := (*bound)[0].Annotations[dedication.TokenAnnotation]; got != "term-n1" {
		t.Errorf("got the token %q", got)
	}
	if diff := cmp.Diff([]string{"red/p on n1, known true"}, e.released); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
}

func TestOutcomeOf(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for name, tc := range map[string]struct {
		err   error
		known bool
	}{
		"it was done":                        {nil, true},
		"it was never sent":                  {errNodeTaken, true},
		"it was never sent, wrapped":         {fmt.Errorf("bind: %w", errNotHeld), true},
		"a policy refused it":                {apierrors.NewForbidden(pods, "p", errors.New("no")), true},
		"the pod has another version":        {apierrors.NewConflict(pods, "p", errors.New("version")), true},
		"the pod is gone":                    {apierrors.NewNotFound(pods, "p"), true},
		"there were too many requests":       {apierrors.NewTooManyRequestsError("later"), true},
		"the API server took too long":       {apierrors.NewTimeoutError("too long", 1), false},
		"the API server had an error":        {apierrors.NewInternalError(errors.New("etcd")), false},
		"the API server was not available":   {apierrors.NewServiceUnavailable("etcd"), false},
		"the connection was lost":            {errors.New("EOF"), false},
		"the caller stopped waiting":         {context.Canceled, false},
		"the caller stopped waiting earlier": {fmt.Errorf("bind: %w", context.DeadlineExceeded), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := outcomeOf(tc.err) == dedication.OutcomeKnown; got != tc.known {
				t.Errorf("known %t, want %t", got, tc.known)
			}
		})
	}
}

func TestUnreserveReleases(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	pod := w.add(w.pod("red", "p"))
	w.reserve(pod, "n1")
	w.pl.Unreserve(t.Context(), framework.NewCycleState(), pod, "n1")
	if diff := cmp.Diff([]string{"red/p on n1, known true"}, e.released); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
}

func TestEngineIsNotifiedOfChanges(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	touched := func(what string, change func()) {
		t.Helper()
		e.touched = nil
		change()
		if !slices.Contains(e.touched, "n1") {
			t.Errorf("%s: the engine heard of %v", what, e.touched)
		}
	}
	pending := w.add(w.pod("red", "p"))
	var pod *v1.Pod
	touched("a pod comes", func() { pod = w.add(w.changed(pending, on("n1"))) })
	touched("a pod becomes another", func() { pod = w.add(w.changed(pod, labelled("data-class=restricted"))) })
	touched("a pod goes", func() { w.gone(pod) })
	touched("a node changes", func() { w.node("n1") })
}

func TestFocusOnDedicatedNodes(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	for i := range alwaysSampled + 20 {
		w.node(fmt.Sprintf("many-%d", i))
	}
	w.dedicateFor(e, "many-77", w.add(w.pod("red", "first")))
	infos, _ := (&fakeHandle{world: w}).List()
	result, status := w.pl.PreFilter(t.Context(), framework.NewCycleState(), w.add(w.pod("red", "p")), infos)
	if !status.IsSuccess() || result == nil || !result.NodeNames.Equal(sets.New("many-77")) {
		t.Errorf("got %v, %v", result, status)
	}
}

func TestFilterAllocatesNothingOnADedicatedNode(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	pod := w.add(w.pod("red", "p"))
	w.dedicateFor(e, "n1", pod)
	state := framework.NewCycleState()
	if _, status := w.pl.PreFilter(t.Context(), state, pod, nil); !status.IsSuccess() {
		t.Fatal(status)
	}
	if allocations := testing.AllocsPerRun(100, func() {
		if status := w.pl.Filter(t.Context(), state, pod, w.snapshot["n1"]); !status.IsSuccess() {
			t.Error(status)
		}
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
