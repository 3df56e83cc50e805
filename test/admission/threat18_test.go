package admission

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestThreat18OthersPlacement(t *testing.T)     { face(t) }
func TestThreat18DedicationsAskedFor(t *testing.T) { face(t) }
func TestThreat18OthersEvicted(t *testing.T)       { face(t) }
func TestThreat18HugePods(t *testing.T)            { face(t) }

// wide is a term about pods of every namespace that a change leaves in it, on one topology domain for the
// whole cluster.
func wide(change func(*corev1.PodAffinityTerm)) corev1.PodAffinityTerm {
	term := corev1.PodAffinityTerm{
		TopologyKey: corev1.LabelOSStable, NamespaceSelector: &metav1.LabelSelector{},
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{tenantKey: "victim"}},
	}
	if change != nil {
		change(&term)
	}
	return term
}

// own is a term about pods of the own namespace.
func own(topologyKey string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{TopologyKey: topologyKey, LabelSelector: selector()}
}

func affinity(p *corev1.Pod) *corev1.Affinity {
	if p.Spec.Affinity == nil {
		p.Spec.Affinity = &corev1.Affinity{
			PodAffinity: &corev1.PodAffinity{}, PodAntiAffinity: &corev1.PodAntiAffinity{}, NodeAffinity: &corev1.NodeAffinity{},
		}
	}
	return p.Spec.Affinity
}

func weighted(term corev1.PodAffinityTerm) corev1.WeightedPodAffinityTerm {
	return corev1.WeightedPodAffinityTerm{Weight: 100, PodAffinityTerm: term}
}

func avoiding(term corev1.PodAffinityTerm) podOption {
	return func(p *corev1.Pod) {
		list := &affinity(p).PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		*list = append(*list, term)
	}
}

func joining(term corev1.PodAffinityTerm) podOption {
	return func(p *corev1.Pod) {
		list := &affinity(p).PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		*list = append(*list, term)
	}
}

func ratherAvoiding(term corev1.PodAffinityTerm) podOption {
	return func(p *corev1.Pod) {
		list := &affinity(p).PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		*list = append(*list, weighted(term))
	}
}

func ratherJoining(term corev1.PodAffinityTerm) podOption {
	return func(p *corev1.Pod) {
		list := &affinity(p).PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		*list = append(*list, weighted(term))
	}
}

func spreadOver(topologyKey string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = append(p.Spec.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: topologyKey, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: selector(),
		})
	}
}

// of selects the namespaces of tenants.
func of(operator metav1.LabelSelectorOperator, tenants ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: tenantKey, Operator: operator, Values: tenants}}}
}

func othersPlacement() threat {
	row := threat{test: "TestThreat18OthersPlacement"}
	for kind, with := range map[string]func(corev1.PodAffinityTerm) podOption{
		"avoids": avoiding, "joins": joining, "rather avoids": ratherAvoiding, "rather joins": ratherJoining,
	} {
		for whom, term := range map[string]corev1.PodAffinityTerm{
			"the pods of every namespace":       wide(nil),
			"the pods of a tenant's namespaces": wide(func(t *corev1.PodAffinityTerm) { t.NamespaceSelector = of(metav1.LabelSelectorOpIn, "victim") }),
			"the pods of its tenant and of another": wide(func(t *corev1.PodAffinityTerm) {
				t.NamespaceSelector = of(metav1.LabelSelectorOpIn, "acme", "victim")
			}),
			"the pods of every tenant": wide(func(t *corev1.PodAffinityTerm) { t.NamespaceSelector = of(metav1.LabelSelectorOpExists) }),
			"the pods of all but its tenant": wide(func(t *corev1.PodAffinityTerm) {
				t.NamespaceSelector = of(metav1.LabelSelectorOpNotIn, "acme")
			}),
			"the pods of a namespace by its label": wide(func(t *corev1.PodAffinityTerm) {
				t.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "victim"}}
			}),
			"the pods of a namespace by its name": wide(func(t *corev1.PodAffinityTerm) {
				t.NamespaceSelector, t.Namespaces = nil, []string{"victim"}
			}),
			"the pods of its tenant, and of a namespace by its name": wide(func(t *corev1.PodAffinityTerm) {
				t.NamespaceSelector, t.Namespaces = of(metav1.LabelSelectorOpIn, "acme"), []string{"victim"}
			}),
		} {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("a pod %s %s", kind, whom), names: []string{"spec.affinity", tenantKey},
				run: func(s *scene) error {
					_, err := s.create(s.managed(), with(own(corev1.LabelHostname)), with(term))
					return err
				},
			})
		}
	}
	row.attacks = append(row.attacks, attack{
		name: "a pod lists its own namespace and selects all", names: []string{"spec.affinity"},
		run: func(s *scene) error {
			namespace := s.managed()
			_, err := s.create(namespace, avoiding(wide(func(t *corev1.PodAffinityTerm) { t.Namespaces = []string{namespace} })))
			return err
		},
	}, through("a Deployment", (*scene).deployment, smuggled{"pods that avoid all others", avoiding(wide(nil)), []string{"spec.affinity"}}))
	return row
}

