package dedication

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// errDeposed ends the engine for good.
var errDeposed = errors.New("ConfigMap " + TableName + " bears the term of another scheduler process, which has taken over: " +
	"this one places no more pods and must be restarted")

// errNoTable: the table does not exist, so the leader cannot be confirmed.
var errNoTable = errors.New("ConfigMap " + TableName + " does not exist: it is written again at the next check")

// The wait before a failed call to the API server is repeated, doubled each time.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// change is a change of one node's entry.
type change struct {
	node string
	// entry is the new entry, nil to remove it.
	entry *entry
}

// pendingCommit is a call of commit that waits for the write.
type pendingCommit struct {
	changes []change
	// done receives the result once; it is buffered.
	done chan error
}

// tableWriter is the only writer of the table. It joins concurrent commits in one write, which
// the resourceVersion of the last write guards. A process that finds another term than its own in
// the table has been deposed.
type tableWriter struct {
	configMaps corev1.ConfigMapInterface
	clock      clock.Clock
	logger     klog.Logger
	metrics    *metrics
	term       string

	// queue holds the commits of the next write; wake is buffered for one signal.
	mu      sync.Mutex
	queue   []pendingCommit
	stopped error
	wake    chan struct{}
	// beside is what is to stand beside the entries.
	beside map[string]string

	// predecessor is the term that the first read found.
	predecessor *string

	// Only run uses these: the table as it should be, its size, and the object that holds it.
	desired table
	size    int
	object  *v1.ConfigMap
}

func newTableWriter(configMaps corev1.ConfigMapInterface, term string, clock clock.Clock, logger klog.Logger, m *metrics) *tableWriter {
	return &tableWriter{
		configMaps: configMaps, term: term, clock: clock, logger: logger, metrics: m,
		wake: make(chan struct{}, 1),
	}
}

// takeOver writes the term into the table and returns the table's entries. It may be repeated
// after an error that is not errDeposed.
func (w *tableWriter) takeOver(ctx context.Context) (map[string]entry, error) {
	beside := w.currentBeside()
	for {
		found, err := w.configMaps.Get(ctx, TableName, metav1.GetOptions{})
		exists := !apierrors.IsNotFound(err)
		if err != nil && exists {
			return nil, fmt.Errorf("reading ConfigMap %s: %w", TableName, err)
		}
		if !exists {
			found = &v1.ConfigMap{}
		}
		term := found.Data[termKey]
		if w.predecessor == nil {
			w.predecessor = &term
		}
		// A process that has written a term since was elected later than this one.
		if term != *w.predecessor && term != w.term {
			return nil, errDeposed
		}
		if term != w.term {
			if found, err = w.write(ctx, found, exists, withTerm(found.Data, w.term, beside)); isConflict(err) {
				continue
			} else if err != nil {
				return nil, fmt.Errorf("writing ConfigMap %s: %w", TableName, err)
			}
		}
		t, damage := parseTable(found.Data)
		for _, err := range damage {
			w.logger.Error(err, "Dropping a damaged entry of the table of dedicated nodes")
		}
		t.beside = beside
		w.desired, w.size, w.object = t, t.size(), found
		return maps.Clone(t.entries), nil
	}
}

// withTerm returns data with another term, and with other keys beside its entries.
func withTerm(data map[string]string, term string, beside map[string]string) map[string]string {
	with := map[string]string{termKey: term}
	for key, value := range data {
		if len(key) <= maxKey {
			with[key] = value
		}
	}
	maps.Copy(with, beside)
	return with
}

func isConflict(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

// write writes data to the ConfigMap, guarded by the version of the object found.
func (w *tableWriter) write(ctx context.Context, found *v1.ConfigMap, exists bool, data map[string]string) (*v1.ConfigMap, error) {
	var err error
	if exists {
		next := *found
		next.Data = data
		next.BinaryData = nil
		found, err = w.configMaps.Update(ctx, &next, metav1.UpdateOptions{})
	} else {
		found, err = w.configMaps.Create(ctx, &v1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: TableName},
			Data:       data,
		}, metav1.CreateOptions{})
	}
	w.metrics.countWrite(objectFence, err)
	return found, err
}

// setBeside has the mode, and what is beside the entries, written.
func (w *tableWriter) setBeside(s Settings) {
	beside := map[string]string{modeKey: modeDisabled}
	if s.Enabled {
		beside[modeKey] = modeEnabled
	}
	maps.Copy(beside, s.Beside)
	w.mu.Lock()
	w.beside = beside
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *tableWriter) currentBeside() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.beside
}

