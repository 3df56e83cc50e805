package isolation

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNodeLabelKeys(t *testing.T) {
	want := []string{
		"tenantisolation.node-restriction.kubernetes.io/tenant",
		"tenantisolation.node-restriction.kubernetes.io/data-class",
		"tenantisolation.node-restriction.kubernetes.io/privilege",
		"tenantisolation.node-restriction.kubernetes.io/user-namespace",
	}
	if diff := cmp.Diff(want, NodeLabelKeys()); diff != "" {
		t.Errorf("keys are fixed, autoscalers know them (-want +got):\n%s", diff)
	}
}

func TestParseNodeLabels(t *testing.T) {
	separating := makePolicy(t)
	sharing := makePolicy(t, func(c *Config) {
		c.ShareDataClasses = [][]string{{"internal", "public"}}
		c.SharePrivileges = [][]Privilege{{PrivilegeBaseline, PrivilegeRestricted}}
	})
	byTenant := makePolicy(t, func(c *Config) { c.SeparateBy = []Axis{AxisTenant} })
	tests := map[string]struct {
		policy *Policy
		labels NodeLabels
		want   bool
	}{
		"a trust domain":                               {separating, NodeLabels{"acme", "public", "restricted", "host"}, true},
		"a trust domain with user namespaces":          {separating, NodeLabels{"acme", "unclassified", "privileged", "pod"}, true},
		"VMs of all tenants":                           {separating, NodeLabels{"vm", "vm", "vm", "vm"}, true},
		"pods without a tenant":                        {separating, NodeLabels{"unmanaged", "unmanaged", "unmanaged", "unmanaged"}, true},
		"a tenant called vm":                           {separating, NodeLabels{"vm", "public", "restricted", "host"}, true},
		"a random number on an axis":                   {separating, NodeLabels{"acme", "public", "restricted", "2093875"}, false},
		"random numbers on all axes":                   {separating, NodeLabels{"1", "2", "3", "4"}, false},
		"VMs on some axes":                             {separating, NodeLabels{"vm", "vm", "vm", "host"}, false},
		"no value on an axis":                          {separating, NodeLabels{"", "public", "restricted", "host"}, false},
		"an unknown data class":                        {separating, NodeLabels{"acme", "secret", "restricted", "host"}, false},
		"an axis that separates, as if it did not":     {separating, NodeLabels{"acme", "any", "restricted", "host"}, false},
		"an axis that does not separate":               {byTenant, NodeLabels{"acme", "any", "any", "any"}, true},
		"an axis that does not separate, as if it did": {byTenant, NodeLabels{"acme", "any", "restricted", "any"}, false},
		"user namespaces that do not separate":         {byTenant, NodeLabels{"acme", "any", "any", "host"}, false},
		"the representatives of groups":                {sharing, NodeLabels{"acme", "internal", "baseline", "host"}, true},
		"a class that another one represents":          {sharing, NodeLabels{"acme", "public", "baseline", "host"}, false},
		"a privilege that another one represents":      {sharing, NodeLabels{"acme", "internal", "restricted", "host"}, false},
		"a privilege that stands for itself":           {sharing, NodeLabels{"acme", "internal", "privileged", "host"}, true},
		"no policy":                                    {&Policy{}, VMNodeLabels(), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			labels := tc.labels.Map()
			labels["example.com/other"] = "stays out of it"
			got, found := tc.policy.ParseNodeLabels(labels)
			want := NodeLabels{}
			if tc.want {
				want = tc.labels
			}
			if !found || got != want {
				t.Errorf("found %t, want %v, got %v", found, want, got)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		if got, found := separating.ParseNodeLabels(map[string]string{"example.com/tenant": "acme"}); found || got != (NodeLabels{}) {
			t.Errorf("found %t, %v", found, got)
		}
	})
	t.Run("a key is missing", func(t *testing.T) {
		for _, a := range Axes() {
			labels := VMNodeLabels().Map()
			delete(labels, NodeLabelKey(a))
			if got, found := separating.ParseNodeLabels(labels); !found || got != (NodeLabels{}) {
				t.Errorf("without %s: found %t, %v", a, found, got)
			}
		}
	})
}

// What a pod opens reads back, and is the same for pods of one trust domain alone.
func TestNodeLabels(t *testing.T) {
	named := 0
	forScenarios(t, 5000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		policy := s.policy
		subjects := []Subject{policy.Resolve(s.incoming)}
		for _, r := range s.residents {
			subjects = append(subjects, policy.Resolve(r))
		}
		for i := range subjects {
			own, ok := policy.NodeLabels(&subjects[i])
			if _, has := subjects[i].TrustDomain(); ok != has {
				t.Fatalf("labels: %t, trust domain: %t", ok, has)
			}
			if !ok {
				continue
			}
			named++
			for j := range subjects {
				other, ok := policy.NodeLabels(&subjects[j])
				if same := ok && own == other; same != subjects[i].SharesKernelWith(subjects[j]) {
					t.Errorf("%v and %v, of one trust domain: %t", own, other, !same)
				}
			}
			opened, _ := policy.OpenedNodeLabels(&subjects[i])
			for _, labels := range []NodeLabels{own, opened} {
				if read, found := policy.ParseNodeLabels(labels.Map()); !found || read != labels {
					t.Errorf("%v reads back as %v, %t", labels, read, found)
				}
			}
			dedication, _ := subjects[i].Dedication()
			occupancy := NewOccupancy([]Resident{{UID: "resident", Subject: subjects[i]}})
			if policy.NodeLabelsMislead(opened.Map(), dedication, &occupancy) || policy.NodeLabelsMislead(nil, dedication, &occupancy) {
				t.Errorf("the labels that %v opens a node with, or none, mislead", subjects[i])
			}
			if !policy.NodeLabelsMislead(UnmanagedNodeLabels().Map(), dedication, &occupancy) {
				t.Errorf("labels for pods without a tenant do not mislead beside %v", subjects[i])
			}
			if shared := opened == VMNodeLabels(); shared != subjects[i].Open() {
				t.Errorf("opens %v, open: %t", opened, subjects[i].Open())
			}
		}
	})
	if named < 1000 {
		t.Errorf("%d trust domains show little", named)
	}
}

func TestNodeLabelsMap(t *testing.T) {
	if got := (NodeLabels{}).Map(); len(got) != 0 {
		t.Errorf("no labels are %v", got)
	}
	want := map[string]string{
		NodeLabelPrefix + "tenant": "acme", NodeLabelPrefix + "data-class": "public",
		NodeLabelPrefix + "privilege": "baseline", NodeLabelPrefix + "user-namespace": "pod",
	}
	if got := (NodeLabels{"acme", "public", "baseline", "pod"}).Map(); !maps.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}
