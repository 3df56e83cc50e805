package compare

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

func TestNodeLabels(t *testing.T) {
	node := func(name string, sets ...map[string]string) *v1.Node {
		n := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
		for _, set := range sets {
			for key, value := range set {
				n.Labels[key] = value
			}
		}
		return n
	}
	pool, group := map[string]string{"karpenter.sh/nodepool": "a"}, map[string]string{"group": "a"}
	own := isolation.NodeLabels{"acme", "public", "restricted", "host"}.Map()
	nodes := []*v1.Node{node("plain"), node("pool", pool), node("used", pool, own), node("group", group)}
	of := func(text string) *v1alpha1.IsolationPolicySpec {
		spec, err := policy.ParseSpec(nil, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return spec
	}
	on := of("dedication: {mode: Enabled}")
	for name, tc := range map[string]struct {
		before, after *v1alpha1.IsolationPolicySpec
		want          []NodeLabels
	}{
		"nothing changes":        {on, on, []NodeLabels{}},
		"dedication is disabled": {on, of(""), []NodeLabels{{"pool", "would not be labelled"}, {"used", "would not be labelled"}}},
		"dedication is enabled": {of(""), on, []NodeLabels{
			{"pool", "would be labelled, once it is dedicated"}, {"used", "would be labelled, once it is dedicated"},
		}},
		"another selector": {on, of("{dedication: {mode: Enabled}, nodeLabel: {selector: {matchLabels: {group: a}}}}"), []NodeLabels{
			{"pool", "would not be labelled"}, {"used", "would not be labelled"}, {"group", "would be labelled, once it is dedicated"},
		}},
		"an axis separates no more": {
			on, of("{dedication: {mode: Enabled}, separateBy: [tenant, data-class]}"),
			[]NodeLabels{{"used", "its labels would be removed, until the pods there are made again"}},
		},
		"another representative": {
			on, of("{dedication: {mode: Enabled}, sharing: {privileges: [[baseline, restricted]]}}"),
			[]NodeLabels{{"used", "its labels would be removed, until the pods there are made again"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rules := func(spec *v1alpha1.IsolationPolicySpec) *podfacts.Rules {
				rules, err := podfacts.NewRules(spec)
				if err != nil {
					t.Fatal(err)
				}
				return rules
			}
			c := &Change{}
			if err := c.nodeLabels(&Input{Before: tc.before, After: tc.after, Nodes: nodes}, rules(tc.before), rules(tc.after)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, c.NodeLabels); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
		})
	}
}
