package inforce

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

const tenantLabel = isolation.TenantLabel

// set writes a condition into a status.
func (l *Leader) set(status *v1alpha1.IsolationPolicyStatus, kind string, holds bool, reason, message string) {
	condition := metav1.Condition{
		Type: kind, Status: metav1.ConditionFalse, ObservedGeneration: status.ObservedGeneration, Reason: reason, Message: truncate(message),
		LastTransitionTime: metav1.NewTime(l.Clock.Now()),
	}
	if holds {
		condition.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&status.Conditions, condition)
	shared().condition(kind, holds)
}

// setEnforced writes whether the admission policies are enforced into a status.
func (l *Leader) setEnforced(status *v1alpha1.IsolationPolicyStatus, missing *notEnforced) {
	if missing != nil {
		l.set(status, v1alpha1.ConditionEnforced, false, missing.reason, missing.message)
		if missing.reason == reasonObserving {
			// By choice, so that nobody is to be alerted.
			shared().unknown(v1alpha1.ConditionEnforced)
		}
		return
	}
	l.set(status, v1alpha1.ConditionEnforced, true, "AsShipped", "every admission policy is as shipped, and the API server answers by the parameter in force")
}

// setRest writes everything else that is known into a status.
func (l *Leader) setRest(status *v1alpha1.IsolationPolicyStatus, fault error) {
	set := func(kind string, holds bool, reason, message string) { l.set(status, kind, holds, reason, message) }
	if fault == nil {
		set(v1alpha1.ConditionAccepted, true, "Valid", "the spec is in force")
	} else {
		set(v1alpha1.ConditionAccepted, false, "Invalid", fault.Error())
	}
	status.DedicatedNodes = ptr.To(int32(l.Dedicated())) //nolint:gosec // there are not that many nodes
	if status.InForce != nil && status.InForce.Spec.Dedication.Mode == v1alpha1.ModeEnabled {
		set(v1alpha1.ConditionDedication, true, v1alpha1.ReasonOn, "nodes are dedicated by their first pod")
	} else if traces := l.traces(); traces > 0 {
		set(v1alpha1.ConditionDedication, false, v1alpha1.ReasonDraining, fmt.Sprintf("%d nodes still bear a taint, label or annotation of dedication", traces))
	} else {
		set(v1alpha1.ConditionDedication, false, v1alpha1.ReasonOff, "no node bears a trace of dedication")
	}
	status.Findings = nil
	if findings, known := l.Findings(); known {
		status.Findings = ptr.To(int32(findings)) //nolint:gosec // there are not that many pods
	}
}

// maxMessage is what the API server takes in a condition.
const maxMessage = 32 << 10

func truncate(message string) string { return message[:min(len(message), maxMessage)] }

// writeStatus writes a status, if it says something else than the object's.
func (l *Leader) writeStatus(ctx context.Context, object *v1alpha1.IsolationPolicy, status *v1alpha1.IsolationPolicyStatus) error {
	if equality.Semantic.DeepEqual(&object.Status, status) {
		return nil
	}
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(status)
	if err != nil {
		return err
	}
	changed := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": v1alpha1.Kind.Kind,
		"metadata": map[string]any{"name": object.Name, "uid": string(object.UID), "resourceVersion": object.ResourceVersion},
		"spec":     map[string]any{},
		"status":   raw,
	}}
	_, err = l.Dynamic.Resource(v1alpha1.Resource).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("writing the status of the IsolationPolicy: %w", err)
	}
	return nil
}

func (l *Leader) label(ctx context.Context, namespace, tenant string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{tenantLabel: tenant}}})
	if err != nil {
		return err
	}
	_, err = l.Client.CoreV1().Namespaces().Patch(ctx, namespace, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// traces returns how many of the nodes bear something that dedication has written.
func (l *Leader) traces() int {
	traces := 0
	for _, node := range l.Cluster.Nodes() {
		if dedication.Marked(node) {
			traces++
		}
	}
	return traces
}
