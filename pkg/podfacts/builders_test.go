package podfacts

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/policy"
)

func newGatherer(t *testing.T) *Gatherer {
	t.Helper()
	g, err := NewGatherer()
	if err != nil {
		t.Fatalf("cannot make a gatherer: %v", err)
	}
	return g
}

// newRules returns the rules of the default arguments.
func newRules(t *testing.T) *Rules {
	t.Helper()
	r, err := NewRules(policy.Default())
	if err != nil {
		t.Fatalf("the default arguments make no rules: %v", err)
	}
	return r
}

// newPod returns a pod that asks for as little as the Pod Security Standards know.
func newPod(namespace string, change ...func(*v1.Pod)) *v1.Pod {
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"},
		Spec: v1.PodSpec{
			SecurityContext: &v1.PodSecurityContext{
				RunAsNonRoot:   new(true),
				SeccompProfile: &v1.SeccompProfile{Type: v1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []v1.Container{restrictedContainer("app")},
		},
	}
	for _, c := range change {
		c(pod)
	}
	return pod
}

func restrictedContainer(name string) v1.Container {
	return v1.Container{Name: name, SecurityContext: &v1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &v1.Capabilities{Drop: []v1.Capability{"ALL"}},
	}}
}
