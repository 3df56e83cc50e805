package admission

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestThreat03BindingRewritesLabels(t *testing.T) { face(t) }

func bindingRewrites() threat {
	row := threat{test: "TestThreat03BindingRewritesLabels"}
	for by, bind := range binders() {
		for _, l := range []label{tenant("globex"), dataClass("public"), privilege("restricted")} {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("our scheduler's account sets %s by %s", l.key, by), names: []string{l.key},
				run: func(s *scene) error {
					binding := s.bindingOf(s.waiting(s.managed(), classified), attackedNode)
					binding.Annotations[evidenceKey] = evidenceOf("baseline")
					binding.Labels = labels(l)
					return bind(s, ourScheduler, binding)
				},
			})
		}
		row.attacks = append(row.attacks, attack{
			name:  fmt.Sprintf("a tenant forges evidence by %s", by),
			names: []string{schedulerName},
			run: func(s *scene) error {
				binding := s.bindingOf(s.waiting(s.managed()), attackedNode)
				binding.Annotations[evidenceKey] = evidenceOf("privileged")
				return bind(s, owner, binding)
			},
		}, attack{
			name:  fmt.Sprintf("a tenant forges evidence before the namespace is a tenant's by %s", by),
			names: []string{evidenceKey},
			run: func(s *scene) error {
				binding := plainBindingOf(s.waiting(s.namespace(nil)), freeNode)
				binding.Annotations = map[string]string{evidenceKey: evidenceOf("privileged")}
				return bind(s, owner, binding)
			},
		})
	}
	return row
}

// binders are the two resources by which a pod is bound.
func binders() map[string]func(s *scene, who user, binding *corev1.Binding) error {
	return map[string]func(s *scene, who user, binding *corev1.Binding) error{
		"pods/binding": func(s *scene, who user, binding *corev1.Binding) error {
			return s.as(who).CoreV1().Pods(binding.Namespace).Bind(s.ctx, binding, metav1.CreateOptions{})
		},
		"bindings": func(s *scene, who user, binding *corev1.Binding) error {
			return s.as(who).CoreV1().RESTClient().Post().Namespace(binding.Namespace).
				Resource("bindings").Body(binding).Do(s.ctx).Error()
		},
	}
}
