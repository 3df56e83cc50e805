package checker

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestTakers(t *testing.T) {
	kata, wait := runtimeClass("kata"), on("")
	for sentence, tc := range map[string]struct {
		pod       corev1.Pod
		residents []corev1.Pod
		node      func(n1 *corev1.Node)
		want      []string
	}{
		"when it is empty": {
			pod: restrictedPod("red", "p", wait), want: []string{"n1", "n2"},
		},
		"not beside another tenant": {
			pod: restrictedPod("red", "p", wait), residents: []corev1.Pod{restrictedPod("blue", "b")}, want: []string{"n2"},
		},
		"in a VM beside another tenant's VM": {
			pod: restrictedPod("red", "p", wait, kata), residents: []corev1.Pod{restrictedPod("blue", "b", kata)}, want: []string{"n1", "n2"},
		},
		"not if it has a taint": {
			pod:  restrictedPod("red", "p", wait),
			node: func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}} },
			want: []string{"n2"},
		},
		"not if it is cordoned": {
			pod: restrictedPod("red", "p", wait), node: func(n *corev1.Node) { n.Spec.Unschedulable = true }, want: []string{"n2"},
		},
		"not without the handler, where it reports handlers": {
			pod:  restrictedPod("red", "p", wait, kata),
			node: func(n *corev1.Node) { n.Status.RuntimeHandlers = []corev1.NodeRuntimeHandler{{Name: "runc"}} },
			want: []string{"n2"},
		},
		"not without the room": {
			pod: restrictedPod("red", "p", wait, cpu("3")), residents: []corev1.Pod{restrictedPod("red", "b", cpu("2"))}, want: []string{"n2"},
		},
		"not without the labels that it selects": {
			pod:  restrictedPod("red", "p", wait, func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"zone": "a"} }),
			node: func(n *corev1.Node) { n.Labels["zone"] = "a" },
			want: []string{"n1"},
		},
		"never of no tenant":                          {pod: restrictedPod("nobody", "p", wait)},
		"never of an unknown data class":              {pod: restrictedPod("red-odd", "p", wait)},
		"never behind less than is demanded":          {pod: restrictedPod("red-vm", "p", wait)},
		"never with a gate":                           {pod: restrictedPod("red", "p", wait, func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}} })},
		"of the platform, whoever is there":           {pod: restrictedPod("kube-system", "p", wait), residents: []corev1.Pod{restrictedPod("blue", "b")}, want: []string{"n1", "n2"}},
		"never, as far as it knows, with an affinity": {pod: restrictedPod("red", "p", wait, func(p *corev1.Pod) { p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}} })},
	} {
		t.Run(sentence, func(t *testing.T) {
			cluster := world(append(tc.residents, tc.pod)...)
			if tc.node != nil {
				tc.node(&cluster.Nodes[0])
			}
			if diff := cmp.Diff(tc.want, cluster.Takers(&tc.pod)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
