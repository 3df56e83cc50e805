package demo

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// expectAnnotation on a pod of the embedded workload says how it has to end.
const (
	expectAnnotation = "demo.tenantisolation.dev/expect"
	expectPending    = "pending"
	// expectRefused: no pod is ever created, because admission refuses it.
	expectRefused = "refused"
)

func placed(pod *corev1.Pod) bool { return pod.Spec.NodeName != "" }

// ours reports whether our scheduler has to place the pod; no other scheduler runs here.
func ours(pod *corev1.Pod) bool { return pod.Spec.SchedulerName == schedulerName }

// refusal returns why the scheduler found no node for a pod, as the pod's owner reads it. It is
// empty until the scheduler has tried.
func refusal(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return condition.Message
		}
	}
	return ""
}

// answered reports whether the scheduler has placed or refused the pod, or is not responsible.
func answered(pod *corev1.Pod) bool { return placed(pod) || !ours(pod) || refusal(pod) != "" }

// progress is what the demo shows while it waits.
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
