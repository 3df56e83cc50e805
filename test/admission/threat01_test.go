package admission

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestThreat01LabelSpoofingAtCreation(t *testing.T) { face(t) }

func labelSpoofing() threat {
	creates := func(namespace []label, options ...podOption) func(*scene) error {
		return func(s *scene) error {
			_, err := s.create(s.managed(namespace...), options...)
			return err
		}
	}
	return threat{"TestThreat01LabelSpoofingAtCreation", []attack{
		{
			name: "a pod says that it is another tenant's", names: []string{tenantKey},
			run: creates(nil, labelled(tenant("globex"))),
		},
		{
			name: "a pod says that it has no tenant", names: []string{tenantKey},
			run: creates(nil, labelled(tenant(""))),
		},
		{
			name: "a pod names a data class below its namespace's", names: []string{dataClassKey},
			run: creates([]label{dataClass("confidential")}, labelled(dataClass("internal"))),
		},
		{
			name: "a pod names no data class, by an empty label", names: []string{dataClassKey},
			run: creates([]label{dataClass("public")}, labelled(dataClass(""))),
		},
		{
			name: "a pod names a data class that does not exist", names: []string{dataClassKey},
			run: creates(nil, labelled(dataClass("top-secret"))),
		},
		{
			name: "a pod names a privilege below its namespace's", names: []string{privilegeKey},
			run: creates([]label{privilege("privileged")}, labelled(privilege("baseline"))),
		},
		{
			name: "a pod names a privilege that does not exist", names: []string{privilegeKey},
			run: creates(nil, labelled(privilege("root"))),
		},
		{
			name: "a pod says that it is of no data class, where its namespace has one", names: []string{dataClassKey},
			run: creates([]label{dataClass("public")}, labelled(dataClass("unclassified"))),
		},
		{
			name: "a pod that is made by a server-side apply says that it is another tenant's", names: []string{tenantKey},
			run: func(s *scene) error {
				pod := newPod(labelled(tenant("globex")))
				pod.Namespace = s.managed()
				pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
				return s.patch(editor, pod, types.ApplyPatchType, pod)
			},
		},
		{
			name: "a pod brings evidence before its namespace is a tenant's", undone: true,
			run: func(s *scene) error { return s.bears(s.namespace(nil), evidenceKey, evidenceOf("privileged")) },
		},
		{
			name: "a pod brings its own evidence", undone: true,
			run: func(s *scene) error { return s.bears(s.managed(), evidenceKey, evidenceOf("privileged")) },
		},
		{
			name: "a pod brings empty evidence", undone: true,
			run: func(s *scene) error { return s.bears(s.managed(), evidenceKey, "") },
		},
	}}
}

// bears creates a pod with an annotation that only a bind writes.
func (s *scene) bears(namespace, key, value string) error {
	pod, err := s.create(namespace, annotated(key, value))
	if err != nil {
		return err
	}
	if _, there := pod.Annotations[key]; !there {
		return errUndone
	}
	return nil
}
