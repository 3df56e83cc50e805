package demo

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
)

// incompleteWorkload is a workload whose controller has not created all of its pods (yet).
type incompleteWorkload struct {
	kind   string
	object metav1.ObjectMeta
}

// incompleteWorkloads returns the workloads that lack pods. A Deployment counts only until it has
// created its ReplicaSet, which counts after that.
func (o *observer) incompleteWorkloads() []incompleteWorkload {
	var incomplete []incompleteWorkload
	note := func(kind string, object metav1.ObjectMeta, lacking bool) {
		if lacking {
			incomplete = append(incomplete, incompleteWorkload{kind: kind, object: object})
		}
	}
	// A lister over a cache has no error to report.
	everything := labels.Everything()
	deployments, _ := o.deployments.List(everything)
	for _, x := range deployments {
		note("Deployment", x.ObjectMeta, x.Status.ObservedGeneration < x.Generation)
	}
	replicaSets, _ := o.replicaSets.List(everything)
	for _, x := range replicaSets {
		if toBeRefused(x) && refusedPods(x) != "" {
			continue
		}
		note("ReplicaSet", x.ObjectMeta, x.Status.ObservedGeneration < x.Generation || x.Status.Replicas < ptr.Deref(x.Spec.Replicas, 1))
	}
	statefulSets, _ := o.statefulSets.List(everything)
	for _, x := range statefulSets {
		// It creates one pod after the other, and waits for each to become ready.
		waits := x.Status.Replicas > x.Status.ReadyReplicas
		few := x.Status.Replicas < ptr.Deref(x.Spec.Replicas, 1) && !waits
		note("StatefulSet", x.ObjectMeta, x.Status.ObservedGeneration < x.Generation || few)
	}
	daemonSets, _ := o.daemonSets.List(everything)
	for _, x := range daemonSets {
		few := x.Status.CurrentNumberScheduled < x.Status.DesiredNumberScheduled
		note("DaemonSet", x.ObjectMeta, x.Status.ObservedGeneration < x.Generation || few)
	}
	jobs, _ := o.jobs.List(everything)
	for _, x := range jobs {
		few := x.Status.Active+x.Status.Succeeded+x.Status.Failed == 0
		note("Job", x.ObjectMeta, few && !ptr.Deref(x.Spec.Suspend, false))
	}
	return incomplete
}

// toBeRefused reports whether admission has to refuse the pods of a workload.
func toBeRefused(x *appsv1.ReplicaSet) bool {
	return x.Spec.Template.Annotations[expectAnnotation] == expectRefused
}

// refusedPods returns why a ReplicaSet could not create its pods, empty if it could.
func refusedPods(x *appsv1.ReplicaSet) string {
	for _, condition := range x.Status.Conditions {
		if condition.Type == appsv1.ReplicaSetReplicaFailure && condition.Status == corev1.ConditionTrue {
			return condition.Message
		}
	}
	return ""
}

// refused returns the workloads whose pods admission has refused as expected, by the reason.
func (o *observer) refused() map[string]tally {
	groups := map[string]tally{}
	replicaSets, _ := o.replicaSets.List(labels.Everything())
	for _, x := range replicaSets {
		if why := refusedPods(x); toBeRefused(x) && why != "" {
			why = words(why)
			if groups[why] == nil {
				groups[why] = tally{}
			}
			groups[why].addNamed(x.Namespace, strings.TrimSuffix(x.Name, "-"+x.Labels["pod-template-hash"]))
		}
	}
	return groups
}

// explainIncomplete says why workloads lack pods. A pod that admission refuses never exists, so
// only an event shows it.
func (d *demo) explainIncomplete(ctx context.Context, incomplete []incompleteWorkload) ([]string, error) {
	var lines []string
	for _, l := range incomplete {
		events, err := d.client.CoreV1().Events(l.object.Namespace).List(ctx, metav1.ListOptions{
			FieldSelector: fields.Set{"involvedObject.uid": string(l.object.UID), "reason": "FailedCreate"}.String(),
		})
		if err != nil {
			return nil, err
		}
		why := "nothing says why"
		if n := len(events.Items); n > 0 {
			why = events.Items[n-1].Message
		}
		lines = append(lines, fmt.Sprintf("%s %s/%s did not get all of its pods: %s", l.kind, l.object.Namespace, l.object.Name, why))
	}
	return lines, nil
}
