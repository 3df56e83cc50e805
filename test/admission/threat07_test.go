package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestThreat07MirrorPods(t *testing.T) { face(t) }

// mirrorPods are the ways to abuse that a node's own mirror pods are let through.
func mirrorPods() threat {
	mirror := annotated(corev1.MirrorPodAnnotationKey, "hash")
	// By a kubelet that an attacker has taken over.
	posts := func(namespace func(s *scene) string, options ...podOption) func(*scene) error {
		return func(s *scene) error {
			node := []podOption{mirror, onNode(attackedNode), ownedBy(s.node(attackedNode))}
			return s.createAs(kubelet, namespace(s), append(node, options...)...)
		}
	}
	row := threat{test: "TestThreat07MirrorPods"}
	for where, namespace := range map[string]func(s *scene) string{
		"kube-system":             func(*scene) string { return metav1.NamespaceSystem },
		"a namespace of nobody":   func(s *scene) string { return s.namespace(nil) },
		"a namespace of a tenant": func(s *scene) string { return s.managed() },
	} {
		row.attacks = append(row.attacks, attack{
			name: "a kubelet's mirror pod in " + where + " keeps all pods off all nodes", names: []string{"spec.affinity"},
			run: posts(namespace, avoiding(wide(nil))),
		}, attack{
			name: "a kubelet's mirror pod in " + where + " is spread", names: []string{"spec.topologySpreadConstraints"},
			run: posts(namespace, spreadOver(corev1.LabelTopologyZone)),
		}, attack{
			name: "a kubelet's mirror pod in " + where + " passes for a tenant's", names: []string{tenantKey},
			run: posts(namespace, labelled(tenant("globex"))),
		})
	}
	row.attacks = append(row.attacks, []attack{
		{
			name: "a tenant's pod passes for a mirror pod", names: []string{"spec.nodeName"},
			run: func(s *scene) error {
				_, err := s.create(s.managed(), mirror, onNode(attackedNode))
				return err
			},
		},
		{
			name: "a kubelet rewrites the evidence of a pod that it runs", names: []string{evidenceKey},
			run: func(s *scene) error {
				pod := s.bound(s.managed(), evidenceOf("baseline"))
				return s.patch(kubelet, pod, types.MergePatchType, metadata("annotations", evidenceKey, evidenceOf("restricted")), "status")
			},
		},
		{
			name: "a kubelet removes the evidence of a pod that it runs", names: []string{evidenceKey},
			run: func(s *scene) error {
				pod := s.bound(s.managed(), evidenceOf("baseline"))
				return s.patch(kubelet, pod, types.MergePatchType, metadata("annotations", evidenceKey, nil), "status")
			},
		},
	}...)
	return row
}
