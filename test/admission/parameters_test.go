package admission

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
)

// inForce is what the leader would have accepted.
type inForce struct {
	mu     sync.Mutex
	policy *v1alpha1.InForce
}

// policy returns a copy of the policy in force.
func (w *environment) policy() *v1alpha1.InForce {
	w.inForce.mu.Lock()
	defer w.inForce.mu.Unlock()
	if w.inForce.policy == nil {
		w.inForce.policy = shippedPolicy()
	}
	return w.inForce.policy.DeepCopy()
}

// shippedPolicy has the defaults, with dedication enabled, and the RuntimeClasses of addClasses.
func shippedPolicy() *v1alpha1.InForce {
	return &v1alpha1.InForce{
		Generation: 1,
		Spec: v1alpha1.IsolationPolicySpec{
			DataClasses: []string{"public", "internal", "confidential", "restricted"},
			SeparateBy: []v1alpha1.Axis{
				v1alpha1.AxisTenant, v1alpha1.AxisDataClass, v1alpha1.AxisPrivilege, v1alpha1.AxisUserNamespace,
			},
			Boundaries:         v1alpha1.Boundaries{Minimum: v1alpha1.BoundaryVM},
			PlatformNamespaces: v1alpha1.PlatformNamespaces{Names: []string{metav1.NamespaceSystem, systemNamespace}},
			Dedication:         v1alpha1.Dedication{Mode: v1alpha1.ModeEnabled},
		},
		RuntimeClasses: []v1alpha1.RuntimeClassBoundary{
			{Name: kataClass, Handler: "kata-qemu", Boundary: v1alpha1.BoundaryVM},
			{Name: steeredClass, Handler: "kata-qemu", Boundary: v1alpha1.BoundaryVM},
			{Name: plainClass, Handler: "crun", Boundary: v1alpha1.BoundaryContainer},
		},
	}
}

// writeParameters does what the leader does with a policy that it has accepted.
func (w *environment) writeParameters(ctx context.Context) error {
	return w.writeMap(ctx, admission.Parameters(w.policy(), []string{schedulerName}))
}

// changePolicy changes the policy in force, and returns when the API server answers by it.
func (s *scene) changePolicy(change func(*v1alpha1.InForce)) {
	policy := s.policy()
	change(policy)
	policy.Generation++
	s.inForce.mu.Lock()
	s.inForce.policy = policy
	s.inForce.mu.Unlock()
	s.must(s.writeParameters(s.ctx))
	s.must(s.dedicate(s.ctx))
	s.awaitParameter()
}

// awaitParameter returns when the API server has read the newest parameter: it names a data class that no
// other has.
func (s *scene) awaitParameter() {
	marker := unique("marker")
	policy := s.policy()
	policy.Spec.DataClasses = append(policy.Spec.DataClasses, marker)
	s.must(s.writeMap(s.ctx, admission.Parameters(policy, []string{schedulerName})))
	namespace := s.managed()
	s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
		_, err := s.quietly(editor).CoreV1().Pods(namespace).Create(ctx, newPod(labelled(dataClass(marker))),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	}))
}

// writeMap writes a ConfigMap of the policies as the scheduler, who alone may.
func (w *environment) writeMap(ctx context.Context, parameter *corev1.ConfigMap) error {
	client, err := w.client(ourScheduler, &warnings{})
	if err != nil {
		return err
	}
	maps := client.CoreV1().ConfigMaps(systemNamespace)
	_, err = maps.Update(ctx, parameter, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, parameter, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("the ConfigMap %s: %w", parameter.Name, err)
	}
	return nil
}
