package isolation

// Room is what the capacity of a node says of a pod that it would take, in shares from 0
// to 1.
type Room struct {
	// Suits is how well a machine that has to be opened suits what the pod's trust domain
	// is expected to ask for, beside the best one that there is.
	Suits float64
	// Fill is how full the node would be with the pod, averaged over what the node has.
	Fill float64
}

// How far room moves a preference. A step of the preference is 25, and all in-tree scorers
// together count for 15 (at the weight of 100 that is shipped): what lies between two steps
// stays above that, or a stock scorer could open a machine that nobody needs.
const (
	// fillRange: among machines that are open already the fullest one, so that the others
	// keep room for large pods. A quarter fuller counts as much as one preference of the
	// pod's owner that a stock scorer sees to with a weight of 2.
	fillRange = 8
	// openRange: of machines that have to be opened one of those of which the pod's trust
	// domain needs the fewest.
	openRange = 20
	// openVMRange is the same for machines kept for pods in VMs.
	openVMRange = 9
)

// InRoom returns a preference moved by the room that the node has. It never puts a node
// that was less preferred before one that was more.
func InRoom(preference int64, room Room) int64 {
	switch {
	case preference >= PreferOpenNode:
		return preference - part(fillRange, 1-room.Fill)
	case preference >= PreferEmptyNode:
		return preference + part(openRange, room.Suits)
	}
	return preference + part(openVMRange, room.Suits)
}

// part returns a share of a range, rounded down; a share out of bounds is taken to the bound.
func part(of int64, share float64) int64 {
	return int64(float64(of) * min(1, max(0, share)))
}
