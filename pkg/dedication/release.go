package dedication

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// bootLength is how many characters of a bootID's hash are noted: enough to tell the boots
// of one machine apart, and few of the table's bytes.
const bootLength = 10

// bootOf returns what is noted of the boot that a node reports, empty if it reports none.
func bootOf(node *v1.Node) string {
	if node.Status.NodeInfo.BootID == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(node.Status.NodeInfo.BootID))
	return hex.EncodeToString(sum[:])[:bootLength]
}

// idle looks whether a dedicated node is in use, and gives it back when it has been idle for
// long enough. It returns when to look again, zero if an event will tell.
func (e *Engine) idle(ctx context.Context, name string, rec *record) time.Duration {
	node, exists := e.cluster.Node(name)
	occupancy := e.cluster.Occupancy(name)

	e.mu.Lock()
	if e.book[name] != rec || rec.work != nil || rec.phase == planned || rec.phase == closing {
		e.mu.Unlock()
		return 0
	}
	now := e.clock.Now()
	waitsForReboot := e.cfg.NodeReuse == ReuseAfterReboot && rec.entry.boot != ""
	switch {
	case len(rec.leases) > 0 || occupancy.Protected():
		rec.emptySince = time.Time{}
		if occupancy.Protected() && rec.entry.boot != "" {
			// Pods that this process did not bring: the note is of before them.
			e.advance(rec, inherited)
			e.begin(name, rec)
		}
		e.mu.Unlock()
		return 0
	case waitsForReboot && exists && !rebooted(rec, node):
		e.mu.Unlock()
		return 0
	case rec.emptySince.IsZero():
		rec.emptySince = now
	}
	// What has no Node, or has been rebooted since, need not cool down.
	if wait := rec.emptySince.Add(e.cfg.ReleaseAfter).Sub(now); wait > 0 && exists && !waitsForReboot {
		e.mu.Unlock()
		return wait
	}
	if rec.phase == doubtful {
		// No LIST tells of a bind that is still good: another id comes first, which nobody
		// is given. Its end comes back here.
		e.begin(name, rec)
		e.mu.Unlock()
		return 0
	}
	w := newWork()
	rec.work = w
	from, uses := rec.phase, rec.uses
	e.mu.Unlock()

	err := e.giveBack(ctx, name, rec, w, from, uses)
	if err == nil || ctx.Err() != nil {
		return 0
	}
	e.logger.Error(err, "Node could not be released, trying again", "node", name)
	return e.backoff.When(name)
}

// rebooted reports whether the node has been started again since it was left. Of a node
// that reports no boot nobody can tell.
func rebooted(rec *record, node *v1.Node) bool {
	boot := bootOf(node)
	return boot != "" && rec.entry.boot != "" && boot != rec.entry.boot
}

// giveBack releases a node on which nobody is, or notes in which boot it was left. The
// record stays usable until it is certain that it goes.
func (e *Engine) giveBack(ctx context.Context, name string, rec *record, w *work, from phase, uses uint64) error {
	node, action, err := e.look(ctx, name, rec)

	e.mu.Lock()
	if err == nil && (len(rec.leases) > 0 || rec.phase != from || rec.uses != uses) {
		err = errInUse
	}
	if err != nil || action == stay {
		rec.work = nil
		rec.emptySince = time.Time{}
		e.mu.Unlock()
		close(w.done)
		if errors.Is(err, errInUse) {
			return nil
		}
		return err
	}
	if action == noteBoot {
		// Binds wait: they need an entry without a note.
		e.advance(rec, vacated)
		e.mu.Unlock()
		err = e.note(ctx, name, rec, bootOf(node))
		e.mu.Lock()
		if err != nil {
			e.advance(rec, inherited)
		}
		rec.work = nil
		e.mu.Unlock()
		close(w.done)
		return err
	}
	e.advance(rec, closing)
	e.mu.Unlock()
	// Whoever reserved the node in time has made it stay; nobody waits.
	e.close(ctx, name, rec)
	return nil
}

// errInUse: the node is not idle after all.
var errInUse = errors.New("the node is in use")

// idleAction is what becomes of an idle node.
type idleAction uint8

const (
	// stay: it keeps its dedication.
	stay idleAction = iota
	// noteBoot: the boot is noted, and it keeps its dedication until that is over.
	noteBoot
	// free: it is released.
	free
)

// look finds out by LIST whether a node is idle, and by GET, after that, in which boot.
func (e *Engine) look(ctx context.Context, name string, rec *record) (*v1.Node, idleAction, error) {
	found, err := e.list(ctx, name)
	if err != nil {
		return nil, stay, err
	}
	if found.occupancy.Protected() {
		return nil, stay, errInUse
	}
	if e.cfg.NodeReuse != ReuseAfterReboot {
		return nil, free, nil
	}
	node, err := e.current(ctx, name)
	switch {
	case errors.Is(err, errNodeGone):
		// The machine may come back under the same name, and then as a Node of its own.
		return nil, free, nil
	case err != nil:
		return nil, stay, err
	case bootOf(node) == "":
		// Nobody will ever know that it was rebooted.
		return nil, stay, errNoBoot
	case rebooted(rec, node):
		return node, free, nil
	case rec.entry.boot == "":
		return node, noteBoot, nil
	}
	return node, stay, nil
}

var errNoBoot = errors.New("the Node reports no bootID: with claims.nodeReuse AfterReboot it stays dedicated")

// note writes into a node's entry in which boot it was left, or takes that away.
func (e *Engine) note(ctx context.Context, name string, rec *record, boot string) error {
	return e.setEntry(ctx, name, rec, entry{id: rec.entry.id, boot: boot})
}

// close takes a dedication away: first the entry, then the taints. The record is closing and
// its work is the caller's. What fails is tried again.
func (e *Engine) close(ctx context.Context, name string, rec *record) {
	err := e.removeMarks(ctx, name, rec)
	e.mu.Lock()
	w := rec.work
	rec.work = nil
	if err == nil {
		e.deleteRecord(name, rec)
	}
	e.mu.Unlock()
	close(w.done)
	if err == nil {
		e.backoff.Forget(name)
		e.logger.V(2).Info("Node is released", "node", name, "dedication", rec.dedication)
		e.report(name)
		e.queue.Add(name)
		return
	}
	if ctx.Err() == nil {
		e.logger.Error(err, "Node could not be released, trying again", "node", name)
		e.queue.AddAfter(name, e.backoff.When(name))
	}
}

func (e *Engine) removeMarks(ctx context.Context, name string, rec *record) error {
	node, err := e.node(name)
	if errors.Is(err, errNodeGone) {
		// The informer may not know a new Node yet.
		if node, err = e.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err != nil {
			node = nil
		}
	}
	wrote := rec.entry != entry{}
	if wrote {
		if err := e.ledger.commit(ctx, change{node: name}); err != nil {
			return err
		}
		e.mu.Lock()
		rec.entry = entry{}
		e.mu.Unlock()
	}
	none := marksOf(isolation.Dedication{}, "", e.cfg.TaintEffect)
	if node == nil || (!wrote && none.onNode(node)) {
		return nil
	}
	if !wrote {
		// No write has shown that this process leads, and the node was read before.
		if err := e.confirm(ctx); err != nil {
			return err
		}
	}
	if err := e.applyMarks(ctx, node, none); err != nil && !errors.Is(err, errNodeGone) {
		return err
	}
	return nil
}
