package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestThreat07MirrorPods(t *testing.T) { face(t) }

// mirrorPods are the ways to abuse that a node's own mirror pods are let through.
func mirrorPods() threat {
	mirror := annotated(corev1.MirrorPodAnnotationKey, "hash")
	return threat{"TestThreat07MirrorPods", []attack{
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
	}}
}
