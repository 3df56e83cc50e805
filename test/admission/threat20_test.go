package admission

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func TestThreat20ResidentsThatVanish(t *testing.T) { face(t) }

// forceDelete makes a node look free while a pod's containers may still run.
func forceDelete() threat {
	resident := func(s *scene) *corev1.Pod { return s.bound(s.managed(), evidenceOf("baseline")) }
	row := threat{test: "TestThreat20ResidentsThatVanish"}
	for _, who := range []user{editor, namespaceAdmin, owner} {
		row.attacks = append(row.attacks, attack{
			name: fmt.Sprintf("%s deletes a running pod by force", who), names: []string{"gracePeriodSeconds"},
			run: func(s *scene) error {
				pod := resident(s)
				return s.vanishes(pod, s.remove(who, pod, ptr.To[int64](0)))
			},
		})
	}
	row.attacks = append(row.attacks, attack{
		name: "a tenant hurries a pod that is on its way", names: []string{"gracePeriodSeconds"},
		run: func(s *scene) error {
			pod := resident(s)
			s.must(s.remove(editor, pod, nil))
			return s.vanishes(pod, s.remove(editor, pod, ptr.To[int64](0)))
		},
	}, attack{
		name: "a tenant deletes all its pods by force", names: []string{"gracePeriodSeconds"},
		run: func(s *scene) error {
			pod := resident(s)
			return s.vanishes(pod, s.as(editor).CoreV1().Pods(pod.Namespace).DeleteCollection(s.ctx,
				*metav1.NewDeleteOptions(0), metav1.ListOptions{}))
		},
	}, attack{
		name: "a tenant deletes a running pod by force, in the address of the request", names: []string{"gracePeriodSeconds"},
		run: func(s *scene) error {
			pod := resident(s)
			return s.vanishes(pod, s.as(editor).CoreV1().RESTClient().Delete().Namespace(pod.Namespace).
				Resource("pods").Name(pod.Name).Param("gracePeriodSeconds", "0").Do(s.ctx).Error())
		},
	}, attack{
		name: "a tenant evicts a running pod by force", names: []string{"gracePeriodSeconds"},
		run: func(s *scene) error {
			pod := resident(s)
			return s.vanishes(pod, s.evict(pod, metav1.NewDeleteOptions(0)))
		},
	}, attack{
		name: "a tenant deletes a pod that asks for no grace period", names: []string{"terminationGracePeriodSeconds"},
		run: func(s *scene) error {
			return s.withoutGrace(func(pod *corev1.Pod) error { return s.remove(editor, pod, nil) })
		},
	}, attack{
		name: "a tenant evicts a pod that asks for no grace period", names: []string{"terminationGracePeriodSeconds"},
		run: func(s *scene) error {
			return s.withoutGrace(func(pod *corev1.Pod) error { return s.evict(pod, nil) })
		},
	}, attack{
		name: "a tenant has a pod that asks for no grace period collected", names: []string{"terminationGracePeriodSeconds"},
		run: func(s *scene) error {
			return s.withoutGrace(func(pod *corev1.Pod) error {
				owner := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-0000-0000-000000000000"}
				return s.patch(editor, pod, types.MergePatchType,
					map[string]any{"metadata": map[string]any{"ownerReferences": []any{owner}}})
			})
		},
	}, attack{
		name: "a tenant declares a running pod finished", names: []string{"status.phase"},
		run: func(s *scene) error {
			return s.finish(owner, resident(s), corev1.PodSucceeded)
		},
	}, attack{
		name: "a tenant declares a running pod failed", names: []string{"status.phase"},
		run: func(s *scene) error {
			return s.finish(owner, resident(s), corev1.PodFailed)
		},
	}, attack{
		name: "a tenant writes when a running pod was started", names: []string{"status.startTime"},
		run: func(s *scene) error {
			return s.reports(owner, resident(s), map[string]any{"startTime": "2001-01-01T00:00:00Z"})
		},
	}, attack{
		name: "a tenant writes that the containers of a running pod have ended", names: []string{"statuses of containers"},
		run: func(s *scene) error {
			return s.reports(owner, resident(s), map[string]any{"containerStatuses": []any{map[string]any{
				"name": "app", "image": "none", "imageID": "none", "state": map[string]any{"terminated": map[string]any{"exitCode": 0}},
			}}})
		},
	}, attack{
		name: "a running pod without a tenant is declared finished", names: []string{"status.phase"},
		run: func(s *scene) error { return s.finish(owner, s.unmanagedResident(), corev1.PodFailed) },
	}, attack{
		name: "a running pod without a tenant is deleted by force", names: []string{"gracePeriodSeconds"},
		run: func(s *scene) error {
			pod := s.unmanagedResident()
			return s.vanishes(pod, s.remove(editor, pod, ptr.To[int64](0)))
		},
	})
	return row
}

// unmanagedResident is a pod of no tenant that another scheduler has bound.
func (s *scene) unmanagedResident() *corev1.Pod {
	pod := s.waiting(s.namespace(nil))
	s.must(s.quietly(administrator).CoreV1().Pods(pod.Namespace).Bind(s.ctx, plainBindingOf(pod, freeNode), metav1.CreateOptions{}))
	return s.get(pod)
}

// reports writes into a pod's status.
func (s *scene) reports(who user, pod *corev1.Pod, status map[string]any) error {
	return s.patch(who, pod, types.MergePatchType, map[string]any{"status": status}, "status")
}

// withoutGrace makes a pod that asks for no grace period and has it deleted in some way.
func (s *scene) withoutGrace(deleted func(pod *corev1.Pod) error) error {
	pod, err := s.create(s.managed(), graceSeconds(0))
	if err != nil {
		return err
	}
	s.bind(pod, attackedNode, evidenceOf("baseline"))
	return s.vanishes(pod, deleted(s.get(pod)))
}

// vanishes waits until an accepted deletion has removed the pod, without its kubelet.
func (s *scene) vanishes(pod *corev1.Pod, err error) error {
	if err != nil {
		return err
	}
	// At once in most cases; the garbage collector takes a moment.
	return poll(s.ctx, func(ctx context.Context) (bool, error) {
		_, err := s.admin.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

func (s *scene) remove(who user, pod *corev1.Pod, grace *int64) error {
	return s.as(who).CoreV1().Pods(pod.Namespace).Delete(s.ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: grace})
}

func (s *scene) evict(pod *corev1.Pod, options *metav1.DeleteOptions) error {
	return s.as(editor).CoreV1().Pods(pod.Namespace).EvictV1(s.ctx, &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		DeleteOptions: options,
	})
}

// finish writes into a pod's status that its containers have ended.
func (s *scene) finish(who user, pod *corev1.Pod, phase corev1.PodPhase) error {
	return s.patch(who, pod, types.MergePatchType, map[string]any{"status": map[string]any{"phase": phase}}, "status")
}
