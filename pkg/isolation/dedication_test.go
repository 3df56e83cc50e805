package isolation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSubjectDedication(t *testing.T) {
	policy := makePolicy(t)
	sharing := makePolicy(t, func(c *Config) { c.ShareDataClasses = [][]string{{"restricted", "public"}} })
	byTenant := makePolicy(t, func(c *Config) { c.SeparateBy = []Axis{AxisTenant} })
	sandboxes := makePolicy(t, func(c *Config) { c.MinimumBoundary = BoundarySandbox })
	kata := makePod("acme").RuntimeClass("kata")
	tests := map[string]struct {
		policy *Policy
		pod    Pod
		want   []Taint
	}{
		"a container opens a node for its tenant and class": {
			policy, makePod("acme").Label(dataClassLabel, "public").Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "public"}},
		},
		"no class is a class": {
			policy, makePod("acme").Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}},
		},
		"a class that shares opens a node for the first of its group": {
			sharing, makePod("acme").Label(dataClassLabel, "public").Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "restricted"}},
		},
		"a class that does not separate is in no taint": {
			byTenant, makePod("acme").Label(dataClassLabel, "public").Obj(),
			[]Taint{{TenantTaint, "acme"}},
		},
		"a VM opens a node for VMs":      {policy, kata.Obj(), []Taint{{BoundaryTaint, "vm"}}},
		"a sandbox too, if it is enough": {sandboxes, makePod("acme").RuntimeClass("runsc").Obj(), []Taint{{BoundaryTaint, "vm"}}},
		"a VM that demands the machine opens a node for its tenant": {
			policy, kata.NamespaceLabel(boundaryLabel, "node").Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}},
		},
		"a VM with a hole opens a node for its tenant": {
			policy, kata.HostAccess(HostPath).Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}},
		},
		"the platform opens no node":           {policy, makePod("").Namespace(platformNamespace()).Obj(), nil},
		"a pod without a tenant opens no node": {policy, makePod("").Namespace(unmanagedNamespace()).Obj(), nil},
		"an unknown pod opens no node":         {policy, makePod("acme").Namespace(nil).Obj(), nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			subject := tc.policy.Resolve(tc.pod)
			dedication, ok := subject.Dedication()
			if diff := cmp.Diff(tc.want, dedication.Taints()); diff != "" || ok != (tc.want != nil) {
				t.Errorf("dedicated: %t; taints (-want +got):\n%s", ok, diff)
			}
			if !ok {
				return
			}
			if !dedication.Admits(&subject) {
				t.Errorf("%s does not admit whom it is for", dedication)
			}
			if read, found := tc.policy.ParseDedication(dedication.Taints()); !found || read != dedication {
				t.Errorf("reads back as %s, %t", read, found)
			}
		})
	}
}

// Golden cases show more taints that are no dedication.
func TestParseDedication(t *testing.T) {
	policy := makePolicy(t)
	acme := policy.Resolve(makePod("acme").Obj())
	acmeVM := policy.Resolve(makePod("acme").RuntimeClass("kata").Obj())
	tests := map[string]struct {
		taints []Taint
		found  bool
	}{
		"none at all":                       {nil, false},
		"only those of others":              {[]Taint{{"node.kubernetes.io/not-ready", ""}, {"tenantisolation.dev/other", "acme"}}, false},
		"a tenant without a class":          {[]Taint{{TenantTaint, "acme"}}, true},
		"a class without a tenant":          {[]Taint{{DataClassTaint, "unclassified"}}, true},
		"an empty tenant":                   {[]Taint{{TenantTaint, ""}, {DataClassTaint, "unclassified"}}, true},
		"an empty boundary beside a tenant": {[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}, {BoundaryTaint, ""}}, true},
		"two tenants":                       {[]Taint{{TenantTaint, "acme"}, {TenantTaint, "globex"}, {DataClassTaint, "unclassified"}}, true},
		"a tenant and an empty one":         {[]Taint{{TenantTaint, "acme"}, {TenantTaint, ""}, {DataClassTaint, "unclassified"}}, true},
		"a class that is not configured":    {[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "secret"}}, true},
		"another boundary":                  {[]Taint{{BoundaryTaint, "sandbox"}}, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dedication, found := policy.ParseDedication(tc.taints)
			if found != tc.found || dedication.Known() || dedication.Admits(&acme) || dedication.Admits(&acmeVM) {
				t.Errorf("found %t, %s", found, dedication)
			}
			if _, ok := dedication.Tenant(); ok || dedication.String() != "unknown" || dedication.Taints() != nil {
				t.Errorf("%s has a tenant or taints", dedication)
			}
		})
	}
	t.Run("the same taint with two effects says one thing", func(t *testing.T) {
		taints := []Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}, {TenantTaint, "acme"}}
		dedication, found := policy.ParseDedication(taints)
		if tenant, ok := dedication.Tenant(); !found || !ok || tenant != "acme" || !dedication.Admits(&acme) || !dedication.Known() {
			t.Errorf("found %t, %s", found, dedication)
		}
		if want := "tenantisolation.dev/tenant=acme,tenantisolation.dev/data-class=unclassified"; dedication.String() != want {
			t.Errorf("want %s, got %s", want, dedication)
		}
	})
}

func TestConfined(t *testing.T) {
	policy := makePolicy(t)
	acme := policy.Resolve(makePod("acme").Obj())
	if !acme.Confined().Equivalent(acme) || acme.Confined() == acme {
		t.Error("a limit of the tenant makes another pod, or none at all")
	}
	if agent := policy.Resolve(makePod("").Namespace(platformNamespace()).Obj()); agent.Confined() != agent {
		t.Error("a platform pod is confined")
	}
}

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

// A node is given the dedication of those who are there, if the contract lets them be there
// together, and no dedication otherwise.
func TestOccupancyDedication(t *testing.T) {
	dedications, shared := 0, 0
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
		dedication, ok := node.Occupancy.Dedication()
		if ok != want {
			t.Fatalf("there is a dedication: %t, want %t", ok, want)
		}
		if !ok {
			return
		}
		dedications++
		if dedication.shared {
			shared++
		}
		if !dedication.AdmitsAll(&node.Occupancy) {
			t.Errorf("%v does not admit everybody", dedication)
		}
		taints := taintsOf(dedication)
		for i, guest := range guests {
			if !o.tolerates(guest, taints) {
				t.Errorf("guest %d does not tolerate %v", i, taints)
			}
		}
	})
	if dedications < 1000 || shared < 100 || shared > dedications-100 {
		t.Errorf("of 10000 nodes %d are dedicated, %d of them shared: that shows little", dedications, shared)
	}
}

func TestAdmitsAll(t *testing.T) {
	admitted, refused := 0, 0
	forScenarios(t, 10000, func(t *testing.T, g generator, s scenario) {
		t.Helper()
		if s.taints == nil {
			s.taints = g.taints(s)
		}
		node := s.node()
		if !node.Dedicated || !node.Dedication.Known() {
			return
		}
		guests := s.guests()
		want := true
		for _, guest := range guests {
			// What an unknown guest tolerates is unknown too.
			want = want && guest.resolved && s.oracle().tolerates(guest, s.taints)
		}
		if got := node.Dedication.AdmitsAll(&node.Occupancy); got != want {
			t.Errorf("%v admits all: %t, want %t", node.Dedication, got, want)
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

// A node is kept dedicated for managed pods, and for those of which nothing is known.
func TestProtected(t *testing.T) {
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
