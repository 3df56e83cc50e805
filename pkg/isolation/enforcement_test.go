package isolation

import "testing"

func TestObserves(t *testing.T) {
	denied := 0
	forScenarios(t, 5000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		incoming, node := s.asking(), s.node()
		v := decide(incoming, node)
		if s.policy.Observes() || s.policy.Refuses(v) == v.Allowed() {
			t.Errorf("enforcing: verdict %s, refused: %t", v.Reason(), s.policy.Refuses(v))
		}
		s.config.Observe = true
		observing, err := NewPolicy(s.config)
		if err != nil {
			t.Fatal(err)
		}
		if !observing.Observes() || observing.Refuses(v) {
			t.Errorf("observing, %s is refused", v.Reason())
		}
		denied += count(!v.Allowed())
	})
	if denied == 0 {
		t.Error("nothing was denied")
	}
	if zero := (&Policy{}); zero.Observes() || !zero.Refuses(Verdict{}) {
		t.Error("the zero policy lets pods through")
	}
}
