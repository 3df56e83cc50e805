package admission

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestThreat13VolumesSwapped(t *testing.T)       { face(t) }
func TestThreat13RuntimesReconfigured(t *testing.T) { face(t) }

// volumesSwapped puts another volume under a running pod, by the name of its PVC.
func volumesSwapped() threat {
	row := threat{test: "TestThreat13VolumesSwapped"}
	for how, patch := range map[string]struct {
		kind types.PatchType
		body any
	}{
		"a merge patch": {types.MergePatchType, map[string]any{"metadata": map[string]any{"finalizers": nil}}},
		"a JSON patch":  {types.JSONPatchType, []any{map[string]any{"op": "remove", "path": "/metadata/finalizers"}}},
		"a list without it": {types.MergePatchType, map[string]any{"metadata": map[string]any{
			"finalizers": []any{"example.com/mine"},
		}}},
	} {
		for _, who := range []user{editor, owner} {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s takes the protection of a PVC by %s", who, how), names: []string{"metadata.finalizers", "pvc-protection"},
				run: func(s *scene) error {
					pvc := s.mounted()
					_, err := s.as(who).CoreV1().PersistentVolumeClaims(pvc.Namespace).Patch(s.ctx, pvc.Name, patch.kind, s.marshal(patch.body), metav1.PatchOptions{})
					return err
				},
			})
		}
	}
	row.attacks = append(row.attacks, attack{
		name: "a tenant takes the protection of a PVC that it has deleted", names: []string{"metadata.finalizers"},
		run: func(s *scene) error {
			pvc := s.mounted()
			api := s.as(editor).CoreV1().PersistentVolumeClaims(pvc.Namespace)
			s.must(api.Delete(s.ctx, pvc.Name, metav1.DeleteOptions{}))
			_, err := api.Patch(s.ctx, pvc.Name, types.MergePatchType, s.marshal(map[string]any{"metadata": map[string]any{"finalizers": nil}}), metav1.PatchOptions{})
			return err
		},
	})
	return row
}

// mounted is a PVC that a running pod mounts.
func (s *scene) mounted() *corev1.PersistentVolumeClaim {
	namespace := s.managed()
	pvc := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	pvc, err := s.quietly(editor).CoreV1().PersistentVolumeClaims(namespace).Create(s.ctx, pvc, metav1.CreateOptions{})
	s.must(err)
	s.bound(namespace, evidenceOf("baseline"), func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: pvc.Name},
		}}}
	})
	return pvc
}

// runtimesReconfigured writes what a container runtime reads into a pod that runs.
func runtimesReconfigured() threat {
	row := threat{test: "TestThreat13RuntimesReconfigured"}
	for _, key := range []string{
		kataPath, "cdi.k8s.io/gpu", "nvidia.cdi.k8s.io/gpu", "dev.gvisor.spec.mount.data.share", "io.kubernetes.cri-o.Devices",
		"irq-load-balancing.crio.io", "run.oci.handler", "devices.nri.io/pod", "org.systemd.property.DeviceAllow",
	} {
		row.attacks = append(row.attacks, attack{
			name: "a running pod gets the annotation " + key, names: []string{key},
			run: func(s *scene) error {
				pod := s.bound(s.managed(), evidenceOf("baseline"))
				return s.patch(editor, pod, types.MergePatchType, metadata("annotations", key, "x"))
			},
		}, attack{
			name: "a pod that ran before its namespace was a tenant's loses the annotation " + key, names: []string{key},
			run: func(s *scene) error {
				namespace := s.namespace(nil)
				pod := s.waiting(namespace, annotated(key, "x"))
				s.must(s.quietly(administrator).CoreV1().Pods(namespace).Bind(s.ctx, plainBindingOf(pod, freeNode), metav1.CreateOptions{}))
				s.relabel(namespace, tenant("acme"))
				return s.patch(editor, pod, types.MergePatchType, metadata("annotations", key, nil))
			},
		})
	}
	return row
}

// What a controller of kube-system does at the end of a PVC is not refused.
func TestUsePVCProtectionEnds(t *testing.T) {
	s := newScene(t)
	for _, who := range []user{pvcController, administrator} {
		pvc := s.mounted()
		pvc.Finalizers = nil
		_, err := s.as(who).CoreV1().PersistentVolumeClaims(pvc.Namespace).Update(s.ctx, pvc, metav1.UpdateOptions{})
		s.allowed(fmt.Sprintf("%s ends the protection", who), err)
	}
}

// A pod that is made again from what `kubectl get -o yaml` printed loses its stamps, and
// nothing else.
func TestUseReplacePod(t *testing.T) {
	s := newScene(t)
	for what, namespace := range map[string]string{"a managed namespace": s.managed(), "one without a tenant": s.namespace(nil)} {
		pod, err := s.create(namespace, annotated(evidenceKey, evidenceOf("baseline")), annotated(dedicationKey, "term-id"), annotated("example.com/note", "hello"))
		s.allowed("a pod made again in "+what, err)
		if err != nil {
			continue
		}
		if pod.Annotations[evidenceKey] != "" || pod.Annotations[dedicationKey] != "" || pod.Annotations["example.com/note"] != "hello" {
			t.Errorf("in %s it bears %v, want its note alone", what, pod.Annotations)
		}
	}
}

// A status that says nothing of what runs is anybody's to write who has the right.
func TestUseOtherStatus(t *testing.T) {
	s := newScene(t)
	for _, pod := range []*corev1.Pod{s.bound(s.managed(), evidenceOf("baseline")), s.unmanagedResident()} {
		condition := map[string]any{"type": "example.com/ready", "status": "True"}
		s.allowed("a condition of one's own", s.reports(owner, pod, map[string]any{"conditions": []any{condition}}))
	}
	pod := s.bound(s.managed(), evidenceOf("baseline"))
	s.allowed("its kubelet ends the pod", s.finish(kubelet, pod, corev1.PodSucceeded))
}

// A virtual kubelet need not sign in as system:node:NAME: whoever may write the status of a
// Node may say what runs there.
func TestUseVirtualKubelet(t *testing.T) {
	s := newScene(t)
	pod := s.unmanagedResident()
	s.allowed("what runs on its Node", s.reports(nodeAgent, pod, map[string]any{"startTime": "2026-01-01T00:00:00Z"}))
	s.allowed("its end", s.finish(nodeAgent, pod, corev1.PodSucceeded))
}
