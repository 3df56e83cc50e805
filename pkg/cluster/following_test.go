package cluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// TestEvents has the pods red/r on n1 and red/p on no node.
func TestEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world, resident, pending *v1.Pod)
		want   []string
	}{
		"a namespace moves to another tenant": {
			func(w *world, _, _ *v1.Pod) { w.set(makeNamespace("red", "tenant=blue")) },
			[]string{"namespace: n1(1->1) red/p"},
		},
		"a namespace gets a label that the rule does not read": {
			func(w *world, _, _ *v1.Pod) { w.set(makeNamespace("red", "tenant=red", "colour=crimson")) }, nil,
		},
		"a namespace goes": {
			func(w *world, _, _ *v1.Pod) { w.unset(makeNamespace("red")) },
			[]string{"namespace: n1(1->1) red/p"},
		},
		"another namespace goes": {func(w *world, _, _ *v1.Pod) { w.unset(makeNamespace("blue")) }, nil},
		"a pod comes": {
			func(w *world, _, _ *v1.Pod) { w.set(w.pod("blue", "b", on("n2"))) }, []string{"pod: n2"},
		},
		"a pod goes that is not there":  {func(w *world, _, _ *v1.Pod) { w.unset(w.pod("red", "unknown", on("n1"))) }, nil},
		"a node goes that is not there": {func(w *world, _, _ *v1.Pod) { w.unset(makeNode("unknown")) }, nil},
		"a pod goes":                    {func(w *world, r, _ *v1.Pod) { w.unset(r) }, []string{"pod: n1"}},
		"a pod is bound": {
			func(w *world, _, p *v1.Pod) { w.set(w.changed(p, on("n2"))) }, []string{"pod: n2"},
		},
		"a pod that is pending gets another label": {
			func(w *world, _, p *v1.Pod) { w.set(w.changed(p, dataClass("public"))) }, nil,
		},
		"a resident gets another trust domain": {
			func(w *world, r, _ *v1.Pod) { w.set(w.changed(r, dataClass("public"))) },
			[]string{"pod: n1(1->1)"},
		},
		"a resident ends": {
			func(w *world, r, _ *v1.Pod) {
				w.set(w.changed(r, func(p *v1.Pod) { p.Status.Phase = v1.PodSucceeded }))
			},
			[]string{"pod: n1"},
		},
		"a resident is started": {
			func(w *world, r, _ *v1.Pod) {
				w.set(w.changed(r, func(p *v1.Pod) { p.Status.StartTime = &metav1.Time{Time: time.Unix(1, 0)} }))
			},
			[]string{"pod: n1"},
		},
		"a resident becomes ready": {
			func(w *world, r, _ *v1.Pod) {
				w.set(w.changed(r, func(p *v1.Pod) { p.Status.Phase = v1.PodRunning }))
			},
			nil,
		},
		"a node comes": {func(w *world, _, _ *v1.Pod) { w.set(makeNode("n3")) }, []string{"node added: n3"}},
		"a node goes":  {func(w *world, _, _ *v1.Pod) { w.unset(makeNode("n1")) }, []string{"node removed: n1"}},
		"a node reports other handlers": {
			func(w *world, _, _ *v1.Pod) { w.set(makeNode("n1", "runc")) }, []string{"node: n1(1->1)"},
		},
		"a node changes otherwise": {func(w *world, _, _ *v1.Pod) { w.set(makeNode("n1")) }, []string{"node: n1"}},
		"the volume of a PVC turns out to be on the host": {
			func(w *world, _, _ *v1.Pod) {
				w.set(dataPVC(), volume(network), w.pod("red", "m", on("n2"), kata, mountsData, stamped("vm")))
				w.events = nil
				w.set(volume(host))
			},
			[]string{"PVC: n2(1->1)"},
		},
		"the volume of a pod without a stamp": {
			func(w *world, _, _ *v1.Pod) {
				w.set(dataPVC(), volume(network), w.pod("red", "m", on("n2"), kata, mountsData))
				w.events = nil
				w.set(volume(host))
			},
			[]string{"PVC: n2"},
		},
		"a volume that stays on the network": {
			func(w *world, _, _ *v1.Pod) {
				w.set(dataPVC(), volume(network), w.pod("red", "m", on("n2"), kata, mountsData, stamped("vm")))
				w.events = nil
				w.set(volume(network))
			},
			[]string{"PVC: n2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			resident, pending := w.pod("red", "r", on("n1")), w.pod("red", "p")
			w.set(resident, pending)
			w.events = nil
			tc.change(w, resident, pending)
			if diff := cmp.Diff(tc.want, w.reported(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// dedications says of n1 what it is told.
type dedications struct{ now Dedicated }

func (d *dedications) Dedicated(string) Dedicated { return d.now }

func TestDedicationChanged(t *testing.T) {
	w := tenants(t)
	blue, _ := w.Judge(w.pod("blue", "b")).Dedication()
	now := &dedications{Dedicated{Dedication: blue, Dedicated: true}}
	w.DedicatedBy(now)
	red := w.Judge(w.pod("red", "p"))
	helps := func(before, after Dedicated) bool {
		now.now, w.events = after, nil
		w.DedicationChanged("n1", before, after)
		return len(w.events) == 1 && w.events[0].Nodes[0].Helps(&red)
	}
	if !helps(Dedicated{Dedication: blue, Dedicated: true}, Dedicated{}) {
		t.Error("a node that is freed does not help")
	}
	if helps(Dedicated{}, Dedicated{Dedication: blue, Dedicated: true}) {
		t.Error("a node that is dedicated to another tenant helps")
	}
	if !helps(Dedicated{Dedicated: true}, Dedicated{}) {
		t.Error("a node that denied everybody and is free does not help")
	}
}

// Fresh and Reread go by the objects, whatever the store has made of them.
func TestFreshAndRereadGoByTheObjects(t *testing.T) {
	w := tenants(t)
	pod := w.pod("red", "p", on("n1"))
	w.set(pod)
	want := w.Judge(pod)
	w.around.namespaces.set("red", podfacts.Namespace{Labels: map[string]string{"tenantisolation.dev/tenant": "wrong"}}) // as if an event had been lost
	w.around.epoch.Add(1)
	if w.Judge(pod).Equivalent(want) {
		t.Fatal("the fault is not seen")
	}
	if got := w.Fresh().Judge(pod); !got.Equivalent(want) {
		t.Errorf("a fresh store: %s, want %s", got, want)
	}
	w.Reread()
	if got := w.Judge(pod); !got.Equivalent(want) {
		t.Errorf("read again: %s, want %s", got, want)
	}
}

func TestFollow(t *testing.T) {
	w := newWorld(t)
	client := fake.NewClientset(makeNamespace("red", "tenant=red"), makeNode("n1"), w.pod("red", "p", on("n1")))
	factory := informers.NewSharedInformerFactory(client, 0)
	synced := make(chan struct{})
	if err := w.Follow(t.Context(), factory, func() { close(synced) }); err != nil {
		t.Fatal(err)
	}
	if w.Synced() {
		t.Error("synced before the informers were started")
	}
	factory.Start(t.Context().Done())
	t.Cleanup(factory.Shutdown)
	select {
	case <-synced:
	case <-time.After(time.Minute):
		t.Fatal("not synced after a minute")
	}
	if occupancy := w.Occupancy("n1"); !w.Synced() || occupancy.Len() != 1 {
		t.Errorf("synced: %t, %d residents; want 1", w.Synced(), occupancy.Len())
	}
}

// The scheduling framework reports the end of a pod, and the store may have it yet.
func TestGone(t *testing.T) {
	w := tenants(t)
	pod := w.pod("red", "r", on("n1"))
	w.set(pod)
	change := w.Gone(w.Rules(), pod)
	if change.Node != "n1" || change.Before.Occupancy.Len() != 1 || !change.After.Occupancy.Empty() {
		t.Errorf("on %q, with %d residents before and %d after; want it on n1, alone and gone",
			change.Node, change.Before.Occupancy.Len(), change.After.Occupancy.Len())
	}
	blue := w.Judge(w.pod("blue", "b"))
	if !change.Helps(&blue) {
		t.Error("the end of the last resident helps no pod of another tenant")
	}
	pending := w.pod("red", "p")
	if change := w.Gone(w.Rules(), pending); change.Helps(&blue) || change.Node != "" {
		t.Errorf("a pod on no node has changed %q", change.Node)
	}
}

// A reader that has judged a pod by what was there before a change may store its result after
// the change: the handler's own counts all the same.
func TestRejudgeOverridesAReader(t *testing.T) {
	w := tenants(t)
	pod := w.pod("red", "p", on("n1"))
	w.set(pod)
	known := w.pods.get(pod.UID)
	late := w.judge(w.Rules(), known.pod, known.facts)
	w.around.namespaces.set("red", podfacts.Namespace{Labels: map[string]string{"tenantisolation.dev/tenant": "blue"}})
	// The reader stores what it has judged between the handler's look and its own store.
	w.pods.known[pod.UID].judged = late
	got := w.pods.rejudge(w.Rules(), pod)
	if domain, _ := got.TrustDomain(); domain.Tenant != "blue" {
		t.Errorf("judged as %s, want tenant blue", got)
	}
	if domain, _ := w.Judge(pod).TrustDomain(); domain.Tenant != "blue" {
		t.Error("what the reader stored is believed")
	}
}

// A namespace is made again with the same labels, which the informer may show as one update: the
// pods that are older are not its own any more.
func TestNamespaceMadeAgain(t *testing.T) {
	made := metav1.NewTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	w := tenants(t)
	pod := w.pod("red", "r", on("n1"), func(p *v1.Pod) { p.CreationTimestamp = made })
	w.set(pod)
	w.events = nil
	again := makeNamespace("red", "tenant=red")
	again.CreationTimestamp = metav1.NewTime(made.Add(time.Hour))
	w.set(again)
	if reason, _ := w.Judge(pod).Denied(); reason != isolation.OlderThanNamespace {
		t.Errorf("the pod is %v", w.Judge(pod))
	}
	if diff := cmp.Diff([]string{"namespace: n1(1->1)"}, w.reported()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
