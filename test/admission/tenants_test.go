package admission

import (
	"context"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What a tenant may not even try, with or without policies.
func TestThreat19TenantTurnsPoliciesOff(t *testing.T) {
	s := newScene(t)
	s.managed()
	for _, who := range []user{editor, namespaceAdmin, owner} {
		t.Run(string(who), func(t *testing.T) {
			api := s.as(who).AdmissionregistrationV1()
			maps := s.as(who).CoreV1().ConfigMaps(systemNamespace)
			for what, err := range map[string]error{
				"deleting a policy":           api.ValidatingAdmissionPolicies().Delete(t.Context(), "tenant-isolation-pods", metav1.DeleteOptions{}),
				"deleting a binding":          api.ValidatingAdmissionPolicyBindings().Delete(t.Context(), "tenant-isolation-binding", metav1.DeleteOptions{}),
				"deleting a mutating policy":  api.MutatingAdmissionPolicies().Delete(t.Context(), "tenant-isolation-pods", metav1.DeleteOptions{}),
				"deleting all of its binding": api.MutatingAdmissionPolicyBindings().DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}),
				"deleting the parameters":     maps.Delete(t.Context(), parameters, metav1.DeleteOptions{}),
				"creating a policy": errorOf(api.MutatingAdmissionPolicies().Create(t.Context(),
					&admissionv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}, metav1.CreateOptions{})),
				"changing the parameters": errorOf(maps.Update(t.Context(),
					&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: parameters}}, metav1.UpdateOptions{})),
			} {
				if !apierrors.IsForbidden(err) {
					t.Errorf("%s: %v, want forbidden", what, err)
				}
			}
		})
	}
}

func errorOf[T any](_ T, err error) error { return err }

// parameters is the ConfigMap that the policies read.
const parameters = "tenant-isolation-policy"

func TestThreat19MissingParameterDenies(t *testing.T) {
	s := newScene(t)
	namespace, unmanaged := s.managed(), s.namespace(nil)
	running := s.bound(namespace, evidenceOf("baseline"))
	s.must(s.as(ourScheduler).CoreV1().ConfigMaps(systemNamespace).Delete(t.Context(), parameters, metav1.DeleteOptions{}))
	t.Cleanup(func() {
		back := newScene(t)
		back.ctx = context.WithoutCancel(t.Context())
		back.must(back.writeParameters(back.ctx))
		back.must(poll(back.ctx, func(context.Context) (bool, error) {
			_, err := back.create(namespace)
			return err == nil, nil
		}))
	})

	var refusal error
	s.must(poll(t.Context(), func(context.Context) (bool, error) {
		_, refusal = s.create(namespace)
		return refusal != nil, nil
	}))
	for _, want := range []string{"configmap", parameters} {
		if !strings.Contains(refusal.Error(), want) {
			t.Errorf("the refusal does not name %q: %v", want, refusal)
		}
	}
	if _, err := s.create(unmanaged); err != nil {
		t.Errorf("a pod of an unmanaged namespace: %v", err)
	}
	if err := s.report(running); err != nil {
		t.Errorf("the kubelet of a pod that runs: %v", err)
	}
	if err := s.remove(editor, running, nil); err != nil {
		t.Errorf("deleting a pod that runs: %v", err)
	}
}
