// Package explain shows for one pod its trust domain and boundary, their sources, the
// verdict on every node, and the changes that would admit it to more nodes. All verdicts
// are those of package isolation.
package explain

import (
	"cmp"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
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
}

// Explanation is what the tool knows about one pod. Its JSON is for programs.
type Explanation struct {
	// Name is "pod/name" or "deployment/name".
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Node is the node of the pod, empty if it has none.
	Node string `json:"node,omitempty"`
	// OnNode is the verdict on that node, as if the pod were placed there now.
	OnNode string `json:"onNode,omitempty"`
	// TrustDomain is the evidence that the scheduler would stamp, "platform", "unmanaged",
	// or the reason why there is no trust domain.
	TrustDomain string `json:"trustDomain"`
	Parts       []Part `json:"parts,omitempty"`
	// Raised are the checks that keep the pod from the restricted level.
	Raised   []Raised `json:"raised,omitempty"`
	Boundary Boundary `json:"boundary"`
	// Denied is the reason why the pod is denied on every node, empty if it is not.
	Denied string     `json:"denied,omitempty"`
	Nodes  []Verdicts `json:"nodes"`
	// Admitting is the number of nodes that admit the pod, Total that of all nodes.
	Admitting int      `json:"admitting"`
	Total     int      `json:"total"`
	WhatIf    []WhatIf `json:"whatIf,omitempty"`
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

// OtherNodes is the reason of nodes that the node selector of the pod's RuntimeClass does not match.
const OtherNodes = "RuntimeClassNodeSelector"

// WhatIf is a change of the pod, and its effect.
type WhatIf struct {
	Change string `json:"change"`
	// Admitting is the number of nodes that would admit the pod, More how many more than now.
	Admitting int `json:"admitting"`
	More      int `json:"more"`
}

// Explain explains a pod, which may run or be a manifest. Name is "pod/name" or
// "deployment/name".
func (x *Explainer) Explain(name string, pod *v1.Pod) (*Explanation, error) {
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
		e.Denied = reason.String()
	}
	raised, err := raised(pod)
	if err != nil {
		return nil, err
	}
	e.Raised = raised
	if !subject.Platform() {
		e.Parts = x.parts(pod, &facts, subject)
	}
	if _, managed := subject.TrustDomain(); !managed && e.Denied == isolation.UnmanagedNamespace.String() {
		// Only the tenant matters.
		e.Parts = e.Parts[:1]
	}
	e.Nodes, e.Admitting = x.verdicts(pod, subject)
	e.Total = len(x.Nodes)
	for _, object := range x.Nodes {
		if object.Name != pod.Spec.NodeName {
			continue
		}
		if node, known := x.node(object, pod); known {
			opening := x.opening(pod, subject)
			e.OnNode = isolation.Decide(&opening, &node).Reason().String()
		}
	}
	e.WhatIf = x.whatIf(pod, subject, e.Admitting)
	return e, nil
}

// verdicts returns the verdicts of the rule on every node.
func (x *Explainer) verdicts(pod *v1.Pod, subject isolation.Subject) (all []Verdicts, admitting int) {
	subject = x.opening(pod, subject)
	byReason := map[isolation.Reason]*Verdicts{}
	others := Verdicts{Reason: OtherNodes}
	for _, object := range x.Nodes {
		node, known := x.node(object, pod)
		if !known {
			continue
		}
		if !x.reaches(pod, object) {
			others.Count++
			others.Example = cmp.Or(others.Example, object.Name)
			continue
		}
		reason := isolation.Decide(&subject, &node).Reason()
		v := byReason[reason]
		if v == nil {
			v = &Verdicts{Why: reason, Reason: reason.String(), Admits: reason.Admits(), Example: object.Name}
			byReason[reason] = v
		}
		v.Count++
		if v.Admits {
			admitting++
		}
	}
	for _, reason := range append(isolation.Reasons(), isolation.Undecided) {
		if v := byReason[reason]; v != nil {
			all = append(all, *v)
		}
	}
	if others.Count > 0 {
		all = append(all, others)
	}
	return all, admitting
}

// KeepsVMNodes reports whether containers open no node that can start VMs while there are others.
func KeepsVMNodes(policy *v1alpha1.IsolationPolicySpec) bool {
	return policy.Dedication.Mode == v1alpha1.ModeEnabled && policy.Dedication.ContainersOnVMNodes != v1alpha1.ContainersAllowed
}

// opening returns the subject as to which nodes the pod may open, as the scheduler does.
func (x *Explainer) opening(pod *v1.Pod, subject isolation.Subject) isolation.Subject {
	if KeepsVMNodes(x.Policy) && !subject.Isolated() && x.Store.HasPlainNodeFor(pod) {
		return subject.AvoidingVMNodes()
	}
	return subject
}

// node returns a node as the rule sees it without the pod itself.
func (x *Explainer) node(object *v1.Node, pod *v1.Pod) (isolation.Node, bool) {
	if _, known := x.Store.Node(object.Name); !known {
		return isolation.Node{}, false
	}
	node := x.Store.NodeWith(x.Rules, object, x.Store.Residents(x.Rules, object.Name))
	if x.Policy.Dedication.Mode == v1alpha1.ModeEnabled {
		node.Dedication, node.Dedicated = x.Store.DedicationOf(object)
	}
	node.Occupancy = node.Occupancy.Without(string(cluster.UID(pod)))
	return node, true
}

// reaches reports whether the RuntimeClass of the pod selects the node.
func (x *Explainer) reaches(pod *v1.Pod, node *v1.Node) bool {
	class, known := x.Store.RuntimeClass(podfacts.RuntimeClassName(pod))
	return !known || class.Nodes == nil || class.Nodes.Matches(labelSet(node.Labels))
}
