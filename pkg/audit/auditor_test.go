package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-base/metrics/testutil"
	"k8s.io/klog/v2/ktesting"
	testingclock "k8s.io/utils/clock/testing"
)

// auditorTest is an auditor whose clock and objects the test controls.
type auditorTest struct {
	*Auditor
	t      *testing.T
	clock  *testingclock.FakeClock
	client *fake.Clientset
}

func newAuditorTest(t *testing.T, change ...func(*Config)) *auditorTest {
	t.Helper()
	return newAuditorTestWith(t, fake.NewClientset(), testingclock.NewFakeClock(beginning), change...)
}

func newAuditorTestWith(t *testing.T, client *fake.Clientset, clock *testingclock.FakeClock, change ...func(*Config)) *auditorTest {
	t.Helper()
	cfg := Config{Namespace: "tenant-isolation-system", Deployment: "tenant-isolation-scheduler", Instance: "replica-1", SweepEvery: time.Minute}
	for _, c := range change {
		c(&cfg)
	}
	logger := ktesting.NewLogger(t, ktesting.NewConfig())
	a := NewAuditor(client, newStore(t), cfg, clock, logger)
	a.metrics = newMetrics()
	for _, m := range a.metrics.all() {
		m.Create(nil)
	}
	d := &auditorTest{Auditor: a, t: t, clock: clock, client: client}
	d.set(makeNode("n1"), makeNamespace("acme", "acme"), makeNamespace("globex", "globex"), makeNamespace("wiki", ""), makeClass("kata", "kata"))
	return d
}

// set adds objects to the auditor's store, as its informers would.
func (d *auditorTest) set(objects ...runtime.Object) {
	d.t.Helper()
	for _, object := range objects {
		if err := d.store.Set(object); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *auditorTest) delete(objects ...runtime.Object) {
	d.t.Helper()
	for _, object := range objects {
		if err := d.store.Delete(object); err != nil {
			d.t.Fatal(err)
		}
	}
}

// advance lets time pass, and everything happen that is due, second by second.
func (d *auditorTest) advance(seconds int) {
	d.t.Helper()
	for range seconds {
		d.clock.Step(time.Second)
		d.update()
		d.sendEvents(d.t.Context())
		if d.evictions != nil {
			d.evictCulprits(d.t.Context())
		}
	}
}

// sentEvents returns type, reason and count of each Event, in a fixed order.
func (d *auditorTest) sentEvents() []string {
	d.t.Helper()
	list, err := d.client.EventsV1().Events("").List(d.t.Context(), metav1.ListOptions{})
	if err != nil {
		d.t.Fatal(err)
	}
	var lines []string
	for i := range list.Items {
		e := &list.Items[i]
		times := int32(1)
		if e.Series != nil {
			times = e.Series.Count
		}
		lines = append(lines, fmt.Sprintf("%s %s %d", e.Type, e.Reason, times))
	}
	slices.Sort(lines)
	return lines
}

func (d *auditorTest) expectEvents(want ...string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.sentEvents(), cmpopts.EquateEmpty()); diff != "" {
		d.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestEventsOfAFinding(t *testing.T) {
	d := newAuditorTest(t)
	intruder := makePod("globex", "b", "n1", after(1))
	d.set(makePod("acme", "a", "n1"), intruder)
	d.advance(4)
	d.expectEvents("Warning ForeignResident 1")
	d.advance(60)
	d.expectEvents("Warning ForeignResident 1")

	d.advance(30 * 60) // it would expire
	d.expectEvents("Warning ForeignResident 2")

	d.delete(intruder)
	d.advance(2)
	d.expectEvents("Normal FindingEnded 1", "Warning ForeignResident 2")
	d.advance(3600)
	d.expectEvents("Normal FindingEnded 1", "Warning ForeignResident 2")
}

func TestEventsWhenAFindingGetsWorse(t *testing.T) {
	d := newAuditorTest(t)
	d.set(makePod("acme", "a", "n1"), makePod("globex", "b", "n1", after(1)))
	d.advance(3)
	third := makePod("globex", "c", "n1", after(2))
	d.set(third)
	d.advance(3)
	d.expectEvents("Warning ForeignResident 1", "Warning ForeignResident 1")
	d.delete(third) // better, and not new
	d.advance(3)
	d.expectEvents("Warning ForeignResident 1", "Warning ForeignResident 1")
}

func TestEventsWaitForTransientStates(t *testing.T) {
	for name, tc := range map[string]struct {
		first, then []runtime.Object
		wait        int
		want        []string
	}{
		"a pod that is seen before its namespace": {
			first: []runtime.Object{makePod("initech", "a", "n1")},
			then:  []runtime.Object{makeNamespace("initech", "initech")},
			wait:  1,
		},
		"a pod whose node was deleted a minute ago": {
			first: []runtime.Object{makePod("acme", "a", "gone")},
			then:  []runtime.Object{makePod("acme", "a", "")},
			wait:  60,
		},
		"not for a pod that stays on a missing node": {
			first: []runtime.Object{makePod("acme", "a", "gone")},
			wait:  123,
			want:  []string{"Warning MissingNode 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newAuditorTest(t)
			d.set(tc.first...)
			d.advance(tc.wait)
			d.set(tc.then...)
			d.advance(3)
			d.expectEvents(tc.want...)
		})
	}
}

func TestEventRegardsTheDeployment(t *testing.T) {
	d := newAuditorTest(t)
	long := strings.Repeat("x", 200)
	for i := range 8 {
		tenant := fmt.Sprintf("tenant-%d", i)
		d.set(makeNamespace(tenant, tenant))
		for j := range 5 {
			d.set(makePod(tenant, fmt.Sprintf("%s-%d", long, j), "n1"))
		}
	}
	d.advance(3)
	list, err := d.client.EventsV1().Events("tenant-isolation-system").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("want one event in the namespace of the scheduler, got %d (%v)", len(list.Items), err)
	}
	e := list.Items[0]
	want := v1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "tenant-isolation-system", Name: "tenant-isolation-scheduler"}
	if diff := cmp.Diff(want, e.Regarding); diff != "" {
		t.Errorf("regarding (-want +got):\n%s", diff)
	}
	if len(e.Note) > 1024 || !strings.HasPrefix(e.Note, "node n1: ForeignResident, 700 pair(s) of pods, last to come: tenant-7/") {
		t.Errorf("%d characters: %s", len(e.Note), e.Note)
	}
}

