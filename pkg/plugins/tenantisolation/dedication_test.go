package tenantisolation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// fakeEngine dedicates in memory what the test says, and tells the plugin of each change
// before it returns.
type fakeEngine struct {
	world     *world
	ready     bool
	leads     int
	nodes     int
	touched   []string
	dedicated map[string]isolation.Dedication
	openedBy  map[string]string
	limit     int
	closing   map[string]bool
	held      map[string]bool
	ensure    error
	leases    map[string]int
	released  []string
	refused   []error
}

// dedicating gives the world an engine.
func (w *world) dedicating() *fakeEngine {
	e := &fakeEngine{
		world: w, ready: true, limit: 100,
		dedicated: map[string]isolation.Dedication{}, openedBy: map[string]string{},
		closing: map[string]bool{}, held: map[string]bool{}, leases: map[string]int{},
	}
	w.pl.dedicated = newDedicatedNodes(e)
	return e
}

func (e *fakeEngine) Lead()              { e.leads++ }
func (e *fakeEngine) Ready() bool        { return e.ready }
func (e *fakeEngine) Touch(node string)  { e.touched = append(e.touched, node) }
func (e *fakeEngine) SetNodes(count int) { e.nodes = count }

func (e *fakeEngine) Dedication(node string) (isolation.Dedication, bool) {
	to, ok := e.dedicated[node]
	return to, ok
}

func (e *fakeEngine) MayOpen(subject *isolation.Subject) bool {
	domain, ok := subject.TrustDomain()
	opened := 0
	for tenant := range maps.Values(e.openedBy) {
		if tenant == domain.Tenant {
			opened++
		}
	}
	return !ok || opened < e.limit
}

func (e *fakeEngine) Reserve(uid types.UID, node string, subject *isolation.Subject) error {
	wanted, ok := subject.Dedication()
	there, dedicated := e.dedicated[node]
	switch {
	case !ok:
		return nil
	case !e.ready:
		return dedication.ErrNotReady
	case e.closing[node] || dedicated && !there.Admits(subject):
		return dedication.ErrDedicated
	case !dedicated && !e.MayOpen(subject):
		return dedication.ErrTooManyNodes
	case !dedicated:
		domain, _ := subject.TrustDomain()
		e.open(node, wanted, domain.Tenant)
	}
	e.leases[string(uid)+" on "+node]++
	return nil
}

func (e *fakeEngine) Refused(err error) { e.refused = append(e.refused, err) }

func (e *fakeEngine) Held(_ types.UID, node string) bool { return e.held[node] }

func (e *fakeEngine) Ensure(_ context.Context, _ *v1.Pod, node string, _ *isolation.Subject) error {
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

// open dedicates a node.
func (e *fakeEngine) open(node string, to isolation.Dedication, tenant string) {
	e.dedicated[node], e.openedBy[node] = to, tenant
	engineView{e.world.pl}.DedicationChanged(node)
}

// free releases a node.
func (e *fakeEngine) free(node string) {
	delete(e.dedicated, node)
	delete(e.openedBy, node)
	delete(e.closing, node)
	delete(e.held, node)
	engineView{e.world.pl}.DedicationChanged(node)
}

// dedicateFor dedicates a node for a pod as Reserve would.
func (w *world) dedicateFor(e *fakeEngine, node string, pod *v1.Pod) {
	w.t.Helper()
	subject := w.pl.roster.subject(w.pl.rules.Load(), pod)
	wanted, ok := subject.Dedication()
	if !ok {
		w.t.Fatalf("%s opens no node", podKey(pod))
	}
	domain, _ := subject.TrustDomain()
	e.open(node, wanted, domain.Tenant)
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

func TestNobodyIsPlacedBeforeTheTakeover(t *testing.T) {
	w := tenants(t)
	e := w.dedicating()
	e.ready = false
	pod := w.add(w.pod("red", "p"))
	if got := sentence(w.filter(pod, "n1")); got != isolation.TakingOver || e.leads == 0 {
		t.Errorf("got %s, told %d times that it leads", got, e.leads)
	}
	if agent := w.add(w.pod("kube-system", "p")); !w.admits(agent, "n1") {
		t.Error("a platform pod waits")
	}
	e.ready = true
	engineView{w.pl}.BecameReady()
	if got := w.woken(); !slices.Contains(got, "red/p") {
		t.Errorf("woken %v", got)
	}
	if !w.admits(pod, "n1") {
		t.Error("taken over, and the pod is denied")
	}
}

func TestReserveTellsWhyTheEngineRefuses(t *testing.T) {
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
			if on := w.pl.roster.nodeOf(pod.UID); on != "" {
				t.Errorf("the pod is taken to be on %s", on)
			}
			if got := w.woken(); len(got) > 0 {
				t.Errorf("woken %v at once: it would be refused again and again", got)
			}
			if len(e.refused) != 1 {
				t.Errorf("counted as refused %d times: %v", len(e.refused), e.refused)
			}
			e.limit, e.ready = 100, true
			e.free("n1")
			engineView{w.pl}.BecameReady()
			if got := w.woken(); !slices.Equal(got, []string{"red/p"}) {
				t.Errorf("woken %v when what stood in its way has gone", got)
			}
		})
	}
}

