// Package own says what is the matter with a pod, and who can help, from what its own namespace shows: the pod, its
// conditions and its events. It says nothing of any other tenant.
//
// # Where to find what
//
//	own.go       reading, and the result
//	diagnose.go  the states of a pod
//	message.go   what the scheduler's message means
//	redact.go    which texts of others are repeated, and without what
package own

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/pkg/cli/workload"
)

// Who can help.
const (
	// Tenant: the owner of the pod, by changing it.
	Tenant = "you"
	// Administrator of the cluster.
	Administrator = "an administrator"
	// Autoscaler: whatever adds nodes, or an administrator who does.
	Autoscaler = "the cluster's autoscaler"
	// Nobody needs to do anything.
	Nobody = "nobody has to"
	// Wait: it ends by itself.
	Wait = "it ends by itself"
)

// Answer is what a tenant learns of a pod. Its fields are a contract.
type Answer struct {
	// Name is "pod/name", or "deployment/name" if the workload has no pod.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Of is how the workload is doing that the pod stands for.
	Of    string `json:"of,omitempty"`
	State string `json:"state"`
	Node  string `json:"node,omitempty"`
	// Matter says in one sentence what is the matter, Help who can help, and Do what they can do.
	Matter string `json:"matter"`
	Help   string `json:"whoCanHelp"`
	Do     string `json:"whatToDo,omitempty"`
	// SchedulerSays is the scheduler's own message.
	SchedulerSays string `json:"schedulerSays,omitempty"`
	// Events are the latest ones that count, the newest first.
	Events []string `json:"events,omitempty"`
	// Waits: the pod cannot run, or would be refused. Unknown: nothing says why.
	Waits   bool `json:"-"`
	Unknown bool `json:"-"`
}

// Namespace is what a tenant can read of one namespace.
type Namespace struct {
	name   string
	pods   []*v1.Pod
	events []v1.Event
	// tenant is the value of the namespace's label, empty if it cannot be read.
	tenant string
}

// Read reads a namespace.
func Read(ctx context.Context, client kubernetes.Interface, name, tenantLabel string) (*Namespace, error) {
	n := &Namespace{name: name}
	pods, err := client.CoreV1().Pods(name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of namespace %s: %w", name, err)
	}
	for i := range pods.Items {
		n.pods = append(n.pods, &pods.Items[i])
	}
	// Without the events, the conditions have to do.
	events, err := client.CoreV1().Events(name).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("listing the events of namespace %s: %w", name, err)
	}
	if err == nil {
		n.events = events.Items
	}
	if object, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err == nil {
		n.tenant = object.Labels[tenantLabel]
	}
	return n, nil
}

// Pod explains a pod of the namespace.
func (n *Namespace) Pod(name string) (*Answer, bool) {
	at := slices.IndexFunc(n.pods, func(pod *v1.Pod) bool { return pod.Name == name })
	if at < 0 {
		return nil, false
	}
	return n.explain(n.pods[at]), true
}

// Workload explains a workload by one of its pods that waits, or else by one that runs.
func (n *Namespace) Workload(w *workload.Found) *Answer {
	pods := w.Pods(n.pods)
	placed := 0
	for _, pod := range pods {
		if pod.Spec.NodeName != "" {
			placed++
		}
	}
	of := fmt.Sprintf("%s: %d of its %d pods are on nodes", w.Name(), placed, max(w.Replicas, len(pods)))
	missing := n.missing(w, len(pods))
	if missing != nil {
		missing.Of = of
		return missing
	}
	if len(pods) == 0 {
		return &Answer{
			Name: w.Name(), Namespace: n.name, Of: of, State: "without pods", Matter: "It has made no pod yet", Help: Nobody,
			Do: "a Job that is suspended, a CronJob before its time and a workload of 0 replicas have none", Unknown: w.Replicas > 0 && w.Kind != "CronJob",
		}
	}
	answers := make([]*Answer, 0, len(pods))
	for _, pod := range pods {
		answers = append(answers, n.explain(pod))
	}
	worst := slices.MinFunc(answers, func(a, b *Answer) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	worst.Of = of
	return worst
}

func rank(a *Answer) int {
	switch {
	case a.Waits:
		return 0
	case a.Unknown:
		return 1
	}
	return 2
}

// eventsOf returns the events of an object, the newest first.
func (n *Namespace) eventsOf(uid types.UID, name string) []*v1.Event {
	var all []*v1.Event
	for i := range n.events {
		if e := &n.events[i]; e.InvolvedObject.UID == uid || (e.InvolvedObject.UID == "" && e.InvolvedObject.Name == name) {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b *v1.Event) int { return when(b).Compare(when(a).Time) })
	return all
}

// when is the time of an event, of which there are several fields.
func when(e *v1.Event) *metav1.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return &metav1.Time{Time: e.Series.LastObservedTime.Time}
	case !e.LastTimestamp.IsZero():
		return &e.LastTimestamp
	case !e.EventTime.IsZero():
		return &metav1.Time{Time: e.EventTime.Time}
	}
	return &e.CreationTimestamp
}
