package dedication

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// bootHashLength is how many characters of a bootID's hash are kept: enough to distinguish the
// boots of one machine, and few of the table's bytes.
const bootHashLength = 10

// bootHash returns the shortened hash of the bootID that a node reports, empty if it reports none.
func bootHash(node *v1.Node) string {
	if node.Status.NodeInfo.BootID == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(node.Status.NodeInfo.BootID))
	return hex.EncodeToString(sum[:])[:bootHashLength]
}

// releaseIfIdle releases a dedicated node that has been empty for long enough. It returns after
// how long to try again, zero if an event will trigger that.
func (e *Engine) releaseIfIdle(ctx context.Context, name string, rec *record) time.Duration {
	policy := e.cluster.Policy()
	node, exists := e.cluster.Node(name)
	occupancy, local := e.cluster.Occupancy(name), e.cluster.LocalTenants(name)
	if !e.judgedBy(policy) {
		return 0 // RulesChanged follows
	}

	e.mu.Lock()
	if e.records[name] != rec || rec.operation != nil || rec.phase == planned || rec.phase == closing {
		e.mu.Unlock()
		return 0
	}
	now := e.clock.Now()
	waitsForReboot := e.settings().NodeReuse == ReuseAfterReboot && rec.entry.boot != ""
	switch {
	case len(rec.reservations) > 0 || occupancy.Protected() || (exists && rec.holdsData(local)):
		rec.emptySince = time.Time{}
		if occupancy.Protected() && rec.entry.boot != "" {
			// This process did not place these pods: the boot in the entry is older than they are.
			e.setPhase(rec, inherited)
			e.startPrepare(name, rec)
		}
		e.mu.Unlock()
		return 0
	case waitsForReboot && exists && !rebooted(rec, node):
		e.mu.Unlock()
		return 0
	case rec.emptySince.IsZero():
		rec.emptySince = now
	}
	// A node that has no Node object, or was rebooted since, need not cool down.
	if wait := rec.emptySince.Add(e.settings().ReleaseAfter).Sub(now); wait > 0 && exists && !waitsForReboot {
		e.mu.Unlock()
		return wait
	}
	if rec.phase == doubtful {
		// No LIST shows a bind that may still take effect: the node gets another id first. The
		// end of that operation reconciles the node again.
		e.startPrepare(name, rec)
		e.mu.Unlock()
		return 0
	}
	op := newOperation()
	rec.operation = op
	from, reserveCount := rec.phase, rec.reserveCount
	e.mu.Unlock()

	err := e.tryRelease(ctx, name, rec, op, from, reserveCount)
	if err == nil || ctx.Err() != nil {
		return 0
	}
	e.logger.Error(err, "Node could not be released, trying again", "node", name)
	return e.backoff.When(name)
}

// rebooted reports whether the node has rebooted since its last pod ended; false if it reports no
// bootID.
func rebooted(rec *record, node *v1.Node) bool {
	boot := bootHash(node)
	return boot != "" && rec.entry.boot != "" && boot != rec.entry.boot
}

// tryRelease releases an empty node, or writes into its entry in which boot it became empty. Pods
// can use the record until the release is certain.
func (e *Engine) tryRelease(ctx context.Context, name string, rec *record, op *operation, from phase, reserveCount uint64) error {
	node, action, err := e.decideRelease(ctx, name, rec)

	e.mu.Lock()
	if err == nil && (len(rec.reservations) > 0 || rec.phase != from || rec.reserveCount != reserveCount) {
		err = errInUse
	}
	if err != nil || action == keepDedicated {
		rec.operation = nil
		rec.emptySince = time.Time{}
		e.mu.Unlock()
		close(op.done)
		if errors.Is(err, errInUse) {
			return nil
		}
		return err
	}
	if action == noteBoot {
		// Binds wait: they need an entry without a boot.
		e.setPhase(rec, vacated)
		e.mu.Unlock()
		err = e.setBoot(ctx, name, rec, bootHash(node))
		e.mu.Lock()
		if err != nil {
			e.setPhase(rec, inherited)
		}
		rec.operation = nil
		e.mu.Unlock()
		close(op.done)
		return err
	}
	e.setClosing(name, rec)
	e.mu.Unlock()
	e.reportChange(name)
	// A pod that reserved the node in time has kept it dedicated; no pod waits for this.
	e.removeDedication(ctx, name, rec)
	return nil
}

