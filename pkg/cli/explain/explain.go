// Package explain says of one pod what the rule makes of it, out of what, and where it
// may go. It decides nothing: it asks package isolation, also of pods that are a little
// different, and shows the answers.
package explain

import (
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Cluster is what a pod is explained in.
type Cluster struct {
	Args     *config.TenantIsolationArgs
	Rules    *podfacts.Rules
	Gatherer *podfacts.Gatherer
	// Store holds the cluster's objects.
	Store          *cluster.Store
	Nodes          []*v1.Node
	RuntimeClasses []*nodev1.RuntimeClass
}

// Explanation is everything that can be said of one pod. Its JSON is for programs.
type Explanation struct {
	// Name is "pod/name" or "deployment/name".
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Node is where the pod runs, empty if it does not.
	Node string `json:"node,omitempty"`
	// OnNode is the verdict on the node where the pod runs, if it were placed there now.
	OnNode string `json:"onNode,omitempty"`
	// TrustDomain is the evidence that the scheduler would stamp, "platform" or
	// "unmanaged", or why there is none.
	TrustDomain string `json:"trustDomain"`
	Parts       []Part `json:"parts,omitempty"`
	// Raised are the fields of the spec that ask for more than the restricted level.
	Raised   []Raised `json:"raised,omitempty"`
	Boundary Boundary `json:"boundary"`
	// Denied is why the pod may not be placed anywhere, empty if it may.
	Denied string     `json:"denied,omitempty"`
	Nodes  []Verdicts `json:"nodes"`
	// Admitting is how many nodes the rule admits the pod to, Total how many there are.
	Admitting int      `json:"admitting"`
	Total     int      `json:"total"`
	WhatIf    []WhatIf `json:"whatIf,omitempty"`
}

// Part is one part of a trust domain.
type Part struct {
	Axis  string `json:"axis"`
	Value string `json:"value"`
	// From are all that had a say, the ones that decided first.
	From []Source `json:"from"`
}

// Source is something that had a say in a part.
type Source struct {
	What  string `json:"what"`
	Value string `json:"value"`
	// Decided: the part has this value because of it.
	Decided bool `json:"decided"`
}

// Raised is a check of the Pod Security Standards that a pod fails.
type Raised struct {
	// Level is what failing makes the pod.
	Level  string `json:"level"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	// Fields are paths in the pod, as far as the check names what they belong to.
	Fields []string `json:"fields,omitempty"`
}

// Boundary is what stands between the pod and its node's kernel.
type Boundary struct {
	Value        string `json:"value"`
	RuntimeClass string `json:"runtimeClass,omitempty"`
	Handler      string `json:"handler,omitempty"`
	// HandlerGives is what the handler would give if nothing voided it.
	HandlerGives string `json:"handlerGives,omitempty"`
	// Voided are the fields that share the host through the wall.
	Voided []string `json:"voided,omitempty"`
	// Demanded is what the namespace's label asks for, empty if it asks for nothing.
	Demanded string `json:"demanded,omitempty"`
}

// Verdicts are the nodes with one verdict.
type Verdicts struct {
	// Why is the reason itself, Reason its name.
	Why     isolation.Reason `json:"-"`
	Reason  string           `json:"reason"`
	Admits  bool             `json:"admits"`
	Count   int              `json:"count"`
	Example string           `json:"example"`
}

// WhatIf is a change of the pod, and what it would do.
type WhatIf struct {
	Change string `json:"change"`
	// Admitting is how many nodes would admit the pod, More how many more that is.
	Admitting int `json:"admitting"`
	More      int `json:"more"`
}

// Explain explains a pod, which may run or be no more than a manifest. Name is how the
// user calls it.
func (c *Cluster) Explain(name string, pod *v1.Pod) (*Explanation, error) {
	facts := c.Gatherer.Gather(pod)
	subject := c.Rules.Subject(pod, &facts, c.Store)
	e := &Explanation{
		Name:        name,
		Namespace:   pod.Namespace,
		Node:        pod.Spec.NodeName,
		TrustDomain: subject.String(),
		Boundary:    c.boundary(pod, &facts, subject),
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
		e.Parts = c.parts(pod, &facts, subject)
	}
	if _, managed := subject.TrustDomain(); !managed && e.Denied == isolation.UnmanagedNamespace.String() {
		// Nothing but the tenant matters.
		e.Parts = e.Parts[:1]
	}
	e.Nodes, e.Admitting = c.verdicts(pod, subject)
	e.Total = len(c.Nodes)
	for _, object := range c.Nodes {
		if object.Name != pod.Spec.NodeName {
			continue
		}
		if node, known := c.node(object, pod); known {
			e.OnNode = isolation.Decide(&subject, &node).Reason().String()
		}
	}
	e.WhatIf = c.whatIf(pod, subject, e.Admitting)
	return e, nil
}

// verdicts asks the rule about every node.
func (c *Cluster) verdicts(pod *v1.Pod, subject isolation.Subject) (all []Verdicts, admitting int) {
	byReason := map[isolation.Reason]*Verdicts{}
	for _, object := range c.Nodes {
		node, known := c.node(object, pod)
		if !known || !c.reaches(pod, object) {
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
	return all, admitting
}

// node returns a node without the pod itself, and to whom it is dedicated.
func (c *Cluster) node(object *v1.Node, pod *v1.Pod) (isolation.Node, bool) {
	if _, known := c.Store.Node(object.Name); !known {
		return isolation.Node{}, false
	}
	node := c.Store.NodeWith(c.Rules, object, c.Store.Residents(c.Rules, object.Name))
	if c.Args.Claims.Mode == config.ModeEnabled {
		node.Dedication, node.Dedicated = c.Store.DedicationOf(object)
	}
	node.Occupancy = node.Occupancy.Without(string(cluster.UID(pod)))
	return node, true
}

// reaches reports whether the pod's RuntimeClass is for this node at all.
func (c *Cluster) reaches(pod *v1.Pod, node *v1.Node) bool {
	class, known := c.Store.RuntimeClass(podfacts.RuntimeClassName(pod))
	return !known || class.Nodes == nil || class.Nodes.Matches(labelSet(node.Labels))
}
