package demo

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/internal/checker"
)

// Outcome is the result of a demo.
type Outcome struct {
	// Verdict is the checker's, on every pair of pods that share a node.
	Verdict checker.Result
	// Pods and Placed count all pods and those that have a node.
	Pods, Placed int
	// Wrong are the pods, and the workloads without pods, that did not end as they should, each
	// with the reason.
	Wrong []string
	// NodesUsed hold pods of tenants; StaticPools is how many nodes they would take with
	// one pool per trust domain.
	NodesUsed, StaticPools int
	// Refused are the workloads whose pods admission refused, as it should, by why.
	Refused map[string]tally

	attacks []*attack

	cluster *checker.Cluster
}

// OK reports whether the rule was kept and every pod is where it should be.
func (o *Outcome) OK() bool { return o.Verdict.Sound() && len(o.Wrong) == 0 }

// Pending are the pods without a node.
func (o *Outcome) Pending() []*corev1.Pod { return o.cluster.Unplaced() }

// judge looks at a cluster that has settled. Pods of the embedded workload say how they
// have to end.
func judge(cluster *checker.Cluster, embedded bool) *Outcome {
	o := &Outcome{Verdict: cluster.Check(), cluster: cluster, StaticPools: staticPools(cluster)}
	for i := range cluster.Pods {
		pod := &cluster.Pods[i]
		o.Pods++
		if placed(pod) {
			o.Placed++
		}
		if why := wrong(cluster, pod, embedded); why != "" {
			o.Wrong = append(o.Wrong, fmt.Sprintf("%s/%s %s", pod.Namespace, pod.Name, why))
		}
	}
	for i := range cluster.Nodes {
		for _, pod := range cluster.PodsOn(cluster.Nodes[i].Name) {
			if cluster.Identify(pod).Managed {
				o.NodesUsed++
				break
			}
		}
	}
	return o
}

func wrong(cluster *checker.Cluster, pod *corev1.Pod, embedded bool) string {
	if pod.Annotations[expectAnnotation] == expectRefused {
		return "exists, and should have been refused by admission"
	}
	toBeRefused := pod.Annotations[expectAnnotation] == expectPending
	switch {
	case placed(pod) && toBeRefused:
		return "was placed and should have been refused"
	case placed(pod):
		return wronglyStamped(cluster, pod)
	case toBeRefused:
		return ""
	}
	if takers := cluster.Takers(pod); ours(pod) && len(takers) > 0 {
		return "waits, though it could be on " + strings.Join(takers, ", ")
	}
	if embedded {
		return "was not placed and should have been"
	}
	return ""
}

// wronglyStamped compares the evidence on bound pods with the checker's judgement: both may agree
// on where a pod may be and disagree on why.
func wronglyStamped(cluster *checker.Cluster, pod *corev1.Pod) string {
	id := cluster.Identify(pod)
	if !ours(pod) || !id.Managed {
		return ""
	}
	if got, want := pod.Annotations[checker.StampKey], id.Stamp(); got != want {
		return fmt.Sprintf("is stamped %q and judged %q", got, want)
	}
	return ""
}
