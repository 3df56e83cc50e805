package preflight

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

func TestDedicatedNodes(t *testing.T) {
	pod := func(namespace string, tolerations ...v1.Toleration) *v1.Pod {
		return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pod"}, Spec: v1.PodSpec{NodeName: "n1", Tolerations: tolerations}}
	}
	spreading := func(namespace string, change func(*v1.TopologySpreadConstraint)) runtime.Object {
		constraint := v1.TopologySpreadConstraint{MaxSkew: 1, TopologyKey: v1.LabelHostname, WhenUnsatisfiable: v1.DoNotSchedule}
		change(&constraint)
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"}, Spec: appsv1.DeploymentSpec{
			Template: v1.PodTemplateSpec{Spec: v1.PodSpec{TopologySpreadConstraints: []v1.TopologySpreadConstraint{constraint}}},
		}}
	}
	asItIs := func(*v1.TopologySpreadConstraint) {}
	pending, ended := pod("web"), pod("web")
	pending.Spec.NodeName, ended.Status.Phase = "", v1.PodSucceeded
	for name, tc := range map[string]struct {
		mode   v1alpha1.Mode
		pod    *v1.Pod
		object runtime.Object
		// labelled: all nodes have node labels.
		labelled bool
		status   Status
		says     string
	}{
		"a pod that is older than the policies":                    {pod: pod("web"), status: Warn, says: "web/pod"},
		"a pod with the tolerations":                               {pod: pod("web", v1.Toleration{Key: isolation.TenantTaint, Value: "acme"}), status: Pass},
		"a pod that tolerates everything":                          {pod: pod("web", v1.Toleration{Operator: v1.TolerationOpExists}), status: Pass},
		"a pod with other tolerations":                             {pod: pod("web", v1.Toleration{Key: "gpu", Operator: v1.TolerationOpExists}), status: Warn, says: "web/pod"},
		"a pod without a tenant":                                   {pod: pod("agents"), status: Pass},
		"a pod that waits":                                         {pod: pending, status: Pass},
		"a pod that has ended":                                     {pod: ended, status: Pass},
		"dedication is off":                                        {mode: v1alpha1.ModeDisabled, pod: pod("web"), status: Pass},
		"a template that spreads over hosts":                       {object: spreading("web", asItIs), status: Warn, says: "Deployment web/web"},
		"a template of no tenant that does":                        {object: spreading("agents", asItIs), status: Pass},
		"a template that honours taints":                           {object: spreading("web", func(c *v1.TopologySpreadConstraint) { c.NodeTaintsPolicy = ptr.To(v1.NodeInclusionPolicyHonor) }), status: Pass},
		"a template that says that it does not":                    {object: spreading("web", func(c *v1.TopologySpreadConstraint) { c.NodeTaintsPolicy = ptr.To(v1.NodeInclusionPolicyIgnore) }), status: Warn, says: "web/web"},
		"a template that would rather spread":                      {object: spreading("web", func(c *v1.TopologySpreadConstraint) { c.WhenUnsatisfiable = v1.ScheduleAnyway }), status: Pass},
		"a template, where all nodes are labelled":                 {object: spreading("web", asItIs), labelled: true, status: Pass},
		"a template that ignores affinity, where all are labelled": {object: spreading("web", func(c *v1.TopologySpreadConstraint) { c.NodeAffinityPolicy = ptr.To(v1.NodeInclusionPolicyIgnore) }), labelled: true, status: Warn, says: "web/web"},
		"a template that honours affinity":                         {object: spreading("web", func(c *v1.TopologySpreadConstraint) { c.NodeAffinityPolicy = ptr.To(v1.NodeInclusionPolicyHonor) }), status: Warn, says: "web/web"},
		"a template that spreads over zones":                       {object: spreading("web", func(c *v1.TopologySpreadConstraint) { c.TopologyKey = v1.LabelTopologyZone }), status: Pass},
	} {
		t.Run(name, func(t *testing.T) {
			mode := tc.mode
			if mode == "" {
				mode = v1alpha1.ModeEnabled
			}
			c := clusterOf(tc.pod, tc.object)
			c.Policy = &v1alpha1.IsolationPolicySpec{Dedication: v1alpha1.Dedication{Mode: mode}}
			c.Nodes = []*v1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}
			if tc.labelled {
				c.Policy.NodeLabel.Selector = &metav1.LabelSelector{}
			}
			results, err := c.dedicatedNodes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != 1 || results[0].Status != tc.status || !strings.Contains(results[0].Says, tc.says) {
				t.Errorf("got %+v, want %s with %q", results, tc.status, tc.says)
			}
		})
	}
}