func TestATenantAtItsLimitWaitsForIt(t *testing.T) {
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
	if e.nodes != 2 {
		t.Errorf("the engine was told of %d nodes, want the 2 that came", e.nodes)
	}
}

func TestPreBindIsForPodsThatOpenANode(t *testing.T) {
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
	w.pl.dedicated = nil
	if got := flight(red, "n2"); got != fwk.Skip {
		t.Errorf("without dedication: %s", got)
	}
}

// What a tenant reads names nobody.
func TestPreBindSaysInConstantWordsWhyItFailed(t *testing.T) {
	for name, tc := range map[string]struct{ err, want error }{
		"somebody came":      {fmt.Errorf("node n1: pod blue/p: %w", dedication.ErrTaken), errNodeTaken},
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

func TestBindBearsTheTokenOfTheDedication(t *testing.T) {
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

func TestWhatIsKnownOfABind(t *testing.T) {
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
		"nobody waited for the answer":       {context.Canceled, false},
		"nobody waited for it, not even yet": {fmt.Errorf("bind: %w", context.DeadlineExceeded), false},
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

func TestTheEngineHearsOfWhatChangesOnANode(t *testing.T) {
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

func TestWhatTheEngineIsToldOfPods(t *testing.T) {
	w := tenants(t)
	w.dedicating()
	view := engineView{w.pl}
	bound := w.add(w.pod("red", "bound", on("n1")))
	pending := w.add(w.pod("red", "pending"))
	went := w.add(w.pod("red", "went", on("n1")))
	w.gone(went)
	never := w.pod("red", "never", on("n1"))
	got := []bool{view.Knows(bound), view.Knows(pending), view.Knows(went), view.Knows(never)}
	if diff := cmp.Diff([]bool{true, false, true, false}, got); diff != "" {
		t.Errorf("knows one that is there, is pending, has gone, nobody has told of (-want +got):\n%s", diff)
	}
	if occupancy := view.Occupancy("n1"); occupancy.Len() != 1 {
		t.Errorf("%d residents, want 1", occupancy.Len())
	}
	if subject := view.Subject(never); subject.String() != "tenant=red,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=container" {
		t.Errorf("a pod out of a list is %s", subject)
	}
	node := &v1.Node{Spec: v1.NodeSpec{Taints: []v1.Taint{{Key: isolation.BoundaryTaint, Value: "vm", Effect: v1.TaintEffectNoSchedule}}}}
	if to, ok := view.DedicationOf(node); !ok || to.String() != "tenantisolation.dev/boundary=vm" {
		t.Errorf("its taints say %s, %t", to, ok)
	}
}

// An empty node that is dedicated to a tenant is where its pods should go.
func TestFocusFindsDedicatedNodesThatAreEmpty(t *testing.T) {
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

func TestFilterOnAWarmDedicatedNodeDoesNotAllocate(t *testing.T) {
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

func TestDedicationIsForOneProfile(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second bool
		fails         bool
	}{
		"no profile dedicates":         {},
		"the first profile dedicates":  {first: true, fails: true},
		"the second profile dedicates": {second: true, fails: true},
		"both dedicate":                {first: true, second: true, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			pods := informers.NewSharedInformerFactory(fake.NewClientset(), 0).Core().V1().Pods().Informer()
			profile := func(dedicates bool) error {
				w := newWorld(t)
				if dedicates {
					w.dedicating()
				}
				if err := w.pl.onlyOne(pods); err != nil {
					return err
				}
				return addIndexers(pods, podIndexers)
			}
			if err := profile(tc.first); err != nil {
				t.Fatalf("the first profile: %v", err)
			}
			if err := profile(tc.second); (err != nil) != tc.fails {
				t.Errorf("the second profile: %v, want an error: %t", err, tc.fails)
			}
		})
	}
}
