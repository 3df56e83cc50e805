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

// errDeposed ends this process's work for good.
var errDeposed = errors.New("ConfigMap " + TableName + " bears the term of another scheduler process, which has taken over: " +
	"this one places no more pods and must be restarted")

// errNoTable: the table is missing, and so is whatever it would say of who leads.
var errNoTable = errors.New("ConfigMap " + TableName + " does not exist: it is being written again")

// How long the ledger waits before it repeats what the API server could not do.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// change is what is to become of one node's entry.
type change struct {
	node string
	// entry is the new one, nil to drop it.
	entry *entry
}

type commit struct {
	changes []change
	// done gets one answer and has room for it.
	done chan error
}

// ledger is the one writer of the table. What several ask for at one time goes into one
// write, whose guard is the resourceVersion of the last one: whoever finds another term
// than its own in the table has been deposed.
type ledger struct {
	configMaps corev1.ConfigMapInterface
	clock      clock.Clock
	logger     klog.Logger
	metrics    *metrics
	term       string

	// queue is what is to be written next; wake has room for one.
	mu      sync.Mutex
	queue   []commit
	stopped error
	wake    chan struct{}

	// predecessor is the term that was found first.
	predecessor *string

	// The writer's own: the table as it is to be, its size, and the object that holds it.
	table  table
	size   int
	object *v1.ConfigMap
}

func newLedger(configMaps corev1.ConfigMapInterface, term string, clock clock.Clock, logger klog.Logger, m *metrics) *ledger {
	return &ledger{
		configMaps: configMaps, term: term, clock: clock, logger: logger, metrics: m,
		wake: make(chan struct{}, 1),
	}
}

// takeOver writes the term into the table and returns what the table holds. It may be
// repeated after an error that is not errDeposed.
func (l *ledger) takeOver(ctx context.Context) (map[string]entry, error) {
	for {
		found, err := l.configMaps.Get(ctx, TableName, metav1.GetOptions{})
		exists := !apierrors.IsNotFound(err)
		if err != nil && exists {
			return nil, fmt.Errorf("reading ConfigMap %s: %w", TableName, err)
		}
		if !exists {
			found = &v1.ConfigMap{}
		}
		term := found.Data[termKey]
		if l.predecessor == nil {
			l.predecessor = &term
		}
		// Whoever wrote a term since took over later than this process.
		if term != *l.predecessor && term != l.term {
			return nil, errDeposed
		}
		if term != l.term {
			if found, err = l.write(ctx, found, exists, withTerm(found.Data, l.term)); lostRace(err) {
				continue
			} else if err != nil {
				return nil, fmt.Errorf("writing ConfigMap %s: %w", TableName, err)
			}
		}
		t, damage := parseTable(found.Data)
		for _, err := range damage {
			l.logger.Error(err, "Dropping a damaged entry of the table of dedicated nodes")
		}
		l.table, l.size, l.object = t, t.size(), found
		return maps.Clone(t.entries), nil
	}
}

func withTerm(data map[string]string, term string) map[string]string {
	data = maps.Clone(data)
	if data == nil {
		data = map[string]string{}
	}
	data[termKey] = term
	return data
}

func lostRace(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

// write puts data into the ConfigMap, guarded by the version of what was found.
func (l *ledger) write(ctx context.Context, found *v1.ConfigMap, exists bool, data map[string]string) (*v1.ConfigMap, error) {
	var err error
	if exists {
		next := *found
		next.Data = data
		next.BinaryData = nil
		found, err = l.configMaps.Update(ctx, &next, metav1.UpdateOptions{})
	} else {
		found, err = l.configMaps.Create(ctx, &v1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: TableName},
			Data:       data,
		}, metav1.CreateOptions{})
	}
	l.metrics.wrote(objectFence, err)
	return found, err
}

// commit has the changes written and waits until they are. After an error that is not
// ctx's they have not been; after ctx's they may be yet, in order with what is asked later.
func (l *ledger) commit(ctx context.Context, changes ...change) error {
	c := commit{changes: changes, done: make(chan error, 1)}
	l.mu.Lock()
	if err := l.stopped; err != nil {
		l.mu.Unlock()
		return err
	}
	l.queue = append(l.queue, c)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run writes until ctx ends or the process is deposed, and returns why. From time to time
// it looks whether the table is still what it wrote.
func (l *ledger) run(ctx context.Context, lookEvery time.Duration) error {
	look := l.clock.NewTimer(lookEvery)
	defer look.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-l.wake:
			err = l.writeQueue(ctx)
		case <-look.C():
			err = l.look(ctx)
			look.Reset(lookEvery)
		}
		if err != nil {
			l.stop(err)
			return err
		}
	}
}

