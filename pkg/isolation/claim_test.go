package isolation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatAPodClaims(t *testing.T) {
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
		"a container claims for its tenant and class": {
			policy, makePod("acme").Label(dataClassLabel, "public").Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "public"}},
		},
		"no class is a class": {
			policy, makePod("acme").Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}},
		},
		"a class that shares claims for the first of its group": {
			sharing, makePod("acme").Label(dataClassLabel, "public").Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "restricted"}},
		},
		"a class that does not separate is not claimed for": {
			byTenant, makePod("acme").Label(dataClassLabel, "public").Obj(),
			[]Taint{{TenantTaint, "acme"}},
		},
		"a VM claims for VMs":            {policy, kata.Obj(), []Taint{{BoundaryTaint, "vm"}}},
		"a sandbox too, if it is enough": {sandboxes, makePod("acme").RuntimeClass("runsc").Obj(), []Taint{{BoundaryTaint, "vm"}}},
		"a VM that demands the machine claims for its tenant": {
			policy, kata.NamespaceLabel(boundaryLabel, "node").Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}},
		},
		"a VM with a hole claims for its tenant": {
			policy, kata.HostAccess(HostPath).Obj(),
			[]Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}},
		},
		"the platform claims nothing":           {policy, makePod("").Namespace(platformNamespace()).Obj(), nil},
		"a pod without a tenant claims nothing": {policy, makePod("").Namespace(unmanagedNamespace()).Obj(), nil},
		"an unknown pod claims nothing":         {policy, makePod("acme").Namespace(nil).Obj(), nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			subject := tc.policy.Resolve(tc.pod)
			claim, ok := subject.Claim()
			if diff := cmp.Diff(tc.want, claim.Taints()); diff != "" || ok != (tc.want != nil) {
				t.Errorf("claims: %t; taints (-want +got):\n%s", ok, diff)
			}
			if !ok {
				return
			}
			if !claim.Admits(&subject) {
				t.Errorf("%s does not admit whom it is for", claim)
			}
			if read, found := tc.policy.ParseClaim(claim.Taints()); !found || read != claim {
				t.Errorf("reads back as %s, %t", read, found)
			}
		})
	}
}

// Golden cases show more taints that are nobody's claim.
func TestTaintsThatSayNothingForSure(t *testing.T) {
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
			claim, found := policy.ParseClaim(tc.taints)
			if found != tc.found || claim.Known() || claim.Admits(&acme) || claim.Admits(&acmeVM) {
				t.Errorf("found %t, %s", found, claim)
			}
			if _, ok := claim.Tenant(); ok || claim.String() != "unknown" || claim.Taints() != nil {
				t.Errorf("%s has a tenant or taints", claim)
			}
		})
	}
	t.Run("the same taint with two effects says one thing", func(t *testing.T) {
		taints := []Taint{{TenantTaint, "acme"}, {DataClassTaint, "unclassified"}, {TenantTaint, "acme"}}
		claim, found := policy.ParseClaim(taints)
		if tenant, ok := claim.Tenant(); !found || !ok || tenant != "acme" || !claim.Admits(&acme) || !claim.Known() {
			t.Errorf("found %t, %s", found, claim)
		}
		if want := "tenantisolation.dev/tenant=acme,tenantisolation.dev/data-class=unclassified"; claim.String() != want {
			t.Errorf("want %s, got %s", want, claim)
		}
	})
}

func TestALimitIsNoPartOfThePod(t *testing.T) {
	policy := makePolicy(t)
	acme := policy.Resolve(makePod("acme").Obj())
	if !acme.Confined().Equivalent(acme) || acme.Confined() == acme {
		t.Error("a limit of the tenant makes another pod, or none at all")
	}
	if agent := policy.Resolve(makePod("").Namespace(platformNamespace()).Obj()); agent.Confined() != agent {
		t.Error("a platform pod is confined")
	}
}
