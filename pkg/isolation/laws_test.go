package isolation

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The laws about verdicts: L1 to L5 and L7. Each test holds the core to a
// sentence of the package comment, over random scenarios.

// L1: no verdict allows a pair that the rule forbids, however the occupancy came
// about.
func TestL1Separation(t *testing.T) {
	stranger := makePod("stranger").Obj()
	forScenarios(t, 10000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		incoming, node := s.subject(), s.node()
		oneByOne := node.Occupancy.With(Resident{UID: "stranger", Subject: s.policy.Resolve(stranger)})
		oneByOne = oneByOne.Without("stranger")
		for name, occupancy := range map[string]Occupancy{"all at once": node.Occupancy, "one more and one less": oneByOne} {
			node := &Node{Occupancy: occupancy, Handlers: s.handlers, Dedicated: node.Dedicated, Dedication: node.Dedication, Charged: node.Charged}
			v := decide(incoming, node)
			if !v.Allowed() || incoming.Platform() {
				continue
			}
			o := s.oracle()
			for i, r := range s.residents {
				resident := o.judge(r)
				if resident.platform {
					continue
				}
				if why, may := o.maySharePair(o.judge(s.incoming), resident); !may {
					t.Errorf("%s: allowed for %s beside resident %d, which the rule forbids: %s", name, v.Reason(), i, why)
				}
			}
		}
	})
}

// L2: same arguments, same verdict, however often and wherever it is asked, and
// whatever order the arguments were written in.
func TestL2Determinism(t *testing.T) {
	forScenarios(t, 5000, func(t *testing.T, g generator, s scenario) {
		t.Helper()
		incoming, node := s.asking(), s.node()
		want := decide(incoming, node)
		for range 3 {
			again := g.rewritten(t, s)
			if got := again.verdict(); got != want {
				t.Errorf("first %+v, then %+v", want, got)
			}
			if got, want := again.subject().String(), incoming.String(); got != want {
				t.Errorf("first resolved as %s, then as %s", want, got)
			}
		}
		var wg sync.WaitGroup
		var verdicts [2]Verdict
		for i := range verdicts {
			wg.Go(func() { verdicts[i] = s.verdict() })
		}
		wg.Wait()
		for _, got := range verdicts {
			if got != want {
				t.Errorf("first %+v, in parallel %+v", want, got)
			}
		}
	})
}

// rewritten says the same in another order.
func (g generator) rewritten(tb testing.TB, s scenario) scenario {
	tb.Helper()
	c := s.config
	c.SeparateBy = shuffled(g, slices.Repeat(c.SeparateBy, 2))
	c.PlatformNamespaces = shuffled(g, c.PlatformNamespaces)
	c.BoundaryByHandler = refilled(g, c.BoundaryByHandler)
	c.ShareDataClasses = shuffled(g, c.ShareDataClasses)
	for i, group := range c.ShareDataClasses {
		// The first of them names the dedication of all.
		c.ShareDataClasses[i] = append(slices.Clone(group[:1]), shuffled(g, group[1:])...)
	}
	c.SharePrivileges = shuffled(g, c.SharePrivileges)
	for i := range c.SharePrivileges {
		c.SharePrivileges[i] = shuffled(g, c.SharePrivileges[i])
	}
	policy, err := NewPolicy(c)
	if err != nil {
		tb.Fatal(err)
	}
	s.config, s.policy, s.handlers = c, policy, refilled(g, s.handlers)
	rewrite := func(p Pod) Pod {
		p.Labels, p.Annotations = refilled(g, p.Labels), refilled(g, p.Annotations)
		if p.Namespace != nil {
			ns := *p.Namespace
			ns.Labels = refilled(g, ns.Labels)
			p.Namespace = &ns
		}
		return p
	}
	s.incoming = rewrite(s.incoming)
	s.residents = slices.Clone(s.residents)
	for i := range s.residents {
		s.residents[i] = rewrite(s.residents[i])
	}
	return s
}

