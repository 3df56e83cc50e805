package demo

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// expectAnnotation on a pod of the embedded workload says how it has to end.
const (
	expectAnnotation = "demo.tenantisolation.dev/expect"
	expectPending    = "pending"
	// expectRefused: no pod is ever made, because admission refuses it.
	expectRefused = "refused"
)

func placed(pod *corev1.Pod) bool { return pod.Spec.NodeName != "" }

// ours tells whether our scheduler is to place the pod; nobody else's scheduler runs here.
func ours(pod *corev1.Pod) bool { return pod.Spec.SchedulerName == schedulerName }

// refusal is what the scheduler says of a pod that it found no node for, as the pod's
// owner reads it. Empty as long as it has not said anything.
func refusal(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Message
		}
	}
	return ""
}

// answered tells whether there is nothing left to wait for from a scheduler.
func answered(pod *corev1.Pod) bool { return placed(pod) || !ours(pod) || refusal(pod) != "" }

// progress counts what a user wants to see move.
type progress struct {
	pods, placed, refused int
}

func count(pods []*corev1.Pod) progress {
	var p progress
	for _, pod := range pods {
		p.pods++
		switch {
		case placed(pod):
			p.placed++
		case refusal(pod) != "":
			p.refused++
		}
	}
	return p
}

func (p progress) String() string {
	text := fmt.Sprintf("%d of %d pods placed", p.placed, p.pods)
	if p.refused > 0 {
		text += fmt.Sprintf(", %d refused so far", p.refused)
	}
	return text
}
