package residents

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

const pollEvery = 20 * time.Millisecond

// event is a version of an object, or its end.
type event struct {
	version uint64
	object  runtime.Object
	gone    bool
	// at is when the test has seen it.
	at time.Time
}

// history is what has happened, in the order of the API server.
type history struct {
	stopWatches []func()
	watching    sync.WaitGroup
	mu          sync.Mutex
	events      []event
}

// record watches pods, PVCs, volumes and the audit's Events from now on.
func (w *world) record() *history {
	w.t.Helper()
	h := &history{}
	core := w.admin.CoreV1()
	for _, of := range []func(context.Context, metav1.ListOptions) (watch.Interface, error){
		core.Pods(metav1.NamespaceAll).Watch, core.PersistentVolumeClaims(metav1.NamespaceAll).Watch,
		core.PersistentVolumes().Watch, w.admin.EventsV1().Events(systemNamespace).Watch,
	} {
		list, err := core.Pods(metav1.NamespaceAll).List(w.t.Context(), metav1.ListOptions{})
		must(w.t, err)
		watching, err := watchtools.NewRetryWatcherWithContext(w.t.Context(), list.ResourceVersion, &cache.ListWatch{WatchFuncWithContext: of})
		must(w.t, err)
		h.stopWatches = append(h.stopWatches, watching.Stop)
		h.watching.Go(func() {
			for e := range watching.ResultChan() {
				h.add(e)
			}
		})
	}
	return h
}

func (h *history) add(e watch.Event) {
	accessor, ok := e.Object.(metav1.Object)
	if !ok || e.Type == watch.Bookmark {
		return
	}
	version, err := strconv.ParseUint(accessor.GetResourceVersion(), 10, 64)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, event{version: version, object: e.Object, gone: e.Type == watch.Deleted, at: time.Now()})
}

// stop ends the record.
func (h *history) stop() {
	for _, stop := range h.stopWatches {
		stop()
	}
	h.watching.Wait()
}

// judge replays what has happened in order, up to the first that was seen later.
func (h *history) judge(until time.Time) *oracle {
	h.mu.Lock()
	events := slices.Clone(h.events)
	h.mu.Unlock()
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.version, b.version) })
	o := newOracle()
	for _, e := range events {
		if e.at.After(until) {
			break
		}
		o.see(e)
	}
	return o
}