func shuffled[T any](g generator, values []T) []T {
	values = slices.Clone(values)
	for i := range values {
		j := i + g.pick(len(values)-i)
		values[i], values[j] = values[j], values[i]
	}
	return values
}

// refilled returns an equal map that was filled in another order.
func refilled[V any](g generator, m map[string]V) map[string]V {
	if m == nil {
		return nil
	}
	r := map[string]V{}
	for _, key := range shuffled(g, slices.Sorted(maps.Keys(m))) {
		r[key] = m[key]
	}
	return r
}

// L3: neither the order of the residents nor who of them has which UID changes
// anything.
func TestL3OrderFree(t *testing.T) {
	forScenarios(t, 10000, func(t *testing.T, g generator, s scenario) {
		t.Helper()
		incoming, node := s.asking(), s.node()
		want := decide(incoming, node)

		reordered := NewOccupancy(shuffled(g, residents(s.subjects()...)))
		if diff := sameOccupancy(node.Occupancy, reordered); diff != "" {
			t.Errorf("occupancy in another order (-want +got):\n%s", diff)
		}
		exchanged := makeNode(shuffled(g, s.subjects())...)
		exchanged.Handlers = node.Handlers
		exchanged.Dedication, exchanged.Dedicated, exchanged.Charged = node.Dedication, node.Dedicated, node.Charged
		exchanged.VMCapable = node.VMCapable
		if got := decide(incoming, exchanged); got != want {
			t.Errorf("verdict is %+v, with other UIDs %+v", want, got)
		}
		if want, got := node.Occupancy.Holds(incoming), exchanged.Occupancy.Holds(incoming); got != want {
			t.Errorf("holds the trust domain: %t, with other UIDs %t", want, got)
		}
		if diff := cmp.Diff(openByGroup(node.Occupancy), openByGroup(exchanged.Occupancy)); diff != "" {
			t.Errorf("groups with other UIDs (-want +got):\n%s", diff)
		}
	})
}

// openByGroup is Groups without what the order is free to choose.
func openByGroup(o Occupancy) map[KernelGroup][2]int {
	pods := map[KernelGroup][2]int{}
	for _, g := range o.Groups() {
		n := pods[g.group]
		if g.Open {
			n[1] += g.Pods
		} else {
			n[0] += g.Pods
		}
		pods[g.group] = n
	}
	return pods
}

// L4: adding a resident never turns a denial into an admission.
func TestL4Monotone(t *testing.T) {
	forScenarios(t, 10000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		incoming := s.asking()
		node := s.node()
		node.Occupancy = Occupancy{}
		before := decide(incoming, node)
		for i, subject := range s.subjects() {
			node.Occupancy = node.Occupancy.With(Resident{UID: uid(i), Subject: subject})
			after := decide(incoming, node)
			if !before.Allowed() && after.Allowed() {
				t.Errorf("denied for %s, and with resident %d allowed for %s", before.Reason(), i, after.Reason())
			}
			if s.policy.MayEvict(after) && !before.Allowed() && !s.policy.MayEvict(before) {
				t.Errorf("evicts no pod for %s, and with resident %d it may for %s", before.Reason(), i, after.Reason())
			}
			before = after
		}
	})
}