// dedicationsAskedFor tell whether a tenant has nodes, by the labels and taints of nodes.
func dedicationsAskedFor() threat {
	row := threat{test: "TestThreat18DedicationsAskedFor"}
	const restricted = "tenantisolation.node-restriction.kubernetes.io/tenant"
	names := []string{"spec.nodeSelector", "tenantisolation.dev/"}
	for _, key := range []string{tenantKey, dataClassKey, "tenantisolation.dev/for", restricted} {
		for how, option := range map[string]podOption{
			"by its node selector":                   selecting(key, "victim"),
			"by node affinity":                       nodeAffinity(key, false),
			"by preferred node affinity":             nodeAffinity(key, true),
			"by a spread constraint":                 spreadOver(key),
			"by the topology of anti-affinity":       avoiding(own(key)),
			"by the topology of affinity it prefers": ratherJoining(own(key)),
		} {
			for whose, namespace := range map[string]func(s *scene) string{
				"a tenant": func(s *scene) string { return s.managed() }, "nobody": func(s *scene) string { return s.namespace(nil) },
			} {
				row.attacks = append(row.attacks, attack{
					name: fmt.Sprintf("a pod of %s asks for %s %s", whose, key, how), names: names,
					run: func(s *scene) error {
						_, err := s.create(namespace(s), option)
						return err
					},
				})
			}
		}
	}
	for whose, namespace := range map[string]func(s *scene) string{
		"a tenant": func(s *scene) string { return s.managed() }, "nobody": func(s *scene) string { return s.namespace(nil) },
	} {
		row.attacks = append(row.attacks, attack{
			name: fmt.Sprintf("a gated pod of %s asks later", whose), names: names,
			run: func(s *scene) error {
				pod := s.waiting(namespace(s), gated)
				return s.patch(editor, pod, types.MergePatchType,
					map[string]any{"spec": map[string]any{"nodeSelector": map[string]any{tenantKey: "victim"}}})
			},
		})
	}
	row.attacks = append(row.attacks, attack{
		name: "a pod without a tenant tolerates the taints of tenants later", names: []string{"spec.tolerations"},
		run: func(s *scene) error {
			pod := s.get(s.waiting(s.namespace(nil)))
			return s.patch(editor, pod, types.MergePatchType, map[string]any{"spec": map[string]any{"tolerations": append(
				pod.Spec.Tolerations, corev1.Toleration{Key: tenantKey, Operator: corev1.TolerationOpExists})}})
		},
	})
	return row
}

func selecting(key, value string) podOption {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
}

func nodeAffinity(key string, preferred bool) podOption {
	return func(p *corev1.Pod) {
		term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: "example.com/pool", Operator: corev1.NodeSelectorOpExists},
			{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{"acme", "victim"}},
		}}
		if preferred {
			affinity(p).NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: term}}
			return
		}
		affinity(p).NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}}
	}
}

func othersEvicted() threat {
	row := threat{test: "TestThreat18OthersEvicted"}
	for _, class := range []string{"system-node-critical", "system-cluster-critical"} {
		row.attacks = append(row.attacks, attack{
			name: "a pod has the priority class " + class, names: []string{"spec.priorityClassName"},
			run: func(s *scene) error {
				_, err := s.create(s.managed(), func(p *corev1.Pod) { p.Spec.PriorityClassName = class })
				return err
			},
		})
	}
	return row
}

// hugePods cost the API server more than their size, if a policy walks them.
func hugePods() threat {
	const many = 3_000
	row := threat{test: "TestThreat18HugePods"}
	for what, option := range map[string]podOption{
		"annotations": func(p *corev1.Pod) {
			for i := range many {
				p.Annotations[fmt.Sprintf("a%d", i)] = ""
			}
		},
		"labels": func(p *corev1.Pod) {
			for i := range many {
				p.Labels[fmt.Sprintf("a%d", i)] = ""
			}
		},
		"spec.tolerations": func(p *corev1.Pod) {
			for i := range many {
				tolerating(corev1.Toleration{Key: fmt.Sprintf("a%d", i), Operator: corev1.TolerationOpExists})(p)
			}
		},
		"containers": func(p *corev1.Pod) {
			for i := range many {
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "none"})
			}
		},
		"affinity": func(p *corev1.Pod) {
			for range many {
				ratherAvoiding(own(corev1.LabelHostname))(p)
			}
		},
	} {
		row.attacks = append(row.attacks, attack{
			name: "a pod has thousands of " + what, names: []string{what},
			run: func(s *scene) error {
				_, err := s.create(s.managed(), option)
				return err
			},
		})
	}
	row.attacks = append(row.attacks, attack{
		name: "a pod gets thousands of annotations later", names: []string{"annotations"},
		run: func(s *scene) error {
			annotations := map[string]any{}
			for i := range many {
				annotations[fmt.Sprintf("a%d", i)] = ""
			}
			return s.patch(editor, s.waiting(s.managed()), types.MergePatchType,
				map[string]any{"metadata": map[string]any{"annotations": annotations}})
		},
	})
	return row
}
