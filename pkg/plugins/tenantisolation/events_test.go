package tenantisolation

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	fwk "k8s.io/kube-scheduler/framework"
)

func TestHintAfterAPodHasGone(t *testing.T) {
	for name, tc := range map[string]struct {
		pending func(*world) *v1.Pod
		stay    func(*world) []*v1.Pod
		gone    func(*world) *v1.Pod
		want    fwk.QueueingHint
	}{
		"the last foreign pod gone helps": {
			gone: func(w *world) *v1.Pod { return w.pod("blue", "b", on("n1")) },
			want: fwk.Queue,
		},
		"a foreign pod gone while another one stays does not help": {
			stay: func(w *world) []*v1.Pod { return []*v1.Pod{w.pod("blue", "stays", on("n1"))} },
			gone: func(w *world) *v1.Pod { return w.pod("blue", "b", on("n1")) },
			want: fwk.QueueSkip,
		},
		"a pod of the own trust domain gone does not help": {
			gone: func(w *world) *v1.Pod { return w.pod("red", "r", on("n1")) },
			want: fwk.QueueSkip,
		},
		"a platform pod gone does not help": {
			gone: func(w *world) *v1.Pod { return w.pod("kube-system", "k", on("n1")) },
			want: fwk.QueueSkip,
		},
		"the last pod without a tenant gone helps": {
			gone: func(w *world) *v1.Pod { return w.pod("stray", "s", on("n1")) },
			want: fwk.Queue,
		},
		"a foreign pod gone does not help a pod without a trust domain": {
			pending: func(w *world) *v1.Pod { return w.pod("stray", "p") },
			gone:    func(w *world) *v1.Pod { return w.pod("blue", "b", on("n1")) },
			want:    fwk.QueueSkip,
		},
		"a foreign VM gone does not help a VM that it never kept away": {
			pending: func(w *world) *v1.Pod { return w.pod("red", "p", class("kata")) },
			gone:    func(w *world) *v1.Pod { return w.pod("blue", "b", on("kata1"), class("kata")) },
			want:    fwk.QueueSkip,
		},
		"a node without the pod's handler is no help, however empty": {
			pending: func(w *world) *v1.Pod {
				w.node("n1", "runc")
				return w.pod("red", "p", class("kata"))
			},
			gone: func(w *world) *v1.Pod { return w.pod("blue", "b", on("n1")) },
			want: fwk.QueueSkip,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			pending := w.pod("red", "p")
			if tc.pending != nil {
				pending = tc.pending(w)
			}
			w.add(pending)
			if tc.stay != nil {
				for _, p := range tc.stay(w) {
					w.add(p)
				}
			}
			gone := w.add(tc.gone(w))
			w.gone(gone)
			for range 2 { // the second answer comes from memory
				got, err := w.pl.afterPodGone(w.pl.logger, pending, gone, nil)
				if err != nil || got != tc.want {
					t.Errorf("got %v, %v, want %v", got, err, tc.want)
				}
			}
			got, err := w.pl.afterPodGone(w.pl.logger, pending, cache.DeletedFinalStateUnknown{Obj: gone}, nil)
			if err != nil || got != tc.want {
				t.Errorf("tombstone: got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func TestHintAfterAFailedBinding(t *testing.T) {
	w := tenants(t)
	pending := w.add(w.pod("red", "p"))
	other := w.add(w.pod("blue", "b"))
	assumed := other.DeepCopy()
	assumed.Spec.NodeName = "n1"
	w.store.Assume(w.store.Rules(), assumed, "n1")
	stays := w.add(w.pod("blue", "stays", on("n1")))

	// A deletion is asked about while a pod is assumed: that one is still in the way.
	w.gone(stays)
	if got, _ := w.pl.afterPodGone(w.pl.logger, pending, stays, nil); got != fwk.QueueSkip {
		t.Errorf("with an assumed pod in the way: got %v", got)
	}
	w.store.Forget(assumed, "n1")
	if got, _ := w.pl.afterPodGone(w.pl.logger, pending, assumed, nil); got != fwk.Queue {
		t.Errorf("after the binding has failed: got %v", got)
	}
}

func TestHintAfterAnAssumedPodWasDeleted(t *testing.T) {
	w := tenants(t)
	pending := w.add(w.pod("red", "p"))
	assumed := w.add(w.pod("blue", "b")).DeepCopy()
	assumed.Spec.NodeName = "n1"
	w.store.Assume(w.store.Rules(), assumed, "n1")

	// Held by a finalizer, it will never be bound: the framework drops it at once.
	w.add(w.changed(w.byName("blue", "b"), func(p *v1.Pod) { p.DeletionTimestamp = &metav1.Time{} }))
	if got, _ := w.pl.afterPodGone(w.pl.logger, pending, assumed, nil); got != fwk.Queue {
		t.Errorf("when it is deleted: got %v", got)
	}
	w.store.Forget(assumed, "n1")
	if got, _ := w.pl.afterPodGone(w.pl.logger, pending, assumed, nil); got != fwk.Queue {
		t.Errorf("when its binding fails: got %v", got)
	}
}

func TestHintDoesNotRememberWhatHasChanged(t *testing.T) {
	w := tenants(t)
	pending := w.add(w.pod("red", "p"))
	gone := w.pod("blue", "gone", on("n1"))
	other := w.add(w.pod("blue", "b")).DeepCopy()
	other.Spec.NodeName = "n1"
	w.store.Assume(w.store.Rules(), other, "n1")
	if got, _ := w.pl.afterPodGone(w.pl.logger, pending, gone, nil); got != fwk.QueueSkip {
		t.Errorf("another one is in the way: got %v", got)
	}
	w.store.Forget(other, "n1")
	if got, _ := w.pl.afterPodGone(w.pl.logger, pending, gone, nil); got != fwk.Queue {
		t.Errorf("no pod is in the way any more: got %v", got)
	}
}

func TestHintAfterANominationHasEnded(t *testing.T) {
	w := tenants(t)
	pending := w.add(w.pod("red", "p"))
	nominated := w.add(w.pod("blue", "b", func(p *v1.Pod) { p.Status.NominatedNodeName = "n1" }))
	if got, _ := w.pl.afterPodGone(w.pl.logger, pending, nominated, nil); got != fwk.Queue {
		t.Errorf("the node is free again: got %v", got)
	}
	nominated = w.changed(nominated, func(p *v1.Pod) { p.Status.NominatedNodeName = "n1" })
	w.add(w.changed(nominated, on("n1")))
	if got, _ := w.pl.afterPodGone(w.pl.logger, pending, nominated, nil); got != fwk.QueueSkip {
		t.Errorf("the nominated pod has arrived: got %v", got)
	}
}

func TestHintAfterANodeWasAdded(t *testing.T) {
	w := tenants(t)
	plain := w.node("new", "runc")
	for name, tc := range map[string]struct {
		pod  *v1.Pod
		want fwk.QueueingHint
	}{
		"an empty node helps":                            {w.pod("red", "p"), fwk.Queue},
		"a node without the pod's handler does not help": {w.pod("red", "p", class("kata")), fwk.QueueSkip},
		"no node helps a pod without a trust domain":     {w.pod("stray", "p"), fwk.QueueSkip},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := w.pl.afterNodeAdd(w.pl.logger, tc.pod, nil, plain); err != nil || got != tc.want {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func TestHintAfterThePodItselfChanged(t *testing.T) {
	w := tenants(t)
	for name, tc := range map[string]struct {
		before, after func(*v1.Pod)
		want          fwk.QueueingHint
	}{
		"a wrong tenant label taken off helps": {
			before: labelled("tenant=blue"), after: func(p *v1.Pod) { p.Labels = nil }, want: fwk.Queue,
		},
		"an unknown data class corrected helps": {
			before: labelled("data-class=top"), after: labelled("data-class=public"), want: fwk.Queue,
		},
		"a label that is not read does not help": {
			before: func(*v1.Pod) {}, after: func(p *v1.Pod) { p.Labels = map[string]string{"a": "b"} }, want: fwk.QueueSkip,
		},
		"a status does not help": {
			before: func(*v1.Pod) {}, after: func(p *v1.Pod) { p.Status.Message = "x" }, want: fwk.QueueSkip,
		},
		"a change that leaves it without a trust domain does not help": {
			before: func(*v1.Pod) {}, after: labelled("tenant=blue"), want: fwk.QueueSkip,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.pod("red", "p", tc.before)
			after := w.changed(before, tc.after)
			if got, err := w.pl.afterOwnChange(w.pl.logger, before, before, after); err != nil || got != tc.want {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func TestHintsOfUnknownObjects(t *testing.T) {
	w := tenants(t)
	events, err := w.pl.EventsToRegister(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		got, err := e.QueueingHintFn(w.pl.logger, w.pod("red", "p"), "no object", "no object")
		if got != fwk.Queue || err == nil {
			t.Errorf("%v: got %v, %v, want Queue and an error", e.Event, got, err)
		}
	}
}