func TestEventNote(t *testing.T) {
	e := newEngine(t, makeNode("n1"), makeNamespace("acme", "acme"), makeNamespace("wiki", ""), makePod("wiki", "w", "n1"))
	for i := range 5 {
		set(t, e, makePod("acme", fmt.Sprintf("a%d", i), "n1"))
	}
	want := "node n1: UnmanagedResident, 5 pair(s) of pods, last to come: wiki/w" +
		"; acme/a0, acme/a1, acme/a2 (tenant=acme,data-class=unclassified,privilege=baseline,user-namespace=host,boundary=container) and 2 more" +
		"; wiki/w (unmanaged)"
	if diff := cmp.Diff(want, note(&e.Report().Findings[0])); diff != "" {
		t.Errorf("note (-want +got):\n%s", diff)
	}
}

func TestEventsAfterALeaderChange(t *testing.T) {
	first := newAuditorTest(t)
	pods := []runtime.Object{makePod("acme", "a", "n1"), makePod("globex", "b", "n1")}
	first.set(pods...)
	first.advance(3)
	second := newAuditorTestWith(t, first.client, first.clock)
	second.set(pods...)
	second.advance(3)
	second.expectEvents("Warning ForeignResident 2")
}

func TestEventsAreRateLimitedWorstFirst(t *testing.T) {
	d := newAuditorTest(t)
	for i := range 40 {
		node := fmt.Sprintf("m%02d", i)
		d.set(makeNode(node), makePod("acme", "a"+node, node))
		if i%4 == 0 {
			d.set(makePod("globex", "b"+node, node))
		} else {
			d.set(makePod("wiki", "b"+node, node))
		}
	}
	d.advance(2)
	got := map[string]int{}
	for _, line := range d.sentEvents() {
		got[line]++
	}
	if diff := cmp.Diff(map[string]int{"Warning ForeignResident 1": 10, "Warning UnmanagedResident 1": 10}, got); diff != "" {
		t.Errorf("the first events (-want +got):\n%s", diff)
	}
	d.advance(10)
	if got := len(d.sentEvents()); got != 40 {
		t.Errorf("want an event for all 40 findings in the end, got %d", got)
	}
}