// commit enqueues the changes and waits until they are written. After an error that is not ctx's
// they are not written; after ctx's error they may still be, before those of later commits.
func (w *tableWriter) commit(ctx context.Context, changes ...change) error {
	c := pendingCommit{changes: changes, done: make(chan error, 1)}
	w.mu.Lock()
	if err := w.stopped; err != nil {
		w.mu.Unlock()
		return err
	}
	w.queue = append(w.queue, c)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run writes the commits until ctx ends or the process is deposed, and returns why. At every
// interval it checks that the table is still what it wrote.
func (w *tableWriter) run(ctx context.Context, lookEvery time.Duration) error {
	look := w.clock.NewTimer(lookEvery)
	defer look.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-w.wake:
			err = w.writeQueue(ctx)
		case <-look.C():
			err = w.check(ctx)
			look.Reset(lookEvery)
		}
		if err != nil {
			w.stop(err)
			return err
		}
	}
}

func (w *tableWriter) stop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = err
	for _, c := range w.queue {
		c.done <- err
	}
	w.queue = nil
}

// writeQueue writes the enqueued commits. An error ends the writer.
func (w *tableWriter) writeQueue(ctx context.Context) error {
	w.mu.Lock()
	queue := w.queue
	w.queue = nil
	w.mu.Unlock()

	beside := w.currentBeside()
	moved := !maps.Equal(w.desired.beside, beside)
	w.desired.beside = beside
	w.size = w.desired.size()
	before, sizeBefore := maps.Clone(w.desired.entries), w.size
	waiting := queue[:0]
	for _, c := range queue {
		if err := w.apply(c.changes); err != nil {
			c.done <- err
			continue
		}
		waiting = append(waiting, c)
	}
	if len(waiting) == 0 && !moved {
		return nil
	}
	err := w.persist(ctx)
	fatal := ctx.Err() != nil || errors.Is(err, errDeposed)
	if err != nil {
		// Nothing was written, so the table is what it was.
		w.desired.entries, w.size = before, sizeBefore
	}
	for _, c := range waiting {
		c.done <- err
	}
	if fatal {
		return err
	}
	return nil
}

// apply applies all changes to the table in memory, or none.
func (w *tableWriter) apply(changes []change) error {
	size := w.size
	for _, c := range changes {
		if old, ok := w.desired.entries[c.node]; ok {
			size -= entrySize(c.node, old)
		}
		if c.entry != nil {
			size += entrySize(c.node, *c.entry)
		}
	}
	if size > maxTable && size > w.size {
		return errTableFull
	}
	for _, c := range changes {
		if c.entry == nil {
			delete(w.desired.entries, c.node)
		} else {
			w.desired.entries[c.node] = *c.entry
		}
	}
	w.size = size
	return nil
}

// persist writes the table of memory, and repeats that until it is written, the API server
// refuses it, the process is deposed, or ctx ends.
func (w *tableWriter) persist(ctx context.Context) error {
	data := w.desired.data()
	found, exists := w.object, true
	// unknown: a write of these changes may still take effect, so they must be written and
	// cannot be reverted.
	unknown := false
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		written, err := w.write(ctx, found, exists, data)
		if err == nil {
			w.object = written
			return nil
		}
		if isConflict(err) {
			// The table was deleted or edited, a write of ours took effect without an answer,
			// or another process leads. Reading the table shows which.
			nowFound, nowExists, readErr := w.read(ctx)
			if readErr == nil {
				found, exists = nowFound, nowExists
				continue
			}
			err = readErr
		}
		if errors.Is(err, errDeposed) || (IsRefusal(err) && !unknown) {
			return err
		}
		unknown = unknown || !IsRefusal(err)
		w.logger.Error(err, "Writing the table of dedicated nodes failed, trying again", "after", wait)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.clock.After(wait):
		}
	}
}

// read returns the table's object and whether it exists; errDeposed if it has another term.
func (w *tableWriter) read(ctx context.Context) (*v1.ConfigMap, bool, error) {
	found, err := w.configMaps.Get(ctx, TableName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if found.Data[termKey] != w.term {
		return nil, true, errDeposed
	}
	return found, true, nil
}

// confirmTerm returns an error unless the table has this process's term. It is safe for
// concurrent use.
func (w *tableWriter) confirmTerm(ctx context.Context) error {
	_, exists, err := w.read(ctx)
	if err == nil && !exists {
		return errNoTable
	}
	return err
}

// IsRefusal reports whether the API server has refused the request, and repeating it is useless.
func IsRefusal(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsMethodNotSupported(err)
}

// check writes the table again if it was deleted or edited.
func (w *tableWriter) check(ctx context.Context) error {
	found, exists, err := w.read(ctx)
	switch {
	case errors.Is(err, errDeposed):
		return err
	case err != nil:
		w.logger.V(2).Info("Reading the table of dedicated nodes failed, trying again", "err", err)
	}
	if err != nil || (exists && maps.Equal(found.Data, w.desired.data())) {
		return nil //nolint:nilerr // A failed read does not end the writer; the next check repeats it.
	}
	w.logger.Info("The table of dedicated nodes was deleted or edited: writing it again")
	if err := w.persist(ctx); errors.Is(err, errDeposed) || ctx.Err() != nil {
		return err
	}
	return nil
}