// errInUse: the node is not idle after all.
var errInUse = errors.New("the node is in use")

// releaseAction is what to do with a node that seems idle.
type releaseAction uint8

const (
	// keepDedicated: the node keeps its dedication.
	keepDedicated releaseAction = iota
	// noteBoot: the boot is written into the entry; the node is released after a reboot.
	noteBoot
	// releaseNode: the node is released.
	releaseNode
)

// decideRelease checks by LIST that a node is empty and then, by GET, in which boot.
func (e *Engine) decideRelease(ctx context.Context, name string, rec *record) (*v1.Node, releaseAction, error) {
	found, err := e.listPods(ctx, name)
	if err != nil {
		return nil, keepDedicated, err
	}
	if found.occupancy.Protected() {
		return nil, keepDedicated, errInUse
	}
	if e.settings().NodeReuse != ReuseAfterReboot {
		return nil, releaseNode, nil
	}
	node, err := e.current(ctx, name)
	switch {
	case errors.Is(err, errNodeGone):
		// The machine may come back under the same name, as a new Node.
		return nil, releaseNode, nil
	case err != nil:
		return nil, keepDedicated, err
	case bootHash(node) == "":
		// A reboot could never be detected.
		return nil, keepDedicated, errNoBoot
	case rebooted(rec, node):
		return node, releaseNode, nil
	case rec.entry.boot == "":
		return node, noteBoot, nil
	}
	return node, keepDedicated, nil
}

var errNoBoot = errors.New("the Node reports no bootID: with dedication.nodeReuse AfterReboot it stays dedicated")

// setBoot writes the boot in which a node became empty into its entry, or removes it.
func (e *Engine) setBoot(ctx context.Context, name string, rec *record, boot string) error {
	return e.setEntry(ctx, name, rec, entry{id: rec.entry.id, boot: boot})
}

// removeDedication removes a dedication: first the entry, then the taints. The record is closing
// and its operation is the caller's. A failure is tried again.
func (e *Engine) removeDedication(ctx context.Context, name string, rec *record) {
	err := e.removeEntryAndMarks(ctx, name, rec)
	e.mu.Lock()
	op := rec.operation
	rec.operation = nil
	if err == nil {
		e.deleteRecord(name, rec)
	}
	e.mu.Unlock()
	close(op.done)
	if err == nil {
		e.backoff.Forget(name)
		e.logger.V(2).Info("Node is released", "node", name, "dedication", rec.dedication)
		e.reportChange(name)
		e.queue.Add(name)
		return
	}
	if ctx.Err() == nil {
		e.logger.Error(err, "Node could not be released, trying again", "node", name)
		e.queue.AddAfter(name, e.backoff.When(name))
	}
}

func (e *Engine) removeEntryAndMarks(ctx context.Context, name string, rec *record) error {
	node, err := e.node(name)
	if errors.Is(err, errNodeGone) {
		// The informer may not have a new Node yet.
		if node, err = e.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err != nil {
			node = nil
		}
	}
	entryDropped := rec.entry != entry{}
	if entryDropped {
		if err := e.table.commit(ctx, change{node: name}); err != nil {
			return err
		}
		e.mu.Lock()
		rec.entry = entry{}
		e.mu.Unlock()
	}
	if node == nil {
		return nil
	}
	none := e.noMarks(node)
	if !entryDropped && none.areOn(node) {
		return nil
	}
	if !entryDropped {
		// No write has proved that this process leads; the node was read before.
		if err := e.confirm(ctx); err != nil {
			return err
		}
	}
	if err := e.applyMarks(ctx, node, none); err != nil && !errors.Is(err, errNodeGone) {
		return err
	}
	return nil
}
