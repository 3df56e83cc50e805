// Package explain shows for one pod its trust domain and boundary, their sources, the
// verdict on every node that it can reach, and the changes that would admit it to more nodes. All
// verdicts are those of package isolation; what else keeps a pod off a node is the word of the
// scheduler's own plugins (package reach).
//
// # Where to find what
//
//	explain.go   the parts of an explanation
//	verdicts.go  the nodes: the rule and the plugins
//	limit.go     the limit of nodes of a tenant
//	parts.go     where each part of a trust domain comes from
//	boundary.go  the boundary, and what voids it
//	raised.go    the checks that make a pod as privileged as it is
//	nodelabels.go  whether its required node affinity is for its trust domain
//	whatif.go    changes of the pod that would help
package explain

import (
	"context"
	"slices"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/reach"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Explainer explains pods of a cluster.
type Explainer struct {
	Policy   *v1alpha1.IsolationPolicySpec
	Rules    *podfacts.Rules
	Gatherer *podfacts.Gatherer
	// Store holds the cluster's objects.
	Store          *cluster.Store
	Nodes          []*v1.Node
	RuntimeClasses []*nodev1.RuntimeClass
	// Schedulers are the names by which pods ask for the scheduler of this project, none if they are unknown.
	Schedulers []string
	// Plugins say which nodes a pod can reach whatever the rule says.
	Plugins *reach.Plugins
	// Under returns a pod as the API server would make it under another RuntimeClass.
	Under func(*v1.Pod, *nodev1.RuntimeClass) (*v1.Pod, error)

	// charged are the tenants to which a node is charged.
	charged map[string][]string
}

// Explanation is what the tool knows about one pod. Its JSON is for programs.
type Explanation struct {
	// Name is "pod/name" or "deployment/name".
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Of is how the workload is doing that the pod stands for, empty for a pod alone.
	Of string `json:"of,omitempty"`
	// Refused is why admission would refuse the pod, if it is not made yet; Admission is what it would change.
	Refused   []string `json:"refused,omitempty"`
	Admission []string `json:"admission,omitempty"`
	// Node is the node of the pod, empty if it has none.
	Node string `json:"node,omitempty"`
	// OnNode is the verdict on that node, as if the pod were placed there now.
	OnNode string `json:"onNode,omitempty"`
	// TrustDomain is the evidence that the scheduler would stamp, "platform", "unmanaged",
	// or the reason why there is no trust domain.
	TrustDomain string `json:"trustDomain"`
	// OfAnotherScheduler: its namespace has no tenant, and another scheduler places it, so the rule keeps it off no node.
	OfAnotherScheduler bool   `json:"ofAnotherScheduler,omitempty"`
	Parts              []Part `json:"parts,omitempty"`
	// Raised are the checks that keep the pod from the restricted level.
	Raised   []Raised `json:"raised,omitempty"`
	Boundary Boundary `json:"boundary"`
	// MissedLabels are the labels of the nodes of its trust domain, if its required node affinity asks for those of another.
	MissedLabels string `json:"missedLabels,omitempty"`
	// Denied is the reason why the pod is denied on every node, empty if it is not.
	Denied string `json:"denied,omitempty"`
	// Admitting is the number of nodes that can take the pod: the rule admits it, and nothing else excludes
	// them. Reachable is how many nothing else excludes, Total that of all nodes.
	Admitting int `json:"admitting"`
	Reachable int `json:"reachable"`
	Total     int `json:"total"`
	// Nodes are the verdicts of the rule on nodes that the pod can reach, Excluded the nodes that it cannot.
	Nodes    []Verdicts `json:"nodes"`
	Excluded []Excluded `json:"excluded,omitempty"`
	// NotCounted is what may exclude more nodes, one sentence each.
	NotCounted []string `json:"notCounted,omitempty"`
	// SchedulerSays is the message of the scheduler on a pod that waits.
	SchedulerSays string   `json:"schedulerSays,omitempty"`
	WhatIf        []WhatIf `json:"whatIf,omitempty"`
}

// Part is one part of a trust domain.
type Part struct {
	Axis  string `json:"axis"`
	Value string `json:"value"`
	// From are the sources that count, with those that decided first.
	From []Source `json:"from"`
}

// Source is a label or a field that counts for a part.
type Source struct {
	What  string `json:"what"`
	Value string `json:"value"`
	// Decided reports whether the part has its value from this source.
	Decided bool `json:"decided"`
}

// Raised is a check of the Pod Security Standards that a pod fails.
type Raised struct {
	// Level is the privilege of a pod that fails the check.
	Level  string `json:"level"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	// Fields are paths in the pod, where the text of the check names a container or volume.
	Fields []string `json:"fields,omitempty"`
}

// Boundary is what stands between the pod and its node's kernel.
type Boundary struct {
	Value        string `json:"value"`
	RuntimeClass string `json:"runtimeClass,omitempty"`
	Handler      string `json:"handler,omitempty"`
	// HandlerGives is the boundary of the handler if nothing voids it.
	HandlerGives string `json:"handlerGives,omitempty"`
	// Voided are the fields that void the boundary, because they share the host.
	Voided []string `json:"voided,omitempty"`
	// Demanded is the value of the namespace's boundary label, empty without one.
	Demanded string `json:"demanded,omitempty"`
}

// Verdicts are the nodes with one verdict.
type Verdicts struct {
	// Why is the reason, Reason its name.
	Why     isolation.Reason `json:"-"`
	Reason  string           `json:"reason"`
	Admits  bool             `json:"admits"`
	Count   int              `json:"count"`
	Example string           `json:"example"`
}

// Excluded are the nodes that one plugin of the scheduler excludes for one reason.
type Excluded struct {
	// By is the plugin, Why what it says.
	By      string `json:"by"`
	Why     string `json:"why"`
	Count   int    `json:"count"`
	Example string `json:"example"`
}

// WhatIf is a change of the pod, and its effect.
type WhatIf struct {
	Change string `json:"change"`
	// Admitting is the number of nodes that would admit the pod, More how many more than now.
	Admitting int `json:"admitting"`
	More      int `json:"more"`
}

// Explain explains a pod, which may run or be a manifest. Name is "pod/name" or
// "deployment/name".
func (x *Explainer) Explain(ctx context.Context, name string, pod *v1.Pod) (*Explanation, error) {
	facts := x.Gatherer.Gather(pod)
	subject := x.Rules.Subject(pod, &facts, x.Store)
	e := &Explanation{
		Name:        name,
		Namespace:   pod.Namespace,
		Node:        pod.Spec.NodeName,
		TrustDomain: subject.String(),
		Boundary:    x.boundary(pod, &facts, subject),
	}
	if reason, denied := subject.Denied(); denied {
		e.OfAnotherScheduler = reason == isolation.UnmanagedNamespace && x.leavesToAnother(pod)
		if !e.OfAnotherScheduler {
			e.Denied = reason.String()
		}
	}
	if !e.OfAnotherScheduler {
		var err error
		if e.Raised, err = raised(pod); err != nil {
			return nil, err
		}
	}
	if !subject.Platform() {
		e.Parts = x.parts(pod, &facts, subject)
	}
	if reason, _ := subject.Denied(); reason == isolation.UnmanagedNamespace {
		// Only the tenant matters.
		e.Parts = e.Parts[:1]
	}
	e.MissedLabels = x.missedLabels(pod, subject)
	answer, err := x.Plugins.Ask(ctx, pod)
	if err != nil {
		return nil, err
	}
	x.judgeNodes(e, pod, subject, answer)
	e.SchedulerSays = saidBy(pod)
	for _, object := range x.Nodes {
		if object.Name != pod.Spec.NodeName {
			continue
		}
		if node, known := x.node(object, pod); known && !e.OfAnotherScheduler {
			opening := x.opening(pod, subject)
			e.OnNode = isolation.Decide(&opening, &node).Reason().String()
		}
	}
	if e.OfAnotherScheduler {
		return e, nil
	}
	e.WhatIf, err = x.whatIf(ctx, pod, subject, answer, e.Admitting)
	return e, err
}

// leavesToAnother reports whether another scheduler places the pod.
func (x *Explainer) leavesToAnother(pod *v1.Pod) bool {
	if len(x.Schedulers) == 0 {
		return pod.Spec.SchedulerName == "" || pod.Spec.SchedulerName == v1.DefaultSchedulerName
	}
	return !slices.Contains(x.Schedulers, pod.Spec.SchedulerName)
}

// saidBy returns what the scheduler says of a pod that it could not place.
func saidBy(pod *v1.Pod) string {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1.PodScheduled && c.Status == v1.ConditionFalse {
			return c.Message
		}
	}
	return ""
}
