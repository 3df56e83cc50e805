package density

import (
	"fmt"
	"slices"
)

// Vector is an amount of every resource, in the order of Instance.Dimensions.
type Vector []int64

// plus adds b to v in place.
func (v Vector) plus(b Vector) {
	for i := range v {
		v[i] += b[i]
	}
}

// less takes b from v in place.
func (v Vector) less(b Vector) {
	for i := range v {
		v[i] -= b[i]
	}
}

func (v Vector) holds(b Vector) bool {
	for i := range v {
		// A request of zero fits even on an overcommitted node.
		if b[i] > 0 && b[i] > v[i] {
			return false
		}
	}
	return true
}

// Node is a machine.
type Node struct {
	Name string
	// Shape names the machine type: nodes of one shape are interchangeable.
	Shape string
	// Capacity is the capacity for pods of tenants.
	Capacity Vector
}

// Pod is a pod of a tenant.
type Pod struct {
	Name, Tenant string
	// Domain is the trust domain.
	Domain  string
	Request Vector
	// VM: the pod has a kernel of its own.
	VM bool
	// Open: the pod may share a machine with other open pods of any trust domain.
	Open bool
	// Nodes says for every node whether it may take the pod, apart from resources and other
	// pods. Nil means all nodes. Pods may have the same slice.
	Nodes []bool
	// Pinned pods are on node On in every placement.
	Pinned bool
	On     int
}

// MayShare reports whether two pods may be on one machine.
func (p *Pod) MayShare(other *Pod) bool {
	return p.Domain == other.Domain || (p.Open && other.Open)
}

func (p *Pod) allowed(node int) bool { return p.Nodes == nil || p.Nodes[node] }

// Instance is a cluster to be filled.
type Instance struct {
	Dimensions []string
	Nodes      []Node
	Pods       []Pod
}

// Unplaced is the node of a pod that has none.
const Unplaced = -1

// Placement is the node of each pod, by index.
type Placement []int

// Validate returns an error for an invalid placement: a node that may not take a pod or is
// too small for its pods, or pods that may not share a machine.
func (in *Instance) Validate(p Placement) error {
	if len(p) != len(in.Pods) {
		return fmt.Errorf("placement of %d pods for %d", len(p), len(in.Pods))
	}
	on := in.podsByNode(p)
	for n, pods := range on {
		free := slices.Clone(in.Nodes[n].Capacity)
		for i, a := range pods {
			pod := &in.Pods[a]
			if pod.Pinned && pod.On == n {
				free.less(pod.Request)
				continue // it is given
			}
			if !pod.allowed(n) {
				return fmt.Errorf("%s may not be on %s", pod.Name, in.Nodes[n].Name)
			}
			if !free.holds(pod.Request) {
				return fmt.Errorf("%s is fuller than it can be", in.Nodes[n].Name)
			}
			free.less(pod.Request)
			for _, b := range pods[:i] {
				if !pod.MayShare(&in.Pods[b]) {
					return fmt.Errorf("%s and %s share %s", pod.Name, in.Pods[b].Name, in.Nodes[n].Name)
				}
			}
		}
	}
	return nil
}

// podsByNode returns the indexes of the pods of each node.
func (in *Instance) podsByNode(p Placement) [][]int {
	on := make([][]int, len(in.Nodes))
	for i, n := range p {
		if n != Unplaced {
			on[n] = append(on[n], i)
		}
	}
	return on
}

// scale is the largest capacity of a node in each dimension, by which amounts of
// different resources are compared; never zero.
func (in *Instance) scale() Vector {
	largest := make(Vector, len(in.Dimensions))
	for i := range in.Nodes {
		for d, amount := range in.Nodes[i].Capacity {
			largest[d] = max(largest[d], amount)
		}
	}
	for d := range largest {
		largest[d] = max(largest[d], 1)
	}
	return largest
}
