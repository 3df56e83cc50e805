package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	testingclock "k8s.io/utils/clock/testing"
)

// A pod is said to have failed while its container runs. The scheduler's informer leaves it out,
// and the sweep asks the API server.
func TestSweepFindsPodsThatAreSaidToHaveEnded(t *testing.T) {
	says := func(phase v1.PodPhase, state v1.ContainerState) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.Status.Phase = phase
			p.Status.ContainerStatuses = []v1.ContainerStatus{{Name: "app", State: state}}
		}
	}
	running := v1.ContainerState{Running: &v1.ContainerStateRunning{}}
	terminated := v1.ContainerState{Terminated: &v1.ContainerStateTerminated{}}
	client := fake.NewClientset(
		makePod("wiki", "hides", "n1", after(1), says(v1.PodFailed, running)),
		makePod("wiki", "has-ended", "n1", says(v1.PodFailed, terminated)),
		makePod("wiki", "was-never-started", "n1", func(p *v1.Pod) { p.Status.Phase = v1.PodFailed }),
		makePod("wiki", "elsewhere", "n2", says(v1.PodSucceeded, running)),
		makePod("wiki", "runs", "n3", says(v1.PodRunning, running)),
	)
	d := newAuditorTestWith(t, client, testingclock.NewFakeClock(beginning))
	d.set(makePod("acme", "a", "n1"), makeNode("n2"), makeNode("n3"))
	expect := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, brief(d.engine.Report()), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: findings (-want +got):\n%s", when, diff)
		}
	}
	expect("before a sweep")
	d.sweep(t.Context())
	expect("after a sweep", "UnmanagedResident node=n1 volume= pairs=1 last=wiki/hides: [acme/a] [wiki/hides]")
	if err := client.CoreV1().Pods("wiki").Delete(t.Context(), "hides", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	d.sweep(t.Context())
	expect("when it has gone")
}
