package admission

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

func TestThreat14PolicyWrittenByOthers(t *testing.T) { face(t) }

// isolationPolicies are those of the API, as a user.
func (s *scene) isolationPolicies(who user) dynamic.ResourceInterface {
	config := *s.users[who]
	config.WarningHandler = s.warned
	client, err := dynamic.NewForConfig(&config)
	s.must(err)
	return client.Resource(v1alpha1.Resource)
}

func newPolicy(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tenantisolation.dev/v1alpha1", "kind": "IsolationPolicy",
		"metadata": map[string]any{"name": name}, "spec": map[string]any{"preemption": "Never"},
	}}
}

// existing is a policy that an administrator has made.
func (s *scene) existing() *unstructured.Unstructured {
	policy, err := s.isolationPolicies(administrator).Create(s.ctx, newPolicy(unique("policy")), metav1.CreateOptions{})
	s.must(err)
	s.warned.take()
	return policy
}

func policyWritten() threat {
	row := threat{test: "TestThreat14PolicyWrittenByOthers"}
	for what, write := range map[string]func(s *scene) error{
		"creates one": func(s *scene) error {
			_, err := s.isolationPolicies(policyKeeper).Create(s.ctx, newPolicy(unique("policy")), metav1.CreateOptions{})
			return err
		},
		"changes one": func(s *scene) error {
			policy := s.existing()
			s.must(unstructured.SetNestedField(policy.Object, "Any", "spec", "preemption"))
			_, err := s.isolationPolicies(policyKeeper).Update(s.ctx, policy, metav1.UpdateOptions{})
			return err
		},
		"deletes one": func(s *scene) error {
			return s.isolationPolicies(policyKeeper).Delete(s.ctx, s.existing().GetName(), metav1.DeleteOptions{})
		},
	} {
		row.attacks = append(row.attacks, attack{
			name: "who may write IsolationPolicies " + what, names: []string{"IsolationPolicy", "administer"}, run: write,
		})
	}
	for _, who := range []user{policyKeeper, administrator} {
		row.attacks = append(row.attacks, attack{
			name: fmt.Sprintf("%s writes the status of an IsolationPolicy", who), names: []string{"status"},
			run: func(s *scene) error {
				policy := s.existing()
				s.must(unstructured.SetNestedField(policy.Object, int64(9), "status", "observedGeneration"))
				_, err := s.isolationPolicies(who).UpdateStatus(s.ctx, policy, metav1.UpdateOptions{})
				return err
			},
		})
	}
	try := []string{metav1.DryRunAll}
	for _, who := range []user{mapKeeper, administrator} {
		for _, name := range []string{parameters, dedicationTable} {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s writes the ConfigMap %s", who, name), names: []string{name},
				run: func(s *scene) error {
					_, err := s.as(who).CoreV1().ConfigMaps(systemNamespace).Update(s.ctx,
						&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"mine": "yes"}},
						metav1.UpdateOptions{DryRun: try})
					return err
				},
			}, attack{
				name: fmt.Sprintf("%s deletes the ConfigMap %s", who, name), names: []string{name},
				run: func(s *scene) error {
					return s.as(who).CoreV1().ConfigMaps(systemNamespace).Delete(s.ctx, name, metav1.DeleteOptions{DryRun: try})
				},
			})
		}
	}
	return row
}

func TestUseIsolationPolicy(t *testing.T) {
	s := newScene(t)
	policy := s.existing()
	s.must(unstructured.SetNestedField(policy.Object, int64(9), "status", "observedGeneration"))
	_, err := s.isolationPolicies(ourScheduler).UpdateStatus(s.ctx, policy, metav1.UpdateOptions{})
	s.allowed("the scheduler's status", err)
	policy, err = s.isolationPolicies(policyKeeper).Get(s.ctx, policy.GetName(), metav1.GetOptions{})
	s.must(err)
	policy.SetLabels(map[string]string{"example.com/team": "platform"})
	_, err = s.isolationPolicies(policyKeeper).Update(s.ctx, policy, metav1.UpdateOptions{})
	s.allowed("a label by others", err)
	s.allowed("its deletion", s.isolationPolicies(administrator).Delete(s.ctx, policy.GetName(), metav1.DeleteOptions{}))
}

// duringPolicy changes the policy in force for one test.
func (s *scene) duringPolicy(change func(*v1alpha1.InForce)) {
	before := s.policy()
	s.changePolicy(change)
	s.tb.Cleanup(func() {
		back := *s
		back.ctx = context.WithoutCancel(s.ctx)
		back.changePolicy(func(p *v1alpha1.InForce) { p.Spec, p.RuntimeClasses = before.Spec, before.RuntimeClasses })
	})
}

