package own

import (
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/cli/workload"
)

// mostEvents is how many events are repeated.
const mostEvents = 3

func (n *Namespace) explain(pod *v1.Pod) *Answer {
	a := &Answer{Name: "pod/" + pod.Name, Namespace: n.name, State: string(pod.Status.Phase), Node: pod.Spec.NodeName}
	events := n.eventsOf(pod.UID, pod.Name)
	switch {
	case pod.DeletionTimestamp != nil:
		a.State = "Terminating"
		a.set(false, "The pod is being deleted", Wait, "")
	case pod.Status.Phase == v1.PodSucceeded:
		a.set(false, "Its containers have ended as they should", Nobody, "")
	case pod.Status.Phase == v1.PodFailed:
		n.failed(a, pod)
	case pod.Spec.NodeName == "":
		n.unplaced(a, pod, events)
	default:
		n.placed(a, pod)
	}
	if a.Waits || a.Unknown {
		a.Events = n.tell(events)
	}
	return a
}

func (a *Answer) set(waits bool, matter, help, do string) {
	a.Waits, a.Matter, a.Help, a.Do = waits, matter, help, do
}

// tell repeats the newest events, each text once.
func (n *Namespace) tell(events []*v1.Event) []string {
	var all []string
	seen := map[string]bool{}
	for _, e := range events {
		text := told(e, n.tenant)
		if e.Type == v1.EventTypeNormal && !strings.Contains(e.Reason, "Scale") || seen[text] {
			continue
		}
		seen[text] = true
		if all = append(all, text); len(all) == mostEvents {
			break
		}
	}
	return all
}

func (n *Namespace) failed(a *Answer, pod *v1.Pod) {
	switch {
	case pod.Status.Reason == "Evicted":
		a.set(true, "The node evicted it for want of "+evictedFor(pod.Status.Message), Tenant, "request what the pod uses; its controller makes it again")
	case pod.Status.Reason != "":
		a.set(true, "It has failed: "+pod.Status.Reason, Tenant, "look at its logs")
	default:
		a.set(true, "A container has ended with an error", Tenant, "look at its logs")
	}
}

// evictedFor names the resource in a kubelet's message.
func evictedFor(message string) string {
	if _, after, found := strings.Cut(message, "resource: "); found {
		resource, _, _ := strings.Cut(after, ".")
		return strings.TrimSpace(resource)
	}
	return "resources"
}

// unplaced is for a pod that no scheduler has placed.
func (n *Namespace) unplaced(a *Answer, pod *v1.Pod, events []*v1.Event) {
	said := condition(pod, v1.PodScheduled)
	switch {
	case said != nil && said.Reason == v1.PodReasonSchedulingGated || len(pod.Spec.SchedulingGates) > 0:
		a.set(true, fmt.Sprintf("It waits for %d scheduling gates", len(pod.Spec.SchedulingGates)), Tenant, "whoever set the gates removes them")
		return
	case said == nil || said.Status != v1.ConditionFalse:
		a.set(true, "No scheduler has looked at it yet", Wait, "after a minute ask an administrator whether the scheduler "+pod.Spec.SchedulerName+" runs")
		a.Unknown = true
		return
	}
	a.SchedulerSays = redact(said.Message, n.tenant)
	m, known := understand(said.Message)
	if !known {
		a.set(true, "No node can take it", Administrator, "read what the scheduler says")
		return
	}
	a.set(true, m.matter, m.help, m.do)
	if !m.elsewhere {
		return
	}
	for _, e := range events {
		switch e.Reason {
		case "TriggeredScaleUp", "Nominated":
			a.Matter, a.Help, a.Do = m.matter+", and a new node is on its way", Wait, ""
			return
		case "NotTriggerScaleUp", "FailedScaleUp":
			a.Matter, a.Help, a.Do = m.matter+", and the autoscaler adds none for it", Administrator, "add a node for it, or raise the limit of the autoscaler"
			return
		}
	}
}

func condition(pod *v1.Pod, kind v1.PodConditionType) *v1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// placed is for a pod on a node.
func (n *Namespace) placed(a *Answer, pod *v1.Pod) {
	statuses := append(append([]v1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
	for i := range statuses {
		waiting := statuses[i].State.Waiting
		if waiting == nil || waiting.Reason == "ContainerCreating" || waiting.Reason == "PodInitializing" || waiting.Reason == "" {
			continue
		}
		do := "look at the events below, and at its logs"
		switch waiting.Reason {
		case "ImagePullBackOff", "ErrImagePull", "InvalidImageName":
			do = "correct the image's name, or its pull secret"
		case "CrashLoopBackOff":
			do = "look at its logs: kubectl logs --previous"
		}
		a.set(true, fmt.Sprintf("It is on a node, and container %s does not start: %s", statuses[i].Name, waiting.Reason), Tenant, do)
		return
	}
	if pod.Status.Phase == v1.PodRunning {
		a.set(false, "It runs", Nobody, "")
		if ready := condition(pod, v1.PodReady); ready != nil && ready.Status != v1.ConditionTrue {
			a.set(false, "It runs, and is not ready", Tenant, "look at its readiness probe and logs")
		}
		return
	}
	for _, e := range n.eventsOf(pod.UID, pod.Name) {
		switch e.Reason {
		case "FailedMount", "FailedAttachVolume", "FailedMapVolume":
			a.set(true, "It is on a node, and a volume of it cannot be mounted", Tenant, "look at the events below, and at its PVC")
			return
		case "FailedCreatePodSandBox":
			a.set(true, "It is on a node, and its sandbox cannot be made", Administrator, "look at the node's runtime")
			return
		}
	}
	a.set(false, "It is on a node, and its containers are being started", Wait, "")
}

// missing is for a workload some of whose pods are not made, because they are refused.
func (n *Namespace) missing(w *workload.Found, pods int) *Answer {
	if pods >= w.Replicas && w.Kind != "DaemonSet" && w.Kind != "CronJob" {
		return nil
	}
	for uid, name := range w.UIDs {
		for _, e := range n.eventsOf(uid, name) {
			if e.Reason != "FailedCreate" && e.Reason != "ReplicaFailure" {
				continue
			}
			a := &Answer{Name: w.Name(), Namespace: n.name, State: "refused", Events: n.tell([]*v1.Event{e})}
			switch {
			case strings.Contains(e.Message, "exceeded quota"):
				a.set(true, "The namespace's quota has no room for its pods", Administrator, "raise the quota; or lower what your pods request")
			case strings.Contains(e.Message, "tenant-isolation") && strings.Contains(e.Message, "administrator has to"):
				a.set(true, "Its pods are refused by an admission policy", Administrator, "read the event below")
			case strings.Contains(e.Message, "forbidden"):
				a.set(true, "Its pods are refused", Tenant, "correct the template: the event below says what")
			default:
				a.set(true, "Its pods cannot be made", Tenant, "read the event below")
			}
			return a
		}
	}
	return nil
}
