package tenantisolation

import "tenantisolation.dev/scheduler/pkg/isolation"

// The preference ranks the nodes that admit a pod, on the framework's scale of 0 to 100. All
// in-tree scorers together count for 15 (at the weight of 100 that is shipped): two
// preferences stay further apart than that, whatever room adds or takes away, or a stock scorer
// could open a machine that no pod needs.
const (
	// preferOwnTrustDomain: the pod's own trust domain is on the node already.
	preferOwnTrustDomain = 100
	// preferOpenNode: for an open pod, a machine that several trust domains share
	// already: no further machine is opened.
	preferOpenNode = 75
	// preferEmptyNode: a machine that has to be opened for the pod.
	preferEmptyNode = 25
	// preferEmptyVMNode: the same, but it could hold VM-isolated pods of many trust domains,
	// and the pod does not need that.
	preferEmptyVMNode = 0
)

// How far room moves a preference.
const (
	// fillRange: among open machines the fullest one, so that the others keep room for
	// large pods. A quarter fuller counts as much as one preference of the pod's owner
	// that a stock scorer with a weight of 2 evaluates.
	fillRange = 8
	// openRange: among machines that have to be opened, one of those of which the pod's
	// trust domain needs the fewest.
	openRange = 20
	// openVMRange is the same for machines that are kept for pods in VMs.
	openVMRange = 9
)

// preference returns how well the node suits a pod that it admits, 0 to 100. For a pod that
// is not managed all nodes are equal.
func preference(incoming *isolation.Subject, node *isolation.Node) int64 {
	_, managed := incoming.TrustDomain()
	switch {
	case !managed:
		return preferEmptyVMNode
	case node.Occupancy.Holds(*incoming):
		return preferOwnTrustDomain
	case !node.Occupancy.Empty():
		return preferOpenNode
	case node.VMCapable && !incoming.Isolated():
		return preferEmptyVMNode
	}
	return preferEmptyNode
}

// observedPreference is preference where a denial does not keep a pod away: any node that
// keeps the rule comes before every one that breaks it, which has 0.
func observedPreference(incoming *isolation.Subject, node *isolation.Node) int64 {
	if !isolation.Decide(incoming, node).Allowed() {
		return 0
	}
	return max(preference(incoming, node), 1)
}

// room is how much room a node has for a pod, in shares from 0 to 1.
type room struct {
	// suits is how well a machine that has to be opened suits what the pod's trust domain
	// is expected to request, relative to the best machine.
	suits float64
	// fill is how full the node would be with the pod, averaged over its resources.
	fill float64
}

// adjust returns the preference adjusted by the room on the node. It never puts a node with a
// lower preference before one with a higher preference.
func (r room) adjust(preference int64) int64 {
	switch {
	case preference >= preferOpenNode:
		return preference - part(fillRange, 1-r.fill)
	case preference >= preferEmptyNode:
		return preference + part(openRange, r.suits)
	}
	return preference + part(openVMRange, r.suits)
}

// part returns a share of a range, rounded down; a share out of bounds is clamped.
func part(of int64, share float64) int64 {
	return int64(float64(of) * min(1, max(0, share)))
}
