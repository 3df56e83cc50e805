package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestThreat09RuntimeClassesDeletedAndRecreated(t *testing.T) { face(t) }

func runtimeClasses() threat {
	return threat{"TestThreat09RuntimeClassesDeletedAndRecreated", []attack{
		{
			name: "a user creates a RuntimeClass that isolates", names: []string{"handler", "administrator"},
			run: func(s *scene) error {
				return s.createClass(classKeeper, newClass(unique("class"), "kata-qemu"))
			},
		},
		{
			name: "a user deletes a RuntimeClass that isolates", names: []string{"handler", "administrator"},
			run: func(s *scene) error { return s.deleteClass(classKeeper, s.class("kata-clh")) },
		},
		{
			name: "a user deletes a RuntimeClass that isolates, among all others", names: []string{"handler", "administrator"},
			run: func(s *scene) error {
				name := s.class("kata-fc")
				return s.as(classKeeper).NodeV1().RuntimeClasses().DeleteCollection(s.ctx, metav1.DeleteOptions{},
					metav1.ListOptions{FieldSelector: "metadata.name=" + name})
			},
		},
		{
			name: "a user recreates a RuntimeClass with a handler that does not isolate", names: []string{"handler", "administrator"},
			run: func(s *scene) error {
				name := s.class("runsc")
				if err := s.deleteClass(classKeeper, name); err != nil {
					return err
				}
				return s.createClass(classKeeper, newClass(name, "crun"))
			},
		},
		{
			name: "a user steers the pods of a RuntimeClass that isolates elsewhere", names: []string{"handler", "administrator"},
			run: func(s *scene) error {
				return s.updateClass(s.class("kata-qemu"), func(class *nodev1.RuntimeClass) {
					class.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"example.com/pool": "mine"}}
				})
			},
		},
		{
			name: "a user changes the overhead of a RuntimeClass that isolates", names: []string{"handler", "administrator"},
			run: func(s *scene) error {
				return s.updateClass(s.class("kata-qemu"), func(class *nodev1.RuntimeClass) {
					class.Overhead = &nodev1.Overhead{PodFixed: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Ti")}}
				})
			},
		},
	}}
}

// class is a RuntimeClass that an administrator has made.
func (s *scene) class(handler string) string {
	class := newClass(unique("class"), handler)
	_, err := s.admin.NodeV1().RuntimeClasses().Create(s.ctx, class, metav1.CreateOptions{})
	s.must(err)
	return class.Name
}

func (s *scene) createClass(who user, class *nodev1.RuntimeClass) error {
	_, err := s.as(who).NodeV1().RuntimeClasses().Create(s.ctx, class, metav1.CreateOptions{})
	return err
}

func (s *scene) deleteClass(who user, name string) error {
	return s.as(who).NodeV1().RuntimeClasses().Delete(s.ctx, name, metav1.DeleteOptions{})
}

func (s *scene) updateClass(name string, change func(*nodev1.RuntimeClass)) error {
	class, err := s.admin.NodeV1().RuntimeClasses().Get(s.ctx, name, metav1.GetOptions{})
	s.must(err)
	change(class)
	_, err = s.as(classKeeper).NodeV1().RuntimeClasses().Update(s.ctx, class, metav1.UpdateOptions{})
	return err
}