func TestEventsAreRetried(t *testing.T) {
	d := newAuditorTest(t)
	refuse := true
	d.client.PrependReactor("create", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		return refuse, nil, apierrors.NewServiceUnavailable("later")
	})
	d.set(makePod("acme", "a", "n1"), makePod("globex", "b", "n1"))
	d.advance(5)
	d.expectEvents()
	refuse = false
	d.advance(12)
	d.expectEvents("Warning ForeignResident 1")
}

func TestSweepCorrectsMissedChanges(t *testing.T) {
	d := newAuditorTest(t)
	d.set(makePod("acme", "a", "n1"))
	d.advance(3)
	d.set(makePod("globex", "b", "n1"))
	clear(d.engine.changed) // as if the event had been lost
	d.advance(3)
	d.expectEvents()

	done := make(chan struct{})
	go func() {
		defer close(done)
		d.sweep(t.Context())
	}()
	for swept := false; !swept; {
		select {
		case <-done:
			swept = true
		case <-time.After(time.Millisecond):
			// The clock steps only while the sweep waits.
			if d.clock.HasWaiters() {
				d.clock.Step(sweepRetryAfter)
			}
		}
	}
	d.advance(3)
	d.expectEvents("Warning ForeignResident 1")
	if got, err := testutil.GetCounterMetricValue(d.metrics.corrections); err != nil || got != 1 {
		t.Errorf("want one correction, got %v (%v)", got, err)
	}
	d.sweep(t.Context())
	if got, _ := testutil.GetCounterMetricValue(d.metrics.corrections); got != 1 {
		t.Errorf("want no other correction, got %v", got)
	}
	if got, err := testutil.GetGaugeMetricValue(d.metrics.lastSweep); err != nil || got < float64(beginning.Unix()) {
		t.Errorf("want the time of the sweep, got %v (%v)", got, err)
	}
}

// The leader begins before it has read the policy: its first sweep does not wait for the second's turn.
func TestFirstSweepComesOnceThePolicyIsRead(t *testing.T) {
	d := newAuditorTest(t)
	d.Configure(Settings{Paused: true})
	ctx, cancel := context.WithCancel(t.Context())
	swept, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		d.every(365*24*time.Hour, func(context.Context) { swept <- struct{}{} })(ctx)
	}()
	deadline := time.After(time.Minute)
	for !d.clock.HasWaiters() {
		select {
		case <-deadline:
			t.Fatal("the loop does not wait for the clock")
		case <-time.After(time.Millisecond):
		}
	}
	d.Configure(Settings{})
	for done := false; !done; {
		select {
		case <-swept:
			done = true
		case <-deadline:
			t.Fatal("no sweep: it waits for the next turn, which is in a year")
		case <-time.After(time.Millisecond):
			d.clock.Step(updateEvery)
		}
	}
	cancel()
	<-ended
}

func TestMetricsHaveEveryReason(t *testing.T) {
	d := newAuditorTest(t)
	d.set(makePod("acme", "a", "n1"), makePod("globex", "b", "n1"))
	d.update()
	for _, reason := range Reasons() {
		want := 0.0
		if reason == "ForeignResident" {
			want = 1
		}
		if got, err := testutil.GetGaugeMetricValue(d.metrics.findings.WithLabelValues(string(reason))); err != nil || got != want {
			t.Errorf("%s: want %v, got %v (%v)", reason, want, got, err)
		}
	}
}

func evictsPerMinute(n int) func(*Config) {
	return func(c *Config) { c.EvictionsPerMinute = n }
}

// evicted returns the pods whose eviction was requested.
func (d *auditorTest) evicted() []string {
	var names []string
	for _, action := range d.client.Actions() {
		if create, ok := action.(clienttesting.CreateAction); ok && create.GetSubresource() == "eviction" {
			e := create.GetObject().(*policyv1.Eviction)
			if e.DeleteOptions == nil || e.DeleteOptions.Preconditions == nil || e.DeleteOptions.Preconditions.UID == nil {
				d.t.Errorf("%s: the eviction has no UID", e.Name)
			}
			names = append(names, e.Namespace+"/"+e.Name)
		}
	}
	return names
}

