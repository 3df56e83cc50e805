package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

func TestShippedCRDs(t *testing.T) {
	objects, err := shippedCRDs()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, object := range objects {
		resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		got = append(got, resource.Resource+"/"+object.GetName())
	}
	want := []string{
		"customresourcedefinitions/isolationpolicies.tenantisolation.dev",
		"validatingadmissionpolicies/tenant-isolation-keeper", "validatingadmissionpolicybindings/tenant-isolation-keeper",
		"mutatingadmissionpolicies/tenant-isolation-keeper", "mutatingadmissionpolicybindings/tenant-isolation-keeper",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is installed first and removed last, in this order (-want +got):\n%s", diff)
	}
}

func TestDrained(t *testing.T) {
	// At generation 2 dedication was switched off.
	status := func(seen int64, conditions ...metav1.Condition) *v1alpha1.IsolationPolicy {
		return &v1alpha1.IsolationPolicy{
			ObjectMeta: metav1.ObjectMeta{Generation: 2},
			Status:     v1alpha1.IsolationPolicyStatus{ObservedGeneration: seen, Conditions: conditions},
		}
	}
	condition := func(kind string, holds metav1.ConditionStatus, reason string, seen int64) metav1.Condition {
		return metav1.Condition{Type: kind, Status: holds, Reason: reason, Message: "says " + reason, ObservedGeneration: seen}
	}
	accepted := condition(v1alpha1.ConditionAccepted, metav1.ConditionTrue, "Valid", 2)
	for name, tc := range map[string]struct {
		policy *v1alpha1.IsolationPolicy
		says   string
	}{
		"no node has a trace": {status(2, accepted, condition(v1alpha1.ConditionDedication, metav1.ConditionFalse, v1alpha1.ReasonOff, 2)), ""},
		"a node has one":      {status(2, accepted, condition(v1alpha1.ConditionDedication, metav1.ConditionFalse, v1alpha1.ReasonDraining, 2)), "says Draining"},
		"no scheduler runs":   {status(0), "has to run"},
		"it was off, and on until now": {
			status(1, accepted, condition(v1alpha1.ConditionDedication, metav1.ConditionFalse, v1alpha1.ReasonOff, 1)), "has to run",
		},
		"the condition is of an older spec": {
			status(2, accepted, condition(v1alpha1.ConditionDedication, metav1.ConditionFalse, v1alpha1.ReasonOff, 1)), "not free yet",
		},
		"the spec is wrong, and an older one in force": {
			status(2, condition(v1alpha1.ConditionAccepted, metav1.ConditionFalse, "Invalid", 2),
				condition(v1alpha1.ConditionDedication, metav1.ConditionFalse, v1alpha1.ReasonOff, 2)), "correct its spec: says Invalid",
		},
		"no condition": {status(2, accepted), "there is no condition"},
	} {
		t.Run(name, func(t *testing.T) {
			err := drained(tc.policy)
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%v, want %q", err, tc.says)
			}
		})
	}
}

func TestLifecycleStepSaysWhatItWaitedFor(t *testing.T) {
	reason := errors.New("nodes are not free yet")
	var never lifecycleStep = func(context.Context, dynamic.Interface) error { return reason }
	if err := never.run(t.Context(), nil, time.Millisecond); !errors.Is(err, reason) {
		t.Errorf("%v, want %v", err, reason)
	}
	tries := 0
	var second lifecycleStep = func(context.Context, dynamic.Interface) error {
		if tries++; tries < 2 {
			return reason
		}
		return nil
	}
	if err := second.run(t.Context(), nil, time.Minute); err != nil {
		t.Error(err)
	}
}

// The subcommand does not do what the scheduler's does first, and the scheduler takes no other argument.
func TestLifecycleCommand(t *testing.T) {
	command := NewCommand(&Process{})
	command.SetArgs([]string{"lifecycle", "drain", "--kubeconfig=/does/not/exist"})
	command.SilenceErrors, command.SilenceUsage = true, true
	if err := command.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("%v, want an error that names the kubeconfig", err)
	}
	command.SetArgs([]string{"lifecycel"})
	if err := command.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "does not take any arguments") {
		t.Errorf("%v, want a refusal of an argument", err)
	}
}
