package isolation

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameOccupancy compares all there is to an occupancy, what it keeps to itself
// included.
func sameOccupancy(want, got Occupancy) string {
	if reflect.DeepEqual(want, got) {
		return "" // what cmp would say as well, a hundred times slower
	}
	return cmp.Diff(want, got,
		cmp.AllowUnexported(Occupancy{}, census{}, Group{}),
		cmp.Comparer(func(a, b Resident) bool { return a == b }),
		cmp.Comparer(func(a, b KernelGroup) bool { return a == b }),
		cmpopts.EquateEmpty())
}

func TestNewOccupancy(t *testing.T) {
	p := makePolicy(t)
	acme, globex := p.Resolve(makePod("acme").Obj()), p.Resolve(makePod("globex").Obj())
	platformPod := p.Resolve(makePod("").Namespace(platformNamespace()).Obj())
	for name, tc := range map[string]struct {
		residents []Resident
		want      []Group
		wantLen   int
	}{
		"two pods of one trust domain are two": {
			residents: []Resident{{"a", acme}, {"b", acme}},
			want:      []Group{{Domain: acme.domain, Pods: 2}},
			wantLen:   2,
		},
		"one pod added twice is one": {
			residents: []Resident{{"a", acme}, {"a", acme}},
			want:      []Group{{Domain: acme.domain, Pods: 1}},
			wantLen:   1,
		},
		"of two words about one pod the last counts": {
			residents: []Resident{{"a", acme}, {"a", globex}},
			want:      []Group{{Domain: globex.domain, Pods: 1}},
			wantLen:   1,
		},
		"a platform pod does not count": {
			residents: []Resident{{"a", platformPod}, {"b", acme}},
			want:      []Group{{Domain: acme.domain, Pods: 1}},
			wantLen:   1,
		},
		"a pod that became the platform's no longer counts": {
			residents: []Resident{{"a", acme}, {"a", platformPod}},
		},
		"a pod that was the platform's counts again": {
			residents: []Resident{{"a", platformPod}, {"a", acme}},
			want:      []Group{{Domain: acme.domain, Pods: 1}},
			wantLen:   1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			given := slices.Clone(tc.residents)
			got := NewOccupancy(tc.residents)
			if diff := cmp.Diff(tc.want, got.Groups(), cmpopts.IgnoreUnexported(Group{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
			if got.Len() != tc.wantLen || got.Empty() != (tc.wantLen == 0) {
				t.Errorf("got %d residents, empty %t; want %d", got.Len(), got.Empty(), tc.wantLen)
			}
			if !slices.Equal(given, tc.residents) {
				t.Errorf("NewOccupancy changed its argument from %v to %v", given, tc.residents)
			}
			var oneByOne Occupancy
			for _, r := range tc.residents {
				oneByOne = oneByOne.With(r)
			}
			if diff := sameOccupancy(got, oneByOne); diff != "" {
				t.Errorf("all at once and one by one differ (-all +one by one):\n%s", diff)
			}
		})
	}
}

// The keys under which an index may look for a trust domain agree with the rule.
func TestKernelGroup(t *testing.T) {
	forScenarios(t, 3000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		node := s.node()
		incoming := s.subject()
		key, ok := incoming.KernelGroup()
		if _, resolved := incoming.TrustDomain(); ok != resolved {
			t.Errorf("%v has a key: %t, a trust domain: %t", incoming, ok, resolved)
		}
		held := false
		for i, resident := range s.subjects() {
			other, known := resident.KernelGroup()
			shares := incoming.SharesKernelWith(resident)
			if (ok && known && key == other) != shares || shares != resident.SharesKernelWith(incoming) {
				t.Errorf("resident %d, %v, has the key of %v: %t, shares a kernel: %t", i, resident, incoming, key == other, shares)
			}
			held = held || shares
		}
		if node.Occupancy.Holds(incoming) != held {
			t.Errorf("holds %v: %t, want %t", incoming, node.Occupancy.Holds(incoming), held)
		}
	})
}

func TestOccupancyIsOpenIfAResidentIs(t *testing.T) {
	p := makePolicy(t)
	container, vm := p.Resolve(makePod("acme").Obj()), p.Resolve(makePod("acme").RuntimeClass("kata").Obj())
	alone := p.Resolve(makePod("acme").RuntimeClass("kata").NamespaceLabel(boundaryLabel, "node").Obj())
	for name, tc := range map[string]struct {
		node *Node
		want bool
	}{
		"nobody":                           {makeNode(), false},
		"a container":                      {makeNode(container), false},
		"a VM that demands the machine":    {makeNode(alone), false},
		"a VM":                             {makeNode(vm), true},
		"a container and a VM of its own":  {makeNode(container, vm), true},
		"a VM and one that demands it all": {makeNode(alone, vm), true},
	} {
		if got := tc.node.Occupancy.HoldsOpen(); got != tc.want {
			t.Errorf("%s: got %t, want %t", name, got, tc.want)
		}
	}
}