// L5: adding or removing the same UID twice is once, and leaves the occupancy from
// which it began as it was.
func TestL5Idempotent(t *testing.T) {
	forScenarios(t, 5000, func(t *testing.T, g generator, s scenario) {
		t.Helper()
		all := residents(s.subjects()...)
		o := NewOccupancy(all)
		r := Resident{UID: uid(g.pick(len(all) + 1)), Subject: s.subject()}
		same := func(sentence string, want, got Occupancy) {
			t.Helper()
			if diff := sameOccupancy(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", sentence, diff)
			}
		}
		added := o.With(r)
		same("adding twice is adding once", added, added.With(r))
		removed := o.Without(r.UID)
		same("removing twice is removing once", removed, removed.Without(r.UID))
		same("what is added and removed was never there", removed, added.Without(r.UID))
		same("what is removed and added is there", added, removed.With(r))
		same("a list with everything twice is the list", o, NewOccupancy(slices.Repeat(all, 2)))
		for i, resident := range all {
			without := o.Without(resident.UID)
			want := NewOccupancy(slices.Delete(slices.Clone(all), i, i+1))
			same("removing is never having added", want, without)
			same("adding again restores", o, without.With(resident))
		}
		same("an occupancy never changes", NewOccupancy(all), o)
	})
}

// L7: of two pods that an empty node would take, if A may join B then B may join A. It
// holds where no node is dedicated: a VM-isolated pod joins the containers of its trust
// domain, and they do not join it on a node that it has opened for VMs of all tenants.
func TestL7Symmetric(t *testing.T) {
	joined, parted := 0, 0
	forScenarios(t, 20000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		a := s.subject()
		for i, b := range s.subjects() {
			if _, denied := a.Denied(); denied || a.Platform() {
				continue
			}
			if _, denied := b.Denied(); denied || b.Platform() {
				continue
			}
			aJoins, bJoins := decide(a, makeNode(b)), decide(b, makeNode(a))
			if aJoins.Allowed() != bJoins.Allowed() || aJoins.Reason() != bJoins.Reason() {
				t.Errorf("the incoming pod may join resident %d: %s, the other way round: %s", i, aJoins.Reason(), bJoins.Reason())
			}
			joined += count(aJoins.Allowed())
			parted += count(!aJoins.Allowed())
		}
	})
	if joined == 0 || parted == 0 {
		t.Errorf("%d pairs may share a node and %d may not: want some of both", joined, parted)
	}
}

// FuzzOccupancyIsASetByUID compares an occupancy with a map, over any sequence of
// additions and removals.
func FuzzOccupancyIsASetByUID(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 1, 1, 0, 2, 0, 3, 4, 1})
	f.Add([]byte("with and without, in some order, and again: 0123456789"))
	policy := makePolicy(f)
	subjects := []Subject{
		policy.Resolve(makePod("acme").Obj()),
		policy.Resolve(makePod("acme").RuntimeClass("kata").Obj()),
		policy.Resolve(makePod("globex").RuntimeClass("kata").Obj()),
		policy.Resolve(makePod("").Namespace(platformNamespace()).Obj()),
		policy.Resolve(makePod("").Namespace(unmanagedNamespace()).Obj()),
		{},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g := byteGenerator(data)
		var got Occupancy
		want := map[string]Subject{}
		for range len(data) / 2 {
			id := uid(g.pick(5))
			if what := g.pick(len(subjects) + 2); what < len(subjects) {
				got = got.With(Resident{UID: id, Subject: subjects[what]})
				want[id] = subjects[what]
			} else {
				got = got.Without(id)
				delete(want, id)
			}
		}
		list := []Resident{}
		counted := 0
		for id, subject := range want {
			list = append(list, Resident{UID: id, Subject: subject})
			counted += count(!subject.Platform())
		}
		if got.Len() != counted || got.Empty() != (counted == 0) {
			t.Errorf("%d residents, empty %t; want %d", got.Len(), got.Empty(), counted)
		}
		if diff := sameOccupancy(NewOccupancy(list), got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		sum := 0
		for _, group := range got.Groups() {
			sum += group.Pods
		}
		managedPods := 0
		for _, subject := range want {
			_, resolved := subject.TrustDomain()
			managedPods += count(resolved)
			if resolved && !got.Holds(subject) {
				t.Errorf("does not hold %v, which is there", subject)
			}
		}
		if diff := cmp.Diff(managedPods, sum, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("pods in groups (-want +got):\n%s", diff)
		}
	})
}
