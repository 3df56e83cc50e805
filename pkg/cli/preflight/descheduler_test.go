package preflight

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

func TestDescheduler(t *testing.T) {
	const header = "apiVersion: descheduler/v1alpha2\nkind: DeschedulerPolicy\nprofiles:\n- name: default\n"
	const fit = "  pluginConfig:\n  - name: DefaultEvictor\n    args: {nodeFit: true}\n"
	enabled := func(plugin string) string { return "  plugins: {balance: {enabled: [" + plugin + "]}}\n" }
	all := &metav1.LabelSelector{}
	karpenters := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "karpenter.sh/nodepool", Operator: metav1.LabelSelectorOpExists}}}
	for name, tc := range map[string]struct {
		text     string
		selector *metav1.LabelSelector
		off      bool
		status   Status
		says     string
	}{
		"its balance without nodeFit":             {text: header + enabled("LowNodeUtilization"), status: Warn, says: "LowNodeUtilization of profile default"},
		"the other balance without nodeFit":       {text: header + enabled("HighNodeUtilization"), status: Warn, says: "HighNodeUtilization of profile default"},
		"nodeFit, and all nodes have labels":      {text: header + fit + enabled("LowNodeUtilization"), status: Pass},
		"nodeFit, and nodes without labels":       {text: header + fit + enabled("LowNodeUtilization"), selector: karpenters, status: Warn, says: "1 nodes have no node labels"},
		"spread, which looks by itself":           {text: header + enabled("RemovePodsViolatingTopologySpreadConstraint"), selector: karpenters, status: Pass},
		"spread that does not look":               {text: header + "  pluginConfig:\n  - name: RemovePodsViolatingTopologySpreadConstraint\n    args: {topologyBalanceNodeFit: false}\n" + enabled("RemovePodsViolatingTopologySpreadConstraint"), status: Warn, says: "TopologySpreadConstraint of profile default"},
		"spread that does not look, with nodeFit": {text: header + fit + "  - name: RemovePodsViolatingTopologySpreadConstraint\n    args: {topologyBalanceNodeFit: false}\n" + enabled("RemovePodsViolatingTopologySpreadConstraint"), status: Pass},
		"a plugin that evicts for other reasons":  {text: header + "  plugins: {deschedule: {enabled: [PodLifeTime]}}\n", selector: karpenters, status: Pass},
		"something else":                          {text: "kind: Other\n"},
		"no YAML":                                 {text: "\t"},
		"dedication is off":                       {text: header + enabled("LowNodeUtilization"), off: true},
	} {
		t.Run(name, func(t *testing.T) {
			policy := &v1alpha1.IsolationPolicySpec{Dedication: v1alpha1.Dedication{Mode: v1alpha1.ModeEnabled}, NodeLabel: v1alpha1.NodeLabel{Selector: all}}
			if tc.selector != nil {
				policy.NodeLabel.Selector = tc.selector
			}
			if tc.off {
				policy.Dedication.Mode = v1alpha1.ModeDisabled
			}
			c := &Checker{
				Policy: policy, Nodes: []*v1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}},
				Client: fake.NewClientset(&v1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "descheduler-policy-configmap", Labels: map[string]string{"app.kubernetes.io/name": "descheduler"}},
					Data:       map[string]string{"policy.yaml": tc.text},
				}),
			}
			results, err := c.descheduler(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tc.status == "" {
				if len(results) > 0 {
					t.Errorf("got %+v, want nothing", results)
				}
				return
			}
			if len(results) != 1 || results[0].Status != tc.status || !strings.Contains(results[0].Says, tc.says) {
				t.Errorf("got %+v, want %s with %q", results, tc.status, tc.says)
			}
		})
	}
}
