package dedication

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// labelKeys returns the keys of the Node labels that the engine writes, and of those that earlier
// releases have left: they had the keys of the taints.
func labelKeys() []string {
	return append(isolation.NodeLabelKeys(), isolation.DedicationTaints()...)
}

// labelsOn returns the labels with those keys that a node has.
func labelsOn(node *v1.Node) map[string]string {
	on := map[string]string{}
	for _, key := range labelKeys() {
		if value, ok := node.Labels[key]; ok {
			on[key] = value
		}
	}
	return on
}

// labelPatch returns what changes the labels of a node to the wanted ones, for a merge patch.
func labelPatch(node *v1.Node, wanted map[string]string) map[string]any {
	patch := map[string]any{}
	for key := range labelsOn(node) {
		patch[key] = nil
	}
	for key, value := range wanted {
		patch[key] = value
	}
	return patch
}

// passes reports whether a pod's required node affinity holds on a node with these labels in
// place of those that it has. A kubelet asks that too when it starts, and rejects the pods that run otherwise.
func passes(pod *v1.Pod, node *v1.Node, with map[string]string) bool {
	probe := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: map[string]string{}}}
	maps.Copy(probe.Labels, node.Labels)
	for _, key := range labelKeys() {
		delete(probe.Labels, key)
	}
	maps.Copy(probe.Labels, with)
	ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(probe)
	return ok && err == nil
}

// asksForLabels reports whether the pod's required node affinity depends on labels of the engine.
func asksForLabels(pod *v1.Pod) bool {
	keys := labelKeys()
	for key := range pod.Spec.NodeSelector {
		if slices.Contains(keys, key) {
			return true
		}
	}
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil || pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	for _, term := range pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for i := range term.MatchExpressions {
			if slices.Contains(keys, term.MatchExpressions[i].Key) {
				return true
			}
		}
	}
	return false
}

// fittingLabels returns the labels for a node: the first of the wanted ones with which the required node
// affinity of every pod holds, else none, else those that the node has. Of a pod with which none of
// these help, nothing depends on the labels.
func fittingLabels(node *v1.Node, wanted []isolation.NodeLabels, pods []*v1.Pod) map[string]string {
	var choices []map[string]string
	for _, w := range wanted {
		choices = append(choices, w.Map())
	}
	choices = append(choices, map[string]string{}, labelsOn(node))

	asking := slices.DeleteFunc(slices.Clone(pods), func(pod *v1.Pod) bool {
		return !asksForLabels(pod) || !slices.ContainsFunc(choices, func(with map[string]string) bool { return passes(pod, node, with) })
	})
	for _, with := range choices {
		if !slices.ContainsFunc(asking, func(pod *v1.Pod) bool { return !passes(pod, node, with) }) {
			return with
		}
	}
	return labelsOn(node)
}

// labelsOf returns the labels of a trust domain or of VMs that a node has.
func (e *Engine) labelsOf(node *v1.Node) isolation.NodeLabels {
	found, _ := e.cluster.Policy().ParseNodeLabels(node.Labels)
	return found
}

// labelled reports whether nodes like this one have labels.
func (e *Engine) labelled(node *v1.Node) bool {
	s := e.settings()
	return s.Enabled && s.LabelledNodes != nil && s.LabelledNodes.Matches(labels.Set(node.Labels))
}

// decideLabels decides which labels a node is to have, for the pods that this process knows and those
// that a LIST has found. From here on Reserve refuses pods whose required node affinity would not hold
// with them. The record is nil for a node that is not dedicated.
func (e *Engine) decideLabels(node *v1.Node, rec *record, listed []*v1.Pod) map[string]string {
	policy := e.cluster.Policy()
	if !policy.InForce() {
		return labelsOn(node)
	}
	if rec == nil {
		return e.wantedLabels(policy, node, isolation.Dedication{}, e.labelsOf(node), listed)
	}
	for {
		e.mu.RLock()
		dedication, last, reserveCount := rec.dedication, rec.labels, rec.reserveCount
		coming := slices.Clone(listed)
		for _, reserved := range rec.reservations {
			coming = append(coming, reserved.pod)
		}
		switch rec.phase {
		case vacated:
			// The next pod may come long after, and be of another privilege.
			last = isolation.NodeLabels{}
		case doubtful:
			// A pod of which nothing is known may be on its way.
			e.mu.RUnlock()
			return labelsOn(node)
		case planned, inherited, held, closing:
		}
		e.mu.RUnlock()

		wanted := e.wantedLabels(policy, node, dedication, last, coming)

		e.mu.Lock()
		if rec.reserveCount != reserveCount {
			e.mu.Unlock()
			continue
		}
		rec.toHave = wanted
		rec.labels, _ = policy.ParseNodeLabels(wanted)
		e.mu.Unlock()
		return wanted
	}
}

func (e *Engine) wantedLabels(policy *isolation.Policy, node *v1.Node, d isolation.Dedication, last isolation.NodeLabels, pods []*v1.Pod) map[string]string {
	var wanted []isolation.NodeLabels
	if e.labelled(node) {
		occupancy := e.cluster.Occupancy(node.Name)
		wanted = policy.OccupiedNodeLabels(d, &occupancy, last)
	}
	return fittingLabels(node, wanted, append(pods, e.cluster.PodsOn(node.Name)...))
}

// hasLabelsFor reports whether the pod's required node affinity holds with the labels that a node is
// about to have. It is called with the lock held.
func (rec *record) hasLabelsFor(pod *v1.Pod, node *v1.Node) bool {
	// By those that the node has, the pod has been placed.
	return rec.toHave == nil || node == nil || maps.Equal(rec.toHave, labelsOn(node)) ||
		!asksForLabels(pod) || passes(pod, node, rec.toHave)
}

// listedLabels is decideLabels with a LIST, unless the node has the right labels.
func (e *Engine) listedLabels(ctx context.Context, node *v1.Node, rec *record) (map[string]string, error) {
	wanted := e.decideLabels(node, rec, nil)
	if maps.Equal(wanted, labelsOn(node)) {
		return wanted, nil
	}
	found, err := e.listPods(ctx, node.Name)
	if err != nil {
		return nil, err
	}
	return e.decideLabels(node, rec, found.pods), nil
}

// labelFree brings the labels of a node without record in step with its pods. It returns after how long to
// try again, zero if the labels are right.
func (e *Engine) labelFree(ctx context.Context, node *v1.Node) time.Duration {
	if maps.Equal(e.decideLabels(node, nil, nil), labelsOn(node)) {
		return 0
	}
	if !e.repairs.TryAccept() {
		return repairRetry
	}
	err := e.labelNow(ctx, node.Name)
	if err == nil || errors.Is(err, errNodeGone) || ctx.Err() != nil {
		return 0
	}
	e.logger.Error(err, "The labels of a node could not be written, trying again", "node", node.Name)
	return e.backoff.When(node.Name)
}

func (e *Engine) labelNow(ctx context.Context, name string) error {
	node, err := e.current(ctx, name)
	if err != nil {
		return err
	}
	wanted, err := e.listedLabels(ctx, node, nil)
	if err != nil || maps.Equal(wanted, labelsOn(node)) {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		// The version makes this fail if a pod opens the node meanwhile.
		"uid": node.UID, "resourceVersion": node.ResourceVersion, "labels": labelPatch(node, wanted),
	}})
	if err != nil {
		return err
	}
	_, err = e.client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	e.metrics.countWrite(objectNode, err)
	return err
}