func TestEvictionOfTheCulprit(t *testing.T) {
	vm := inClass("kata")
	started := func(p *v1.Pod) { p.Status.StartTime = &metav1.Time{Time: beginning} }
	ownedBy := func(kind string) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: "owner", Controller: new(true)}}
		}
	}
	recreated := makeClass("kata", "runc")
	recreated.CreationTimestamp = metav1.NewTime(beginning.Add(time.Hour))
	for name, tc := range map[string]struct {
		objects []runtime.Object
		off     bool
		want    []string
	}{
		"the pod that came last": {
			objects: []runtime.Object{makePod("acme", "a", "n1", after(5)), makePod("globex", "b", "n1", after(3))},
			want:    []string{"acme/a"},
		},
		"an unmanaged one too": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("wiki", "b", "n1", after(3))},
			want:    []string{"wiki/b"},
		},
		"no pod unless configured": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("globex", "b", "n1")},
			off:     true,
		},
		"no pod that is terminating": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("globex", "b", "n1", after(1), func(p *v1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: beginning} })},
		},
		"no static pod, nor another in its place": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("globex", "b", "n1", after(1), func(p *v1.Pod) {
				p.Annotations = map[string]string{v1.MirrorPodAnnotationKey: "x"}
			})},
		},
		"no pod of a DaemonSet, which would be back at once": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("globex", "b", "n1", after(1), ownedBy("DaemonSet"))},
		},
		"but a pod of a ReplicaSet": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("globex", "b", "n1", after(1), ownedBy("ReplicaSet"))},
			want:    []string{"globex/b"},
		},
		"no pod of an unknown namespace": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("ghost", "b", "n1", after(1))},
		},
		"no pod with an unknown PVC": {
			objects: []runtime.Object{makePod("acme", "a", "n1", vm), makePod("globex", "b", "n1", vm, after(1), mountingPVC("data"))},
		},
		"no pod whose RuntimeClass was recreated after its start": {
			objects: []runtime.Object{recreated, makePod("acme", "a", "n1", vm, started), makePod("globex", "b", "n1", vm, started)},
		},
		"no pod for files, which it would mount again elsewhere": {
			objects: []runtime.Object{
				makePVC("acme", "data", ""), makeNode("n2"), makePod("acme", "a", "n1", mountingPVC("data")),
				makePod("acme", "b", "n2", mountingPVC("data"), func(p *v1.Pod) { p.Spec.HostUsers = new(bool) }),
			},
		},
		"no pod for a boundary that is too weak": {
			objects: []runtime.Object{makeNamespace("acme", "acme", "boundary", "vm"), makePod("acme", "a", "n1")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newAuditorTest(t, evictsPerMinute(60))
			if tc.off {
				d = newAuditorTest(t)
			}
			d.set(tc.objects...)
			d.advance(10)
			if diff := cmp.Diff(tc.want, d.evicted(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("evicted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvictionsAreRateLimited(t *testing.T) {
	d := newAuditorTest(t, evictsPerMinute(2))
	d.client.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		return true, nil, apierrors.NewTooManyRequests("the disruption budget web needs 1 healthy pods", 0)
	})
	d.set(makePod("acme", "a", "n1"), makePod("globex", "b", "n1", after(1)))
	for i := range 10 {
		node := fmt.Sprintf("m%d", i)
		d.set(makeNode(node), makePod("acme", "a"+node, node), makePod("globex", "b"+node, node, after(1)))
	}
	d.advance(10)
	if got := d.evicted(); len(got) != 1 {
		t.Errorf("want one eviction at first, got %v", got)
	}
	d.advance(120)
	if got := d.evicted(); len(got) < 4 || len(got) > 5 {
		t.Errorf("want two evictions a minute, got %d in two minutes: %v", len(got)-1, got)
	}
	if blocked, err := testutil.GetCounterMetricValue(d.metrics.evictions.WithLabelValues(evictionBlocked)); err != nil || int(blocked) != len(d.evicted()) {
		t.Errorf("want all of them counted as blocked, got %v (%v)", blocked, err)
	}
}
