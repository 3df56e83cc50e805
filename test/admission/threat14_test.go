package admission

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestThreat14NamespaceLabels(t *testing.T) { face(t) }

func namespaceLabels() threat {
	row := threat{test: "TestThreat14NamespaceLabels"}
	fully := func(s *scene) string {
		return s.managed(dataClass("confidential"), privilege("baseline"), boundary("vm"), defaultClass(kataClass))
	}
	for by, change := range namespaceWays() {
		// One who may do everything in the namespace, and one who may write namespaces.
		for _, who := range []user{owner, namespaceKeeper} {
			row.attacks = append(row.attacks, attack{
				name: fmt.Sprintf("%s moves a namespace to another tenant by %s", who, by), names: []string{tenantKey, "administrator"},
				run: func(s *scene) error { return change(s, who, fully(s), tenantKey, "globex") },
			}, attack{
				name: fmt.Sprintf("%s makes an unmanaged namespace a tenant's by %s", who, by), names: []string{tenantKey, "administrator"},
				run: func(s *scene) error { return change(s, who, s.namespace(nil), tenantKey, "acme") },
			})
		}
	}
	for key, value := range map[string]string{
		dataClassKey: "public", privilegeKey: "restricted", boundaryKey: "container", runtimeClassKey: plainClass,
	} {
		row.attacks = append(row.attacks, attack{
			name: fmt.Sprintf("the owner of a namespace changes its label %s", key), names: []string{key, "administrator"},
			run: func(s *scene) error {
				return s.patchNamespace(owner, fully(s), types.MergePatchType, metadata("labels", key, value))
			},
		})
	}
	for _, key := range []string{tenantKey, dataClassKey, privilegeKey, boundaryKey, runtimeClassKey} {
		row.attacks = append(row.attacks, attack{
			name: fmt.Sprintf("the owner of a namespace removes its label %s", key), names: []string{key, "administrator"},
			run: func(s *scene) error {
				return s.patchNamespace(owner, fully(s), types.MergePatchType, metadata("labels", key, nil))
			},
		}, attack{
			name: fmt.Sprintf("who may create namespaces creates one with the label %s", key), names: []string{key, "administrator"},
			run: func(s *scene) error {
				ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
					Name: unique("ns"), Labels: map[string]string{key: map[string]string{
						tenantKey: "acme", dataClassKey: "restricted", privilegeKey: "baseline",
						boundaryKey: "vm", runtimeClassKey: kataClass,
					}[key]},
				}}
				_, err := s.as(namespaceKeeper).CoreV1().Namespaces().Create(s.ctx, ns, metav1.CreateOptions{})
				return err
			},
		})
	}
	for _, unknown := range []label{tenant(""), dataClass("top-secret"), privilege("root"), boundary("wall")} {
		row.attacks = append(row.attacks, attack{
			name:  fmt.Sprintf("a pod is made in a namespace whose label %s says nothing that is known", unknown.key),
			names: []string{unknown.key, "administrator"},
			run: func(s *scene) error {
				labels := acmeLabels()
				labels[unknown.key] = unknown.value
				_, err := s.create(s.namespace(labels))
				return err
			},
		})
	}
	row.attacks = append(row.attacks, attack{
		name: "the owner of a namespace deletes it with its labels", names: []string{tenantKey, "administrator"},
		run: func(s *scene) error {
			return s.as(owner).CoreV1().Namespaces().Delete(s.ctx, fully(s), metav1.DeleteOptions{})
		},
	})
	return row
}

// namespaceWays are the requests that write a Namespace's labels.
func namespaceWays() map[string]func(s *scene, who user, namespace, key, value string) error {
	ways := map[string]func(s *scene, who user, namespace, key, value string) error{
		"a server-side apply": func(s *scene, who user, namespace, key, value string) error {
			object := metadata("labels", key, value)
			object["apiVersion"], object["kind"] = "v1", "Namespace"
			return s.patchNamespace(who, namespace, types.ApplyPatchType, object)
		},
		"a merge patch": func(s *scene, who user, namespace, key, value string) error {
			return s.patchNamespace(who, namespace, types.MergePatchType, metadata("labels", key, value))
		},
		"a patch of its status": func(s *scene, who user, namespace, key, value string) error {
			return s.patchNamespace(who, namespace, types.MergePatchType, metadata("labels", key, value), "status")
		},
	}
	for by, put := range map[string]func(s *scene, who user, ns *corev1.Namespace) error{
		"an update": func(s *scene, who user, ns *corev1.Namespace) error {
			_, err := s.as(who).CoreV1().Namespaces().Update(s.ctx, ns, metav1.UpdateOptions{})
			return err
		},
		"an update of its status": func(s *scene, who user, ns *corev1.Namespace) error {
			_, err := s.as(who).CoreV1().Namespaces().UpdateStatus(s.ctx, ns, metav1.UpdateOptions{})
			return err
		},
		"its finalizers": func(s *scene, who user, ns *corev1.Namespace) error {
			_, err := s.as(who).CoreV1().Namespaces().Finalize(s.ctx, ns, metav1.UpdateOptions{})
			return err
		},
	} {
		ways[by] = func(s *scene, who user, namespace, key, value string) error {
			ns, err := s.admin.CoreV1().Namespaces().Get(s.ctx, namespace, metav1.GetOptions{})
			s.must(err)
			ns.ResourceVersion = ""
			ns.Labels[key] = value
			return put(s, who, ns)
		}
	}
	return ways
}

func (s *scene) patchNamespace(who user, name string, form types.PatchType, change any, subresources ...string) error {
	var options metav1.PatchOptions
	if form == types.ApplyPatchType {
		force := true
		options = metav1.PatchOptions{FieldManager: "intruder", Force: &force}
	}
	_, err := s.as(who).CoreV1().Namespaces().Patch(s.ctx, name, form, s.marshal(change), options, subresources...)
	return err
}

// relabel sets a label of a namespace as its administrator, and waits until the policies
// know of it: they read namespaces from a cache.
func (s *scene) relabel(namespace string, l label) {
	s.must(s.patchNamespace(administrator, namespace, types.MergePatchType, metadata("labels", l.key, l.value)))
	if s.phase == open || l.key != tenantKey {
		return
	}
	warned := &warnings{}
	client, err := s.client(editor, warned)
	s.must(err)
	s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods(namespace).Create(ctx,
			newPod(labelled(tenant("not-"+l.value))), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		said := strings.Join(warned.take(), " ")
		if apierrors.IsForbidden(err) {
			said = err.Error()
		}
		// The pod was of another tenant before as well, if the namespace had one.
		return strings.Contains(said, "tenantisolation.dev/tenant of the pod names another tenant than its namespace: remove it, or write "+l.value), nil
	}))
	// Drop the warnings that the administrator got for it.
	s.warned.take()
}
