package isolation

// Preference ranks nodes that admit a pod, from 0 to 100. The steps are equal and
// nothing lies between them, so that a weight that makes one step outweigh all other
// scorers together makes the order strict.
const (
	// PreferOwnTrustDomain: the pod's own trust domain is there already.
	PreferOwnTrustDomain = 100
	// PreferOpenNode: for an open pod, a machine that several trust domains share
	// already: no further machine is opened.
	PreferOpenNode = 75
	// PreferEmptyNode: a machine that has to be opened for the pod.
	PreferEmptyNode = 25
	// PreferEmptyVMNode: the same, and one that could have held VM-isolated pods of
	// many trust domains, which the pod has no use for.
	PreferEmptyVMNode = 0
)

// Preference returns how well the node suits a pod that it admits, 0 to 100. For a
// platform pod all nodes are equal.
func Preference(incoming *Subject, node *Node) int64 {
	o := &node.Occupancy
	switch {
	case incoming.standing != managed:
		return PreferEmptyVMNode
	case o.Holds(*incoming):
		return PreferOwnTrustDomain
	case !o.Empty():
		return PreferOpenNode
	case node.VMCapable && !incoming.isolated:
		return PreferEmptyVMNode
	}
	return PreferEmptyNode
}
