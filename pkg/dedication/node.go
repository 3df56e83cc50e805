package dedication

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

var errNodeGone = errors.New("the Node does not exist")

// nodeMarks are the taints, labels and annotation that the engine writes on a Node.
type nodeMarks struct {
	taints   []v1.Taint
	labels   map[string]string
	openedBy string
}

// marksOf returns the marks of a dedication; the zero Dedication has no taints.
func marksOf(dedication isolation.Dedication, openedBy string, effect v1.TaintEffect, labels map[string]string) nodeMarks {
	m := nodeMarks{labels: labels, openedBy: openedBy}
	for _, taint := range dedication.Taints() {
		m.taints = append(m.taints, v1.Taint{Key: taint.Key, Value: taint.Value, Effect: effect})
	}
	return m
}

// noMarks returns the marks of a node that becomes free: nothing but labels that a pod on it requires.
func (e *Engine) noMarks(node *v1.Node) nodeMarks {
	return nodeMarks{labels: fittingLabels(node, nil, e.cluster.PodsOn(node.Name))}
}

// areOn reports whether the node has exactly these marks.
func (m nodeMarks) areOn(node *v1.Node) bool {
	var found []v1.Taint
	for _, taint := range node.Spec.Taints {
		if slices.Contains(isolation.DedicationTaints(), taint.Key) {
			// Other writers of taints may set a time.
			taint.TimeAdded = nil
			found = append(found, taint)
		}
	}
	return slices.Equal(found, m.taints) && maps.Equal(labelsOn(node), m.labels) && node.Annotations[OpenedByAnnotation] == m.openedBy
}

// Marked reports whether a node bears anything that an engine has written: a taint, a label or an annotation.
func Marked(node *v1.Node) bool { return !nodeMarks{}.areOn(node) }

// patch returns a merge patch that sets the marks on exactly this version of the node. The
// patch contains the taints of others too, so they stay; the version guards them.
func (m nodeMarks) patch(node *v1.Node) ([]byte, error) {
	taints := []v1.Taint{}
	for _, taint := range node.Spec.Taints {
		if !slices.Contains(isolation.DedicationTaints(), taint.Key) {
			taints = append(taints, taint)
		}
	}
	taints = append(taints, m.taints...)

	annotations := map[string]any{}
	if m.openedBy != "" {
		annotations[OpenedByAnnotation] = m.openedBy
	} else if _, has := node.Annotations[OpenedByAnnotation]; has {
		annotations[OpenedByAnnotation] = nil
	}
	return json.Marshal(map[string]any{
		"metadata": map[string]any{
			// A Node of the same name may be another machine.
			"uid":             node.UID,
			"resourceVersion": node.ResourceVersion,
			"labels":          labelPatch(node, m.labels),
			"annotations":     annotations,
		},
		"spec": map[string]any{"taints": taints},
	})
}

// applyMarks sets the marks on a node. The caller has read the node before it wrote the entry
// or last confirmed the term, so a paused leader never overwrites its successor's marks. A node
// that has changed since is read again, and the term is confirmed again.
func (e *Engine) applyMarks(ctx context.Context, node *v1.Node, m nodeMarks) error {
	return e.retry(ctx, func() error {
		patch, err := m.patch(node)
		if err != nil {
			return err
		}
		_, err = e.client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		e.metrics.countWrite(objectNode, err)
		switch {
		case apierrors.IsNotFound(err):
			return errNodeGone
		case apierrors.IsConflict(err):
			current, currentErr := e.current(ctx, node.Name)
			if currentErr != nil {
				return currentErr
			}
			node = current
		}
		return err
	})
}

// current reads a node from the API server and then confirms that this process still leads.
func (e *Engine) current(ctx context.Context, name string) (*v1.Node, error) {
	node, err := e.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, errNodeGone
	}
	if err != nil {
		return nil, err
	}
	return node, e.confirm(ctx)
}

// confirm confirms that this process still leads, and stops the engine if it does not.
func (e *Engine) confirm(ctx context.Context) error {
	err := e.table.confirmTerm(ctx)
	if errors.Is(err, errDeposed) {
		e.stop(err)
	}
	return err
}

// attempts is how often a call that a pod waits for is made. With the waits in between, that
// outlasts the restart of an API server behind a load balancer.
const attempts = 8

// retry repeats the call until it succeeds or fails for good, at most attempts times.
func (e *Engine) retry(ctx context.Context, call func() error) error {
	wait := firstRetry
	for attempt := 1; ; attempt++ {
		err := call()
		if err == nil || attempt == attempts || ctx.Err() != nil || IsRefusal(err) ||
			errors.Is(err, errNodeGone) || errors.Is(err, errDeposed) {
			return err
		}
		if err := e.sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, lastRetry)
	}
}

func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.clock.After(d):
		return nil
	}
}
