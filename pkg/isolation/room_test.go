package isolation

import "testing"

func TestInRoom(t *testing.T) {
	for name, tc := range map[string]struct {
		preference    int64
		better, worse Room
	}{
		"of its own machines a pod goes to the fullest": {
			preference: PreferOwnTrustDomain, better: Room{Fill: 0.9, Suits: 0.2}, worse: Room{Fill: 0.3, Suits: 0.9},
		},
		"of shared machines a pod goes to the fullest": {
			preference: PreferOpenNode, better: Room{Fill: 0.9, Suits: 0.2}, worse: Room{Fill: 0.3, Suits: 0.9},
		},
		"of empty machines the one that suits best is opened": {
			preference: PreferEmptyNode, better: Room{Fill: 0.1, Suits: 0.9}, worse: Room{Fill: 0.5, Suits: 0.5},
		},
		"of empty machines that can start VMs the one that suits best is opened": {
			preference: PreferEmptyVMNode, better: Room{Fill: 0.1, Suits: 0.9}, worse: Room{Fill: 0.5, Suits: 0.5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if better, worse := InRoom(tc.preference, tc.better), InRoom(tc.preference, tc.worse); better <= worse {
				t.Errorf("%+v has %d, %+v has %d", tc.better, better, tc.worse, worse)
			}
		})
	}
}

// At the shipped weight of 100, in-tree scorers can make up 15 of our points.
func TestRoomLeavesMoreBetweenTheStepsThanStockScorersMakeUp(t *testing.T) {
	const stock = 15
	steps := []int64{PreferEmptyVMNode, PreferEmptyNode, PreferOpenNode, PreferOwnTrustDomain}
	shares := []float64{-1, 0, 0.25, 0.5, 1, 2}
	for i, lower := range steps {
		for _, fill := range shares {
			for _, share := range shares {
				low := InRoom(lower, Room{Suits: share, Fill: fill})
				if low < 0 || low > 100 {
					t.Errorf("preference %d becomes %d, which the framework refuses", lower, low)
				}
				for _, upper := range steps[i+1:] {
					for _, r := range []Room{{Suits: 0, Fill: 0}, {Suits: 1, Fill: 1}, {Suits: 1}, {Fill: 1}} {
						if high := InRoom(upper, r); high-low <= stock {
							t.Errorf("step %d: %d is %d above step %d", upper, high, high-low, lower)
						}
					}
				}
			}
		}
	}
}
