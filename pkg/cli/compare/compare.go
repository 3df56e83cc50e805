package compare

import (
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Input is a cluster that is judged by one policy, and another policy.
type Input struct {
	Before, After *v1alpha1.IsolationPolicySpec
	// Store and Engine go by Before, and by After once Make has returned.
	Store  *cluster.Store
	Engine *audit.Engine
	// Namespaces are those whose labels are others with After, because it copies the tenant from another
	// label.
	Namespaces []*v1.Namespace

	Pods           []*v1.Pod
	Nodes          []*v1.Node
	RuntimeClasses []*nodev1.RuntimeClass
}

// Change is what would change. Its JSON is for programs.
type Change struct {
	// Changes reports whether anything would change for what the cluster has now, or a field differs that
	// takes effect only later.
	Changes bool `json:"changes"`
	// Fields are those in which the policies differ.
	Fields []Field `json:"fields"`
	// FindingsBegin, FindingsEnd and FindingsChange are about pods that run.
	FindingsBegin  []Finding `json:"findingsBegin"`
	FindingsEnd    []Finding `json:"findingsEnd"`
	FindingsChange []Finding `json:"findingsChange"`
	// RuntimeClasses are those that would be taken for another boundary, the weakened first.
	RuntimeClasses []RuntimeClass `json:"runtimeClasses"`
	// Refused are the pods that would no longer be placed, were they created anew, Admitted those that would
	// then.
	Refused  []Pods `json:"refused"`
	Admitted []Pods `json:"admitted"`
	// Platform, TrustDomains and Boundaries are the pods that would be judged to be something else.
	Platform     []Pods `json:"platform"`
	TrustDomains []Pods `json:"trustDomains"`
	Boundaries   []Pods `json:"boundaries"`
	// KernelGroups are the tenants whose pods would be kept apart in more or fewer groups.
	KernelGroups []KernelGroups `json:"kernelGroups"`
	// Released are the dedicated nodes that could not stay dedicated as they are.
	Released []Released `json:"released"`
	// NodeLabels are the nodes that would be labelled, or no more.
	NodeLabels []NodeLabels `json:"nodeLabels"`
}

// Field is a field of the spec whose values differ.
type Field struct {
	// Path is that of the field, such as "boundaries.minimum".
	Path   string `json:"path"`
	Before string `json:"before"`
	After  string `json:"after"`
	// Later: the field takes effect on what happens from then on, so the effect on what runs is not all.
	Later bool `json:"later"`
}

// Finding is a finding that would begin, end, or have other pods.
type Finding struct {
	Node        string       `json:"node"`
	Reason      audit.Reason `json:"reason"`
	Volume      string       `json:"volume,omitempty"`
	PairsBefore int          `json:"pairsBefore"`
	PairsAfter  int          `json:"pairsAfter"`
	// Pods are "namespace/name", in order.
	Pods []string `json:"pods"`
}

// RuntimeClass is a class that would be taken for another boundary.
type RuntimeClass struct {
	Name    string `json:"name"`
	Handler string `json:"handler"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Weaker  bool   `json:"weaker"`
	// Pods is the number of pods that name it.
	Pods int `json:"pods"`
}

// Pods are pods of one tenant with the same change.
type Pods struct {
	// Tenant is empty for pods without one.
	Tenant string `json:"tenant"`
	Before string `json:"before"`
	After  string `json:"after"`
	// Weaker: the boundary would be weaker.
	Weaker bool `json:"weaker,omitempty"`
	Pods   int  `json:"pods"`
	// Examples are the first of them, "namespace/name".
	Examples []string `json:"examples"`
}

// KernelGroups counts the groups of a tenant's pods that may share a kernel.
type KernelGroups struct {
	Tenant string `json:"tenant"`
	Before int    `json:"before"`
	After  int    `json:"after"`
}

// Released is a dedicated node that could not stay dedicated as it is.
type Released struct {
	Node        string `json:"node"`
	DedicatedTo string `json:"dedicatedTo"`
	Why         string `json:"why"`
}

// NodeLabels is a node that would be labelled with its trust domain, or no more.
type NodeLabels struct {
	Node string `json:"node"`
	Why  string `json:"why"`
}

// Make compares. Rules are those of Input.After.
func Make(in *Input, rules *podfacts.Rules) (*Change, error) {
	c := &Change{}
	var err error
	if c.Fields, err = fields(in.Before, in.After); err != nil {
		return nil, err
	}
	before := look(in)
	beforeRules := in.Store.Rules()
	in.Store.SetRules(rules)
	for _, ns := range in.Namespaces {
		if err := in.Store.Set(ns); err != nil {
			return nil, err
		}
	}
	after := look(in)
	c.findings(before.findings, after.findings)
	c.runtimeClasses(in, beforeRules, rules)
	c.pods(in, before, after)
	c.released(in, before, after)
	if err := c.nodeLabels(in, beforeRules, rules); err != nil {
		return nil, err
	}
	c.Changes = c.any()
	return c, nil
}

func (c *Change) any() bool {
	for _, f := range c.Fields {
		if f.Later {
			return true
		}
	}
	return len(c.FindingsBegin)+len(c.FindingsEnd)+len(c.FindingsChange)+len(c.RuntimeClasses)+len(c.Refused)+len(c.Admitted)+
		len(c.Platform)+len(c.TrustDomains)+len(c.Boundaries)+len(c.KernelGroups)+len(c.Released)+len(c.NodeLabels) > 0
}
