package dedication

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"
)

var (
	errLost      = errors.New("connection lost")
	errForbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, TableName, errors.New("no"))
)

// startTableWriter returns a writer that has taken over, and does not write yet.
func startTableWriter(t *testing.T, w *world, term string) *tableWriter {
	t.Helper()
	logger, ctx := ktesting.NewTestContext(t)
	l := newTableWriter(w.client().CoreV1().ConfigMaps(system), term, clock.RealClock{}, logger, newMetrics())
	if _, err := l.takeOver(ctx); err != nil {
		t.Fatal(err)
	}
	return l
}

// runTableWriter lets the writer run until the test ends or it is deposed.
func runTableWriter(t *testing.T, l *tableWriter) (ended <-chan error) {
	t.Helper()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { done <- l.run(ctx, tableCheckEvery) }()
	return done
}

func (w *world) failOnce(call string, f fault) {
	var once sync.Once
	w.onCall(func(c string) (out fault) {
		if c == call {
			once.Do(func() { out = f })
		}
		return out
	})
}

func set(node, id string) change { return change{node: node, entry: &entry{id: id}} }

func TestTableWriterJoinsCommits(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		l := startTableWriter(t, w, "t1")
		w.resetCounts()
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				if err := l.commit(t.Context(), set(fmt.Sprintf("n%d", i), "a")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		runTableWriter(t, l)
		group.Wait()
		if w.writesOf("configmaps") != 1 {
			t.Errorf("%d writes, want 1", w.writesOf("configmaps"))
		}
		if got, _ := parseTable(w.data()); len(got.entries) != 50 {
			t.Errorf("%d entries, want 50", len(got.entries))
		}
	})
}

