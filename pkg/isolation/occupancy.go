package isolation

import (
	"cmp"
	"slices"
)

// Resident is a pod that is on a node, assigned or assumed, until it is gone.
type Resident struct {
	// UID identifies the pod. A name would not do: two tenants may both have a
	// pod "web-0".
	UID     string
	Subject Subject
}

// Group counts the residents of one trust domain behind one kind of boundary.
type Group struct {
	// Domain is the trust domain of one of them; where the policy lets values
	// share, the others may differ from it in those.
	Domain TrustDomain
	// Isolated: their boundary is enough to share a machine. Open: they are isolated and
	// do not demand the machine for themselves.
	Isolated, Open bool
	Pods           int

	group KernelGroup
}

// Occupancy is who is on a node, summed up so that Decide takes a few comparisons
// however many pods there are. It is an immutable set by UID: With and Without
// return a new one, and doing either twice is doing it once.
//
// The zero Occupancy is an empty node.
type Occupancy struct {
	residents []Resident // sorted by UID, platform pods left out
	groups    []Group

	unknown, unmanaged int
	// all sums up every managed resident, closed those that share their machine
	// with no other trust domain.
	all, closed census
}

// census says of a number of trust domains what Decide asks: none, exactly which
// one, or several.
type census struct {
	group   KernelGroup
	some    bool
	several bool
}

func (c *census) add(g KernelGroup) {
	switch {
	case !c.some:
		c.group, c.some = g, true
	case c.group != g:
		c.several = true
	}
}

// only reports whether there is no trust domain but g.
func (c *census) only(g KernelGroup) bool {
	return !c.some || (!c.several && c.group == g)
}

// NewOccupancy returns the occupancy of a node with these residents. Of residents
// with the same UID the last one counts.
func NewOccupancy(residents []Resident) Occupancy {
	// Sorting a copy by UID makes the result independent of the order (L3).
	sorted := slices.Clone(residents)
	slices.SortStableFunc(sorted, func(a, b Resident) int { return cmp.Compare(a.UID, b.UID) })
	last := sorted[:0]
	for i, r := range sorted {
		if i+1 < len(sorted) && sorted[i+1].UID == r.UID {
			continue
		}
		// Only now: a platform pod is the last word about its UID like any other.
		if !r.Subject.Platform() {
			last = append(last, r)
		}
	}
	return summarise(last)
}

// summarise takes ownership of the residents, which are sorted and distinct.
func summarise(residents []Resident) Occupancy {
	o := Occupancy{residents: residents}
	for i := range residents {
		s := &residents[i].Subject
		switch s.scope {
		case unresolved:
			o.unknown++
		case unmanaged:
			o.unmanaged++
		case managed:
			o.all.add(s.group)
			if !s.open {
				o.closed.add(s.group)
			}
			o.count(s)
		case platform:
			// Left out by the caller: trusted by all.
		}
	}
	return o
}

func (o *Occupancy) count(s *Subject) {
	for i := range o.groups {
		if g := &o.groups[i]; g.group == s.group && g.Open == s.open && g.Isolated == s.isolated {
			g.Pods++
			return
		}
	}
	o.groups = append(o.groups, Group{Domain: s.domain, Isolated: s.isolated, Open: s.open, Pods: 1, group: s.group})
}

// With returns the occupancy with r in it, in place of the resident with its UID if
// there is one.
func (o *Occupancy) With(r Resident) Occupancy {
	if r.Subject.Platform() {
		return o.Without(r.UID)
	}
	i, found := o.find(r.UID)
	residents := slices.Clone(o.residents)
	if found {
		residents[i] = r
	} else {
		residents = slices.Insert(residents, i, r)
	}
	return summarise(residents)
}

// Without returns the occupancy without the resident with this UID.
func (o *Occupancy) Without(uid string) Occupancy {
	i, found := o.find(uid)
	if !found {
		return *o
	}
	return summarise(slices.Delete(slices.Clone(o.residents), i, i+1))
}

func (o *Occupancy) find(uid string) (int, bool) {
	return slices.BinarySearchFunc(o.residents, uid, func(r Resident, uid string) int {
		return cmp.Compare(r.UID, uid)
	})
}

// Empty reports whether no pod is there but the platform's.
func (o *Occupancy) Empty() bool { return len(o.residents) == 0 }

// Len returns how many residents count, which platform pods do not.
func (o *Occupancy) Len() int { return len(o.residents) }

// Groups returns the managed residents by trust domain and boundary. The caller must
// not change it.
func (o *Occupancy) Groups() []Group { return o.groups }

// Holds reports whether a resident is of the subject's trust domain.
func (o *Occupancy) Holds(s Subject) bool {
	if s.scope != managed {
		return false
	}
	if !o.all.several {
		return o.all.some && o.all.group == s.group
	}
	return slices.ContainsFunc(o.groups, func(g Group) bool { return g.group == s.group })
}

// HoldsOpen reports whether a resident lets other trust domains share the machine.
func (o *Occupancy) HoldsOpen() bool {
	return slices.ContainsFunc(o.groups, func(g Group) bool { return g.Open })
}
