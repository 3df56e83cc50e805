package isolation

import "testing"

// guests are the residents of the scenario as the contract has them, platform pods left out.
func (s scenario) guests() []judged {
	var guests []judged
	for _, r := range s.residents {
		if j := s.oracle().judge(r); !j.platform {
			guests = append(guests, j)
		}
	}
	return guests
}

// A node is given the claim of those who are there, if the contract lets them be there
// together, and no claim otherwise.
func TestTheClaimOfAnOccupiedNodeAdmitsWhoeverIsThere(t *testing.T) {
	claims, shared := 0, 0
	forScenarios(t, 10000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		o, guests := s.oracle(), s.guests()
		want := len(guests) > 0
		for _, one := range guests {
			for _, other := range guests {
				_, may := o.maySharePair(one, other)
				want = want && may
			}
		}
		node := s.node()
		claim, ok := node.Occupancy.Claim()
		if ok != want {
			t.Fatalf("there is a claim: %t, want %t", ok, want)
		}
		if !ok {
			return
		}
		claims++
		if claim.shared {
			shared++
		}
		if !claim.AdmitsAll(&node.Occupancy) {
			t.Errorf("%v does not admit everybody", claim)
		}
		taints := taintsOf(claim)
		for i, guest := range guests {
			if !o.tolerates(guest, taints) {
				t.Errorf("guest %d does not tolerate %v", i, taints)
			}
		}
	})
	if claims < 1000 || shared < 100 || shared > claims-100 {
		t.Errorf("of 10000 nodes %d are claimed, %d of them shared: that shows little", claims, shared)
	}
}

func TestAClaimAdmitsAllIfItAdmitsEach(t *testing.T) {
	admitted, refused := 0, 0
	forScenarios(t, 10000, func(t *testing.T, g generator, s scenario) {
		t.Helper()
		if s.taints == nil {
			s.taints = g.taints(s)
		}
		node := s.node()
		if !node.Claimed || !node.Claim.Known() {
			return
		}
		guests := s.guests()
		want := true
		for _, guest := range guests {
			// Of a guest that nothing is known of nobody can say what it tolerates.
			want = want && guest.resolved && s.oracle().tolerates(guest, s.taints)
		}
		if got := node.Claim.AdmitsAll(&node.Occupancy); got != want {
			t.Errorf("%v admits all: %t, want %t", node.Claim, got, want)
		}
		switch {
		case !want:
			refused++
		case len(guests) > 0:
			admitted++
		}
	})
	if admitted < 100 || refused < 100 {
		t.Errorf("%d nodes with guests are admitted and %d refused: that shows little", admitted, refused)
	}
}

// A node is kept claimed for managed pods, and for those of which nothing is known.
func TestWhomANodeIsKeptClaimedFor(t *testing.T) {
	forScenarios(t, 5000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		want := false
		for _, guest := range s.guests() {
			want = want || !guest.unmanaged
		}
		node := s.node()
		if got := node.Occupancy.Protected(); got != want {
			t.Errorf("protected: %t, want %t", got, want)
		}
	})
}