func TestTableWriterOutlastsFaults(t *testing.T) {
	tests := map[string]struct {
		prepare func(w *world)
	}{
		"nothing":             {func(*world) {}},
		"a lost call":         {func(w *world) { w.failOnce("update configmaps", fault{before: errLost}) }},
		"a lost answer":       {func(w *world) { w.failOnce("update configmaps", fault{after: errLost}) }},
		"a deleted ConfigMap": {func(w *world) { w.deleteTable() }},
		"an edited ConfigMap": {func(w *world) {
			w.editTable(func(data map[string]string) { data["n9"], data["n0"] = " n9=x: ", " n0=other: " })
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				l := startTableWriter(t, w, "t1")
				runTableWriter(t, l)
				if err := l.commit(t.Context(), set("n0", "a")); err != nil {
					t.Fatal(err)
				}
				tc.prepare(w)
				if err := l.commit(t.Context(), set("n1", "b")); err != nil {
					t.Fatal(err)
				}
				got, _ := parseTable(w.data())
				want := table{term: "t1", entries: map[string]entry{"n0": {id: "a"}, "n1": {id: "b"}}}
				if diff := cmp.Diff(want, got, compareTables); diff != "" {
					t.Errorf("table (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTableWriterDeposed(t *testing.T) {
	tests := map[string]func(w *world, l *tableWriter) error{
		"at its next write": func(w *world, l *tableWriter) error {
			return l.commit(w.t.Context(), set("n1", "b"))
		},
		"at its next check": func(w *world, l *tableWriter) error {
			w.sleep(tableCheckEvery)
			return l.commit(context.Background(), set("n1", "b"))
		},
		"when it confirms its term": func(w *world, l *tableWriter) error { return l.confirmTerm(w.t.Context()) },
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.t
				first := startTableWriter(t, w, "t1")
				runTableWriter(t, first)
				if err := first.commit(t.Context(), set("n0", "a")); err != nil {
					t.Fatal(err)
				}
				startTableWriter(t, w, "t2")
				if err := act(w, first); !errors.Is(err, errDeposed) {
					t.Errorf("got %v, want %v", err, errDeposed)
				}
				got, _ := parseTable(w.data())
				want := table{term: "t2", entries: map[string]entry{"n0": {id: "a"}}}
				if diff := cmp.Diff(want, got, compareTables); diff != "" {
					t.Errorf("table (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTableWriterStopsForGood(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		l := startTableWriter(t, w, "t1")
		ended := runTableWriter(t, l)
		startTableWriter(t, w, "t2")
		_ = l.commit(t.Context(), set("n1", "b"))
		if err := <-ended; !errors.Is(err, errDeposed) {
			t.Errorf("got %v, want %v", err, errDeposed)
		}
		w.resetCounts()
		if err := l.commit(t.Context(), set("n1", "b")); !errors.Is(err, errDeposed) {
			t.Errorf("got %v, want %v", err, errDeposed)
		}
		if w.callsOf("") > 0 {
			t.Errorf("%d calls, want none", w.callsOf(""))
		}
	})
}

// A process that pauses between its election and its takeover must not depose one that was
// elected later.
func TestTakeOverGivesWayToALaterOne(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		logger, ctx := ktesting.NewTestContext(t)
		slow := newTableWriter(w.client().CoreV1().ConfigMaps(system), "slow", clock.RealClock{}, logger, newMetrics())
		w.failOnce("create configmaps", fault{before: errLost})
		if _, err := slow.takeOver(ctx); !errors.Is(err, errLost) {
			t.Fatalf("got %v, want %v", err, errLost)
		}
		startTableWriter(t, w, "later")
		if _, err := slow.takeOver(ctx); !errors.Is(err, errDeposed) {
			t.Errorf("got %v, want %v", err, errDeposed)
		}
		if w.data()[termKey] != "later" {
			t.Errorf("term %q, want later", w.data()[termKey])
		}
	})
}

func TestTakeOverWithALostAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		logger, ctx := ktesting.NewTestContext(t)
		l := newTableWriter(w.client().CoreV1().ConfigMaps(system), "t1", clock.RealClock{}, logger, newMetrics())
		w.failOnce("create configmaps", fault{after: errLost})
		if _, err := l.takeOver(ctx); !errors.Is(err, errLost) {
			t.Fatalf("got %v, want %v", err, errLost)
		}
		if _, err := l.takeOver(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestCommitRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		l := startTableWriter(t, w, "t1")
		runTableWriter(t, l)
		w.failOnce("update configmaps", fault{before: errForbidden})
		if err := l.commit(t.Context(), set("n1", "a")); !apierrors.IsForbidden(err) {
			t.Errorf("got %v, want forbidden", err)
		}
		if err := l.commit(t.Context(), set("n2", "b")); err != nil {
			t.Fatal(err)
		}
		got, _ := parseTable(w.data())
		want := table{term: "t1", entries: map[string]entry{"n2": {id: "b"}}}
		if diff := cmp.Diff(want, got, compareTables); diff != "" {
			t.Errorf("table (-want +got):\n%s", diff)
		}
	})
}

// A write whose answer was lost may still take effect, so it must be repeated until it succeeds.
func TestCommitOfUnknownOutcome(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		l := startTableWriter(t, w, "t1")
		runTableWriter(t, l)
		answers := []fault{{before: errLost}, {before: errForbidden}, {before: errForbidden}}
		w.onCall(func(call string) fault {
			if call != "update configmaps" || len(answers) == 0 {
				return fault{}
			}
			f := answers[0]
			answers = answers[1:]
			return f
		})
		if err := l.commit(t.Context(), set("n1", "a")); err != nil {
			t.Errorf("got %v, want it written in the end", err)
		}
	})
}

func TestTableDeleted(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		l := startTableWriter(t, w, "t1")
		runTableWriter(t, l)
		if err := l.commit(t.Context(), set("n1", "a")); err != nil {
			t.Fatal(err)
		}
		want := w.data()
		w.deleteTable()
		w.sleep(tableCheckEvery)
		if w.data() == nil {
			t.Fatal("no table")
		}
		if diff := cmp.Diff(want, w.data()); diff != "" {
			t.Errorf("data (-want +got):\n%s", diff)
		}
	})
}

func TestTableFull(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.table = &v1.ConfigMap{Data: map[string]string{"n0": " " + strings.Repeat("x", maxTable-100) + "n0=a: "}}
		l := startTableWriter(t, w, "t1")
		runTableWriter(t, l)
		long := strings.Repeat("y", 200)
		if err := l.commit(t.Context(), set(long, "b")); !errors.Is(err, errTableFull) {
			t.Errorf("got %v, want %v", err, errTableFull)
		}
		if err := l.commit(t.Context(), change{node: strings.Repeat("x", maxTable-100) + "n0"}); err != nil {
			t.Errorf("dropping an entry: %v", err)
		}
		if err := l.commit(t.Context(), set(long, "b")); err != nil {
			t.Errorf("with room again: %v", err)
		}
	})
}

func TestCommitCanceled(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		l := startTableWriter(t, w, "t1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.commit(ctx, set("n1", "a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
	})
}
