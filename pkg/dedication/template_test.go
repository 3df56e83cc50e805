package dedication

import (
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/tainttoleration"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// template is the node that the Cluster Autoscaler would simulate for a new one of the group, made
// from a live node: it has all labels but the hostname, and the taints that no flag names.
func template(live *v1.Node) *v1.Node {
	node := live.DeepCopy()
	node.Name = "template"
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	node.Labels[v1.LabelHostname] = node.Name
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(taint v1.Taint) bool {
		// --status-taint, one for each key.
		return slices.Contains(isolation.DedicationTaints(), taint.Key)
	})
	return node
}

// A template that was made from a node of one trust domain must admit the others, or the group would
// never grow for them.
func TestTemplateOfDedicatedNode(t *testing.T) {
	taints, err := tainttoleration.New(t.Context(), nil, nil, feature.Features{})
	if err != nil {
		t.Fatal(err)
	}
	affinity, err := nodeaffinity.New(t.Context(), &schedulerconfig.NodeAffinityArgs{}, nil, feature.Features{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		pool string
		want bool
	}{
		"of a node group without labels admits another trust domain": {"group", true},
		"of labelled nodes would not":                                {"karpenter", false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.node("n1", setLabels(map[string]string{"pool": tc.pool}))
				p := w.leader(labelledNodes)
				p.mustPlace(w.pod("web", "acme", w.affine), "n1")
				p.settle()

				info := framework.NewNodeInfo()
				info.SetNode(template(w.getNode("n1")))
				for _, pod := range []*v1.Pod{w.pod("next", "bolt", w.affine), w.pod("other", "acme", privileged, w.affine), w.pod("guest", "bolt", inVM, w.affine)} {
					admitted := true
					for _, plugin := range []fwk.Plugin{taints, affinity} {
						admitted = admitted && plugin.(fwk.FilterPlugin).Filter(w.t.Context(), framework.NewCycleState(), pod, info).IsSuccess()
					}
					if admitted != tc.want {
						w.t.Errorf("%s is admitted: %t, want %t, by labels %v", pod.Name, admitted, tc.want, info.Node().Labels)
					}
				}
			})
		})
	}
}