func (l *ledger) stop(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = err
	for _, c := range l.queue {
		c.done <- err
	}
	l.queue = nil
}

// writeQueue writes what is asked for. An error ends the ledger.
func (l *ledger) writeQueue(ctx context.Context) error {
	l.mu.Lock()
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()

	before, sizeBefore := maps.Clone(l.table.entries), l.size
	waiting := queue[:0]
	for _, c := range queue {
		if err := l.apply(c.changes); err != nil {
			c.done <- err
			continue
		}
		waiting = append(waiting, c)
	}
	if len(waiting) == 0 {
		return nil
	}
	err := l.persist(ctx)
	fatal := ctx.Err() != nil || errors.Is(err, errDeposed)
	if err != nil {
		// The API server has refused, so the table is what it was.
		l.table.entries, l.size = before, sizeBefore
	}
	for _, c := range waiting {
		c.done <- err
	}
	if fatal {
		return err
	}
	return nil
}

// apply changes the table in memory, wholly or not at all.
func (l *ledger) apply(changes []change) error {
	size := l.size
	for _, c := range changes {
		if old, ok := l.table.entries[c.node]; ok {
			size -= entrySize(c.node, old)
		}
		if c.entry != nil {
			size += entrySize(c.node, *c.entry)
		}
	}
	if size > maxTable && size > l.size {
		return errTableFull
	}
	for _, c := range changes {
		if c.entry == nil {
			delete(l.table.entries, c.node)
		} else {
			l.table.entries[c.node] = *c.entry
		}
	}
	l.size = size
	return nil
}

// persist writes the table as it is in memory, until it is written, the API server
// refuses for good, or the process is deposed.
func (l *ledger) persist(ctx context.Context) error {
	data := l.table.data()
	found, exists := l.object, true
	// unknown: a write of these changes may still take effect, so that they must be
	// written and not taken back.
	unknown := false
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		written, err := l.write(ctx, found, exists, data)
		if err == nil {
			l.object = written
			return nil
		}
		if lostRace(err) {
			// Somebody deleted or edited the table, a write of ours took effect of which
			// no answer came, or somebody else leads. Only the table can tell.
			nowFound, nowExists, readErr := l.read(ctx)
			if readErr == nil {
				found, exists = nowFound, nowExists
				continue
			}
			err = readErr
		}
		if errors.Is(err, errDeposed) || (refused(err) && !unknown) {
			return err
		}
		unknown = unknown || !refused(err)
		l.logger.Error(err, "Writing the table of dedicated nodes failed, trying again", "after", wait)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.clock.After(wait):
		}
	}
}

// read returns the table's object, if it bears our term, and whether it exists.
func (l *ledger) read(ctx context.Context) (*v1.ConfigMap, bool, error) {
	found, err := l.configMaps.Get(ctx, TableName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if found.Data[termKey] != l.term {
		return nil, true, errDeposed
	}
	return found, true, nil
}

// confirm makes sure that the table bears our term. It may be called from any goroutine.
func (l *ledger) confirm(ctx context.Context) error {
	_, exists, err := l.read(ctx)
	if err == nil && !exists {
		return errNoTable
	}
	return err
}

// refused reports whether the API server has answered, and asking again is of no use.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsMethodNotSupported(err)
}

// look writes the table again if it is not what it ought to be.
func (l *ledger) look(ctx context.Context) error {
	found, exists, err := l.read(ctx)
	switch {
	case errors.Is(err, errDeposed):
		return err
	case err != nil:
		l.logger.V(2).Info("Reading the table of dedicated nodes failed, trying again", "err", err)
	}
	if err != nil || (exists && maps.Equal(found.Data, l.table.data())) {
		return nil //nolint:nilerr // Not to have read it now is no reason to end.
	}
	l.logger.Info("The table of dedicated nodes was deleted or edited: writing it again")
	if err := l.persist(ctx); errors.Is(err, errDeposed) || ctx.Err() != nil {
		return err
	}
	return nil
}
