package isolation

import "testing"

// What was not filled in denies.
func TestZeroValuesDeny(t *testing.T) {
	policy := makePolicy(t)
	acme := policy.Resolve(makePod("acme").Obj())

	t.Run("the zero reason admits nothing", func(t *testing.T) {
		var r Reason
		if r.Admits() || r.Sentence() == "" {
			t.Errorf("zero reason %s: admits %t, sentence %q", r, r.Admits(), r.Sentence())
		}
	})
	t.Run("the zero verdict denies and evicts no pod", func(t *testing.T) {
		var v Verdict
		evicting := makePolicy(t, func(c *Config) { c.Preemption = PreemptAny })
		if v.Allowed() || evicting.MayEvict(v) {
			t.Errorf("zero verdict: allowed %t, may evict %t", v.Allowed(), evicting.MayEvict(v))
		}
	})
	t.Run("the zero subject is denied everywhere", func(t *testing.T) {
		var s Subject
		if v := decide(s, makeNode()); v.Allowed() {
			t.Errorf("an empty node takes it: %s", v.Reason())
		}
		if v := decide(s, makeNode(s)); v.Allowed() {
			t.Errorf("a node with another zero subject takes it: %s", v.Reason())
		}
		if _, denied := s.Denied(); !denied || s.Open() || s.Platform() || s.SharesKernelWith(s) {
			t.Errorf("zero subject: denied %t, open %t, platform %t, shares with itself %t",
				denied, s.Open(), s.Platform(), s.SharesKernelWith(s))
		}
	})
	t.Run("the zero subject keeps everybody away", func(t *testing.T) {
		if v := decide(acme, makeNode(Subject{})); v.Reason() != UnknownResident {
			t.Errorf("got %s, want %s", v.Reason(), UnknownResident)
		}
	})
	t.Run("a privilege that was not computed is unknown, not the lowest", func(t *testing.T) {
		s := policy.Resolve(makePod("acme").Privilege(Privilege(0)).Obj())
		if r, _ := s.Denied(); r != UnknownPrivilege {
			t.Errorf("got %s, want %s", r, UnknownPrivilege)
		}
	})
	t.Run("the zero pod is of an unknown namespace", func(t *testing.T) {
		s := policy.Resolve(Pod{})
		if r, _ := s.Denied(); r != UnknownNamespace {
			t.Errorf("got %s, want %s", r, UnknownNamespace)
		}
	})
	t.Run("the zero policy denies every pod", func(t *testing.T) {
		var zero Policy
		for name, pod := range map[string]Pod{
			"managed":             makePod("acme").Obj(),
			"labelled emptily":    makePod("acme").NamespaceLabel("", "acme").Obj(),
			"platform by name":    makePod("").Namespace(platformNamespace()).Obj(),
			"platform by labels":  makePod("").Namespace(&Namespace{Name: "x", PlatformSelected: true}).Obj(),
			"unmanaged":           makePod("").Namespace(unmanagedNamespace()).Obj(),
			"of no namespace":     {},
			"nothing but a class": makePod("acme").RuntimeClass("kata").Obj(),
		} {
			if s := zero.Resolve(pod); Decide(&s, makeNode()).Allowed() {
				t.Errorf("%s: resolved by the zero policy, it is allowed as %v", name, s)
			}
		}
		if zero.Isolates(BoundaryVM) || zero.Isolates(BoundaryContainer) {
			t.Error("the zero policy takes a boundary for enough")
		}
	})
}
