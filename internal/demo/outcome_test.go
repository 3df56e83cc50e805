package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/internal/checker"
)

func testPod(namespace, name, node, cpu string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			NodeName:      node,
			SchedulerName: schedulerName,
			Containers: []corev1.Container{{
				Name:      "c",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}},
			}},
		},
	}
}

// stamped is a pod that the scheduler bound and said the right thing of.
func stamped(c *checker.Cluster) *checker.Cluster {
	for i := range c.Pods {
		if pod := &c.Pods[i]; placed(pod) {
			pod.Annotations[checker.StampKey] = c.Identify(pod).Stamp()
		}
	}
	return c
}

func refused(pod corev1.Pod, why string) corev1.Pod {
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: why}}
	return pod
}

func expecting(pod corev1.Pod) corev1.Pod {
	pod.Annotations[expectAnnotation] = expectPending
	return pod
}

func testCluster(pods ...corev1.Pod) *checker.Cluster {
	c := &checker.Cluster{Pods: pods}
	for _, name := range []string{"red", "blue"} {
		c.Namespaces = append(c.Namespaces, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{tenantLabel: name}}})
	}
	for _, node := range fleet(3) {
		c.Nodes = append(c.Nodes, *node)
	}
	return c
}

func TestOutcomeNotOK(t *testing.T) {
	for sentence, tc := range map[string]struct {
		cluster  *checker.Cluster
		embedded bool
		want     string
	}{
		"if a pair breaks the rule": {
			cluster: stamped(testCluster(testPod("red", "a", "plain-01", "1"), testPod("blue", "b", "plain-01", "1"))),
			want:    "1 break the rule",
		},
		"if a pod waits that a node could take": {
			cluster: testCluster(testPod("red", "a", "", "1")),
			want:    "red/a waits, though it could be on plain-01, plain-02, kata-01",
		},
		"if a pod of the embedded workload has no node": {
			cluster: testCluster(testPod("red", "a", "", "100")), embedded: true,
			want: "red/a was not placed and should have been",
		},
		"if a pod was placed that was to be refused": {
			cluster: stamped(testCluster(expecting(testPod("red", "a", "plain-01", "1")))), embedded: true,
			want: "red/a was placed and should have been refused",
		},
		"if the scheduler says another thing of a pod than the checker": {
			cluster: testCluster(testPod("red", "a", "plain-01", "1")),
			want:    `red/a is stamped "" and judged "tenant=red,`,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			outcome := judge(tc.cluster, tc.embedded)
			if outcome.OK() || !strings.Contains(outcome.Report(), tc.want) {
				t.Errorf("OK is %v, want false and %q in\n%s", outcome.OK(), tc.want, outcome.Report())
			}
		})
	}
}

func TestOutcomeOK(t *testing.T) {
	outcome := judge(stamped(testCluster(
		testPod("red", "a", "plain-01", "1"), testPod("red", "b", "plain-01", "1"), testPod("blue", "c", "plain-02", "1"),
		expecting(refused(testPod("blue", "d", "", "100"), "0/3 nodes: too large")),
	)), true)
	if !outcome.OK() {
		t.Errorf("want OK\n%s", outcome.Report())
	}
	if diff := cmp.Diff([]int{4, 3, 2, 2}, []int{outcome.Pods, outcome.Placed, outcome.NodesUsed, outcome.StaticPools}); diff != "" {
		t.Errorf("pods, placed, nodes used, static pools (-want +got)\n%s", diff)
	}
}

func TestReportGroupsPendingPods(t *testing.T) {
	foreign := testPod("blue", "f", "", "100")
	foreign.Spec.SchedulerName = "default-scheduler"
	report := judge(testCluster(
		refused(testPod("red", "a", "", "100"), "too large"), refused(testPod("blue", "b", "", "100"), "too large"),
		refused(testPod("blue", "c", "", "100"), "too old"), foreign,
	), false).Report()
	want := `
4 pods are Pending:
  blue: f
    (waits for the scheduler "default-scheduler", which does not run here)
  blue: b; red: a
    too large
  blue: c
    too old
`
	if !strings.Contains(report, want) {
		t.Errorf("want%s\nin%s", want, report)
	}
}

func TestPoolOpensANodeIfNoneFits(t *testing.T) {
	size := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourcePods: resource.MustParse("3")}
	for _, tc := range []struct {
		cpus []int
		want int
	}{
		{nil, 0},
		{[]int{8}, 1},
		{[]int{1, 1, 1}, 1},
		{[]int{1, 1, 1, 1}, 2},    // three pods to a node
		{[]int{3, 4, 4, 5}, 2},    // in the given order it would take three
		{[]int{3, 3, 5, 5, 8}, 3}, // the largest first
	} {
		t.Run(fmt.Sprint(tc.cpus), func(t *testing.T) {
			var requests []corev1.ResourceList
			for _, cpu := range tc.cpus {
				pod := testPod("red", "p", "", fmt.Sprint(cpu))
				requests = append(requests, checker.Requests(&pod))
			}
			if got := firstFitDecreasing(requests, size); got != tc.want {
				t.Errorf("got %d nodes, want %d", got, tc.want)
			}
		})
	}
}