func TestTenantFrom(t *testing.T) {
	s := newScene(t)
	const label = "capsule.clastix.io/tenant"
	s.duringPolicy(func(p *v1alpha1.InForce) { p.Spec.TenantFrom = &v1alpha1.TenantFrom{NamespaceLabel: label} })
	namespaces := s.as(namespaceKeeper).CoreV1().Namespaces()
	create := func(labels map[string]string) (*corev1.Namespace, error) {
		return namespaces.Create(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: labels}}, metav1.CreateOptions{})
	}
	ns, err := create(map[string]string{label: "oil"})
	s.must(err)
	if ns.Labels[tenantKey] != "oil" {
		t.Errorf("its tenant is %q, want that of the other label", ns.Labels[tenantKey])
	}
	ns.Labels[label] = "gas"
	ns, err = namespaces.Update(s.ctx, ns, metav1.UpdateOptions{})
	s.must(err)
	if ns.Labels[tenantKey] != "gas" {
		t.Errorf("its tenant is %q after the other label changed", ns.Labels[tenantKey])
	}
	ns.Labels[tenantKey] = "wind"
	ns, err = namespaces.Update(s.ctx, ns, metav1.UpdateOptions{})
	s.must(err)
	if ns.Labels[tenantKey] != "gas" {
		t.Errorf("its tenant is %q, want that of the other label still", ns.Labels[tenantKey])
	}
	if err := namespaces.Delete(s.ctx, ns.Name, metav1.DeleteOptions{}); err != nil {
		t.Errorf("its deletion: %v", err)
	}
	for what, labels := range map[string]map[string]string{
		"a tenant by its own label":           {tenantKey: "oil"},
		"a data class beside the other label": {label: "oil", dataClassKey: "public"},
	} {
		if _, err := create(labels); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want it refused", what, err)
		}
	}
}

func TestPlatformNamespacesArePlatformsByPolicy(t *testing.T) {
	s := newScene(t)
	agents := unique("agents")
	s.duringPolicy(func(p *v1alpha1.InForce) {
		p.Spec.PlatformNamespaces.Names = append(p.Spec.PlatformNamespaces.Names, agents)
		p.Spec.PlatformNamespaces.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"example.com/platform": "yes"}}
	})
	namespaces := s.as(namespaceKeeper).CoreV1().Namespaces()
	for what, ns := range map[string]*corev1.Namespace{
		"by its name":  {ObjectMeta: metav1.ObjectMeta{Name: agents}},
		"by its label": {ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: map[string]string{"example.com/platform": "yes"}}},
	} {
		if _, err := namespaces.Create(s.ctx, ns, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("who may create namespaces makes one of the platform %s: %v, want it refused", what, err)
		}
		_, err := s.admin.CoreV1().Namespaces().Create(s.ctx, ns, metav1.CreateOptions{})
		s.must(err)
		s.must(s.settle(s.ctx, ns.Name))
		got, err := s.as(administrator).CoreV1().Pods(ns.Name).Create(s.ctx, newPod(selecting(tenantKey, "acme")), metav1.CreateOptions{})
		s.allowed("a pod of the platform "+what, err)
		if err == nil && len(ours(got.Spec.Tolerations)) != 3 {
			t.Errorf("a pod of the platform %s tolerates %q, want all taints of dedicated nodes", what, ours(got.Spec.Tolerations))
		}
		if err != nil {
			continue
		}
		node := s.dedicated()
		s.allowed("its Binding to a dedicated node", binders()["pods/binding"](s, stockScheduler, plainBindingOf(got, node)))
	}
}

func TestDedicationSwitchedOff(t *testing.T) {
	s := newScene(t)
	s.duringPolicy(func(p *v1alpha1.InForce) { p.Spec.Dedication.Mode = v1alpha1.ModeDisabled })
	namespace := s.managed()
	pod, err := s.create(namespace, tolerating(corev1.Toleration{Key: tenantKey, Value: "acme"}))
	s.allowed("a pod", err)
	// It may still be there when dedication is switched on again.
	if got, want := ours(pod.Spec.Tolerations), []string{"tenant=acme", "data-class=unclassified"}; !slices.Equal(got, want) {
		t.Errorf("it tolerates %q, want %q", got, want)
	}
	binding := plainBindingOf(pod, freeNode)
	binding.Annotations = map[string]string{evidenceKey: evidenceOf("baseline")}
	s.allowed("its Binding without a dedication", s.as(ourScheduler).CoreV1().Pods(namespace).Bind(s.ctx, binding, metav1.CreateOptions{}))
}
