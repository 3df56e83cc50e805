package admission

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func TestOperatorsAreWarned(t *testing.T) {
	owned := func(apiVersion, kind string) podOption {
		return func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: apiVersion, Kind: kind, Name: "db", UID: types.UID("1"), Controller: ptr.To(true),
			}}
		}
	}
	for what, tc := range map[string]struct {
		labels map[string]string
		owner  podOption
		warned bool
	}{
		"a pod of an operator":               {labels: acmeLabels(), owner: owned("example.com/v1", "Cluster"), warned: true},
		"a pod of a ReplicaSet":              {labels: acmeLabels(), owner: owned("apps/v1", "ReplicaSet")},
		"a pod of a Job":                     {labels: acmeLabels(), owner: owned("batch/v1", "Job")},
		"a pod of nobody":                    {labels: acmeLabels(), owner: func(*corev1.Pod) {}},
		"an operator's pod without a tenant": {owner: owned("example.com/v1", "Cluster")},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t)
			s.warned.take()
			if _, err := s.create(s.namespace(tc.labels), tc.owner, scheduledBy("default-scheduler")); err != nil {
				t.Fatal(err)
			}
			warnings := strings.Join(s.warned.take(), "\n")
			if got := strings.Contains(warnings, "tenant-isolation-operators"); got != tc.warned {
				t.Errorf("warned: %t, want %t: %s", got, tc.warned, warnings)
			}
			for _, part := range []string{"spec.schedulerName is " + schedulerName, "the controller of Cluster db", "write schedulerName: " + schedulerName} {
				if tc.warned && !strings.Contains(warnings, part) {
					t.Errorf("the warning does not say %q: %s", part, warnings)
				}
			}
		})
	}
}
