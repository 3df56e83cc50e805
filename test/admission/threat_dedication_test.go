package admission

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestThreat04NodeNameOfADedicatedNode(t *testing.T)      { face(t) }
func TestThreat05UnmanagedPodsOnDedicatedNodes(t *testing.T) { face(t) }
func TestThreat05BindsOfADeposedScheduler(t *testing.T)      { face(t) }
func TestThreat10NodesWrittenBySchedulerAlone(t *testing.T)  { face(t) }

func nodeNameOfADedicatedNode() threat {
	return threat{"TestThreat04NodeNameOfADedicatedNode", []attack{
		{
			name: "a pod without a tenant names a dedicated node", names: []string{"spec.nodeName", "dedicated"}, dedication: true,
			run: func(s *scene) error { return s.createAs(editor, s.namespace(nil), onNode(s.dedicated())) },
		},
		{
			name: "an administrator's pod without a tenant names a dedicated node", names: []string{"spec.nodeName", "dedicated"}, dedication: true,
			run: func(s *scene) error { return s.createAs(administrator, s.namespace(nil), onNode(s.dedicated())) },
		},
		{
			name: "a pod without a tenant passes for a mirror pod", names: []string{"spec.nodeName", "dedicated"}, dedication: true,
			run: func(s *scene) error {
				return s.createAs(editor, s.namespace(nil), onNode(s.dedicated()), annotated(corev1.MirrorPodAnnotationKey, "hash"))
			},
		},
	}}
}

func unmanagedOnDedicatedNodes() threat {
	row := threat{test: "TestThreat05UnmanagedPodsOnDedicatedNodes"}
	for by, bind := range binders() {
		for who, whose := range map[user]string{
			owner: "a user", stockScheduler: "the cluster's own scheduler", administrator: "an administrator by mistake",
			ourScheduler: "our scheduler's account",
		} {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s binds a pod without a tenant by %s", whose, by), names: []string{"dedicated"}, dedication: true,
				run: func(s *scene) error {
					return bind(s, who, plainBindingOf(s.waiting(s.namespace(nil)), s.dedicated()))
				},
			})
		}
	}
	return row
}

// deposedScheduler are Bindings that were decided when the table said something else.
func deposedScheduler() threat {
	row := threat{test: "TestThreat05BindsOfADeposedScheduler"}
	for what, token := range map[string]func(s *scene, node string) string{
		"without a dedication":                         func(*scene, string) string { return "" },
		"with the id of the dedication before":         func(s *scene, node string) string { return s.released(node, true) },
		"after the node was released":                  func(s *scene, node string) string { return s.released(node, false) },
		"with the term of the leader before":           func(s *scene, node string) string { return "before" + s.table.token(node) },
		"with no term":                                 func(s *scene, node string) string { return s.table.token(node)[len(term):] },
		"with the dedication of another node":          func(s *scene, _ string) string { return s.table.token(s.dedicated()) },
		"with no id":                                   func(*scene, string) string { return term + "-" },
		"with nothing but the term":                    func(*scene, string) string { return term },
		"with an id that begins like the dedication's": func(s *scene, node string) string { return s.table.token(node)[:len(term)+2] },
		"with an id that goes over two entries": func(s *scene, node string) string {
			return s.table.token(node) + ": " + node + "=" + s.table.token(node)[len(term)+1:]
		},
	} {
		for by, bind := range binders() {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("our scheduler's account binds %s by %s", what, by), names: []string{dedicationKey}, dedication: true,
				run: func(s *scene) error {
					node := s.dedicated()
					binding := plainBindingOf(s.waiting(s.managed()), node)
					binding.Annotations = map[string]string{evidenceKey: evidenceOf("baseline"), dedicationKey: token(s, node)}
					return bind(s, ourScheduler, binding)
				},
			})
		}
	}
	for what, change := range map[string]any{"forges": "mine", "removes": nil} {
		row.attacks = append(row.attacks, attack{
			name: fmt.Sprintf("a tenant %s the dedication under which its pod was bound", what), names: []string{dedicationKey},
			run: func(s *scene) error {
				pod := s.bound(s.managed(), evidenceOf("baseline"))
				return s.patch(editor, pod, types.MergePatchType, metadata("annotations", dedicationKey, change))
			},
		})
	}
	row.attacks = append(row.attacks, attack{
		name: "a tenant makes a pod with a dedication", undone: true,
		run: func(s *scene) error { return s.bears(s.managed(), dedicationKey, s.table.token(attackedNode)) },
	})
	return row
}

// dedicationsWritten are tried out only, as all other attacks need the table.
func dedicationsWritten() threat {
	row := threat{test: "TestThreat10NodesWrittenBySchedulerAlone"}
	try := []string{metav1.DryRunAll}
	for what, write := range map[string]func(s *scene) error{
		"frees a node": func(s *scene) error {
			_, err := s.as(mapKeeper).CoreV1().ConfigMaps(systemNamespace).Patch(s.ctx, dedicationTable, types.MergePatchType,
				s.marshal(map[string]any{"data": map[string]any{"ed": nil}}), metav1.PatchOptions{DryRun: try})
			return err
		},
		"takes over": func(s *scene) error {
			_, err := s.as(mapKeeper).CoreV1().ConfigMaps(systemNamespace).Update(s.ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: dedicationTable}, Data: map[string]string{"term": "mine"},
			}, metav1.UpdateOptions{DryRun: try})
			return err
		},
		"deletes the table": func(s *scene) error {
			return s.as(mapKeeper).CoreV1().ConfigMaps(systemNamespace).Delete(s.ctx, dedicationTable, metav1.DeleteOptions{DryRun: try})
		},
		"deletes every ConfigMap": func(s *scene) error {
			return s.as(mapKeeper).CoreV1().ConfigMaps(systemNamespace).DeleteCollection(s.ctx,
				metav1.DeleteOptions{DryRun: try}, metav1.ListOptions{FieldSelector: "metadata.name=" + dedicationTable})
		},
	} {
		row.attacks = append(row.attacks, attack{
			name: "who may write ConfigMaps " + what, names: []string{dedicationTable}, run: write,
		})
	}
	const countedOn = "whose pods may count on it"
	for what, change := range map[string]map[string]any{
		"the taint of a tenant": {"spec": map[string]any{"taints": []any{
			map[string]any{"key": tenantKey, "value": "globex", "effect": "NoSchedule"},
		}}},
		"the taint of virtual machines": {"spec": map[string]any{"taints": []any{
			map[string]any{"key": boundaryKey, "value": "vm", "effect": "NoExecute"},
		}}},
		"the label of a tenant":     metadata("labels", tenantKey, "globex"),
		"the label of a data class": metadata("labels", dataClassKey, "public"),
		countedOn:                   metadata("labels", nodeLabelKey, "globex"),
		"who has opened it":         metadata("annotations", openedByKey, "globex"),
	} {
		for _, who := range []user{nodeKeeper, kubelet} {
			_, taints := change["spec"]
			if who == kubelet && (taints || what == countedOn) {
				// NodeRestriction keeps it from that, without any policy.
				continue
			}
			names := []string{tenantKey, openedByKey}
			if what == countedOn {
				names = []string{nodeLabelKey}
			}
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s writes %s on a node", who, what), names: names,
				run: func(s *scene) error {
					_, err := s.as(who).CoreV1().Nodes().Patch(s.ctx, attackedNode, types.MergePatchType, s.marshal(change),
						metav1.PatchOptions{DryRun: try})
					return err
				},
			})
		}
	}
	return row
}
