package admission

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestThreat02LabelMutationAfterBind(t *testing.T) { face(t) }

func labelMutation() threat {
	states := map[string]func(s *scene) *corev1.Pod{
		"a bound pod":         func(s *scene) *corev1.Pod { return s.bound(s.managed(), evidenceOf("baseline"), classified) },
		"a pod that waits":    func(s *scene) *corev1.Pod { return s.waiting(s.managed(), classified) },
		"a pod that is gated": func(s *scene) *corev1.Pod { return s.waiting(s.managed(), classified, gated) },
	}
	ways := map[string]way{
		"an update": update, "a merge patch": mergePatch, "a JSON patch": jsonPatch,
		"a strategic merge patch": strategicPatch, "a server-side apply": serverSideApply,
		"a patch of its status": statusPatch,
	}
	row := threat{test: "TestThreat02LabelMutationAfterBind"}
	for state, prepare := range states {
		for by, change := range ways {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s moves to another tenant by %s", state, by), names: []string{tenantKey},
				run: func(s *scene) error {
					return change(s, prepare(s), "labels", tenantKey, "globex")
				},
			})
		}
		for _, c := range []struct{ what, field, key, value string }{
			{"names a higher data class", "labels", dataClassKey, "restricted"},
			{"names a lower data class", "labels", dataClassKey, "public"},
			{"drops its data class", "labels", dataClassKey, ""},
			{"drops its tenant", "labels", tenantKey, ""},
			{"names a privilege", "labels", privilegeKey, "privileged"},
			{"names its boundary", "annotations", evidenceKey, evidenceOf("privileged")},
			{"drops its evidence", "annotations", evidenceKey, ""},
		} {
			if c.what == "drops its evidence" && state != "a bound pod" {
				continue
			}
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s %s", state, c.what), names: []string{c.key},
				run: func(s *scene) error {
					if c.value == "" {
						return dropping(s, prepare(s), c.field, c.key)
					}
					return mergePatch(s, prepare(s), c.field, c.key, c.value)
				},
			})
		}
	}
	return row
}

// classified pods have the labels that the attacks change, with and without policies.
func classified(p *corev1.Pod) { labelled(tenant("acme"), dataClass("internal"))(p) }

// way sets a label or an annotation of a pod.
type way func(s *scene, pod *corev1.Pod, field, key, value string) error

func update(s *scene, pod *corev1.Pod, field, key, value string) error {
	changed := s.get(pod)
	// Whatever is there now: others write pods, too.
	changed.ResourceVersion = ""
	if field == "labels" {
		changed.Labels[key] = value
	} else {
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, key, value)
	}
	_, err := s.as(editor).CoreV1().Pods(pod.Namespace).Update(s.ctx, changed, metav1.UpdateOptions{})
	return err
}

func mergePatch(s *scene, pod *corev1.Pod, field, key, value string) error {
	return s.patch(editor, pod, types.MergePatchType, metadata(field, key, value))
}

func strategicPatch(s *scene, pod *corev1.Pod, field, key, value string) error {
	return s.patch(editor, pod, types.StrategicMergePatchType, metadata(field, key, value))
}

func jsonPatch(s *scene, pod *corev1.Pod, field, key, value string) error {
	path := "/metadata/" + field + "/" + escape(key)
	return s.patch(editor, pod, types.JSONPatchType, []map[string]any{{"op": "add", "path": path, "value": value}})
}

func serverSideApply(s *scene, pod *corev1.Pod, field, key, value string) error {
	object := metadata(field, key, value)
	object["apiVersion"], object["kind"] = "v1", "Pod"
	return s.patch(editor, pod, types.ApplyPatchType, object)
}

// statusPatch takes a right that the role edit does not give.
func statusPatch(s *scene, pod *corev1.Pod, field, key, value string) error {
	return s.patch(owner, pod, types.MergePatchType, metadata(field, key, value), "status")
}

// escape writes a key as a part of a JSON pointer.
func escape(key string) string { return strings.ReplaceAll(key, "/", "~1") }

func dropping(s *scene, pod *corev1.Pod, field, key string) error {
	return s.patch(editor, pod, types.MergePatchType, metadata(field, key, nil))
}

func metadata(field, key string, value any) map[string]any {
	return map[string]any{"metadata": map[string]any{field: map[string]any{key: value}}}
}

// patch changes a pod as a user, in the form of the patch type.
func (s *scene) patch(who user, pod *corev1.Pod, form types.PatchType, change any, subresources ...string) error {
	body, err := json.Marshal(change)
	s.must(err)
	var options metav1.PatchOptions
	if form == types.ApplyPatchType {
		force := true
		options = metav1.PatchOptions{FieldManager: "intruder", Force: &force}
	}
	_, err = s.as(who).CoreV1().Pods(pod.Namespace).Patch(s.ctx, pod.Name, form, body, options, subresources...)
	return err
}

// The other subresources of a pod ignore its labels; if that changes, this test fails.
func TestThreat02NoOtherSubresourceMovesALabel(t *testing.T) {
	for _, subresource := range []string{"resize", "ephemeralcontainers"} {
		t.Run(subresource, func(t *testing.T) {
			s := newScene(t)
			pod := s.bound(s.managed(), evidenceOf("baseline"), classified)
			err := s.patch(owner, pod, types.MergePatchType, metadata("labels", tenantKey, "globex"), subresource)
			if got := s.get(pod).Labels[tenantKey]; got != "acme" {
				t.Errorf("the pod is of %q now, want it acme's", got)
			}
			t.Logf("the answer is: %v", err)
		})
	}
}
