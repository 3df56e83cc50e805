package admission

import (
	"encoding/json"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func TestThreat05OtherSchedulers(t *testing.T) { face(t) }

func otherScheduler() threat {
	row := threat{test: "TestThreat05OtherSchedulers"}
	for by, bind := range binders() {
		for who, whose := range map[user]string{
			owner: "a tenant", stockScheduler: "the cluster's own scheduler", administrator: "an administrator by mistake",
		} {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s binds a pod by %s", whose, by), names: []string{schedulerName},
				run: func(s *scene) error {
					return bind(s, who, s.bindingOf(s.waiting(s.managed()), attackedNode))
				},
			})
		}
	}
	for what, toleration := range map[string]corev1.Toleration{
		"every taint":                       {Operator: corev1.TolerationOpExists},
		"every taint of one effect":         {Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
		"every taint of the weakest effect": {Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
		"a taint of this project":           {Key: "tenantisolation.dev/tenant", Operator: corev1.TolerationOpEqual, Value: "globex"},
		"any taint of this project":         {Key: "tenantisolation.dev/node", Operator: corev1.TolerationOpExists},
		"the taint of any tenant":           {Key: tenantKey, Operator: corev1.TolerationOpExists},
		"the taint of every data class":     {Key: dataClassKey, Operator: corev1.TolerationOpExists},
		"the taint of another data class":   {Key: dataClassKey, Operator: corev1.TolerationOpEqual, Value: "restricted"},
		"the taint of virtual machines":     {Key: boundaryKey, Operator: corev1.TolerationOpEqual, Value: "vm"},
		"its own taint, of tenants no more than a while": {
			Key: tenantKey, Value: "acme", Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](10),
		},
	} {
		// Those of this project are dropped, as copies of pods have them.
		row.attacks = append(row.attacks, attack{
			name: "a new pod tolerates " + what, names: []string{"spec.tolerations"}, undone: toleration.Key != "",
			run: func(s *scene) error { return s.tolerates(s.managed(), toleration) },
		})
		if toleration.Key != "" {
			row.attacks = append(row.attacks, attack{
				name: "a new pod without a tenant tolerates " + what, undone: true,
				run: func(s *scene) error { return s.tolerates(s.namespace(nil), toleration) },
			})
		}
		for state, prepare := range map[string]func(s *scene) *corev1.Pod{
			"a bound pod":      func(s *scene) *corev1.Pod { return s.bound(s.managed(), evidenceOf("baseline")) },
			"a pod that waits": func(s *scene) *corev1.Pod { return s.waiting(s.managed()) },
		} {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s is changed to tolerate %s", state, what), names: []string{"spec.tolerations"},
				run: func(s *scene) error {
					pod := s.get(prepare(s))
					tolerations := append(pod.Spec.Tolerations, toleration)
					return s.patch(editor, pod, types.MergePatchType,
						map[string]any{"spec": map[string]any{"tolerations": tolerations}})
				},
			})
		}
	}
	intoVMs := corev1.Toleration{Key: boundaryKey, Operator: corev1.TolerationOpEqual, Value: "vm"}
	row.attacks = append(row.attacks, attack{
		name: "a new container with a RuntimeClass tolerates nodes of virtual machines", undone: true,
		run: func(s *scene) error { return s.tolerates(s.managed(), intoVMs, runtimeClass(plainClass)) },
	}, attack{
		name: "a container with a RuntimeClass is changed to tolerate nodes of virtual machines", names: []string{"spec.tolerations"},
		run: func(s *scene) error {
			pod := s.get(s.waiting(s.managed(), runtimeClass(plainClass)))
			return s.patch(editor, pod, types.MergePatchType,
				map[string]any{"spec": map[string]any{"tolerations": append(pod.Spec.Tolerations, intoVMs)}})
		},
	})
	return row
}

// tolerates creates a pod with a toleration.
func (s *scene) tolerates(namespace string, toleration corev1.Toleration, options ...podOption) error {
	pod, err := s.create(namespace, append(options, tolerating(toleration))...)
	if err != nil {
		return err
	}
	for _, t := range pod.Spec.Tolerations {
		if t.Key == toleration.Key && t.Operator == toleration.Operator && t.Value == toleration.Value && t.Effect == toleration.Effect {
			return nil
		}
	}
	return errUndone
}

// createAs makes a pod as a user.
func (s *scene) createAs(who user, namespace string, options ...podOption) error {
	_, err := s.as(who).CoreV1().Pods(namespace).Create(s.ctx, newPod(options...), metav1.CreateOptions{})
	return err
}

func (s *scene) marshal(v any) []byte {
	text, err := json.Marshal(v)
	s.must(err)
	return text
}
