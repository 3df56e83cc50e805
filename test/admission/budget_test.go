package admission

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// large makes a pod of about the maximum size and cost of evaluation: a policy that exceeds its
// budget refuses the pod.
func large(p *corev1.Pod) {
	const many = 50
	for i := range many {
		name := fmt.Sprintf("c%d", i)
		c := p.Spec.Containers[0]
		c.Name = name
		c.SecurityContext = restrictedContainer()
		p.Spec.Containers = append(p.Spec.Containers, c)
		c.Name = "init-" + name
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{
			Key: "example.com/" + name, Operator: corev1.TolerationOpExists,
		})
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{
			Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
		for j := range 4 {
			p.Labels[fmt.Sprintf("example.com/%s-%d", name, j)] = name
			p.Annotations[fmt.Sprintf("example.com/%s-%d", name, j)] = strings.Repeat(name, 100)
		}
	}
	p.Spec.Containers = p.Spec.Containers[1:]
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot:   ptr.To(true),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func TestBudgetALargePodIsJudged(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(dataClass("internal"), privilege("restricted"), boundary("vm"), defaultClass(kataClass))
	_, err := s.create(namespace, large)
	s.allowed("a large pod", err)
	_, err = s.create(namespace, large, tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}))
	if err == nil {
		t.Error("a large pod with a wrong toleration at the end is allowed")
	} else if err := helps(err.Error(), []string{"spec.tolerations"}); err != nil {
		t.Error(err)
	}
	_, err = s.create(namespace, large, func(p *corev1.Pod) {
		p.Spec.Containers[len(p.Spec.Containers)-1].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
	})
	if err == nil {
		t.Error("a large pod with a wrong container at the end is allowed")
	} else if err := helps(err.Error(), []string{boundaryKey}); err != nil {
		t.Error(err)
	}
}

func TestBudgetALargePodIsChanged(t *testing.T) {
	s := newScene(t)
	pod := s.bound(s.managed(), evidenceOf("restricted"), large)
	s.allowed("a label", mergePatch(s, pod, "labels", "app", "web"))
	s.allowed("its kubelet's status", s.report(pod))
	pod = s.get(pod)
	for i := range 50 {
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{
				Name: fmt.Sprintf("debugger-%d", i), Image: "none", SecurityContext: restrictedContainer(),
				TerminationMessagePolicy: corev1.TerminationMessageReadFile, ImagePullPolicy: corev1.PullIfNotPresent,
			},
		})
	}
	s.allowed("one more, and fifty at once", s.debug(pod, restrictedContainer()))
	err := s.debug(s.get(pod), &corev1.SecurityContext{Privileged: ptr.To(true)})
	if err == nil {
		t.Fatal("a privileged one after them is allowed")
	}
	if err := helps(err.Error(), []string{"restricted"}); err != nil {
		t.Error(err)
	}
}
