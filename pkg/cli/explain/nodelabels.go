package explain

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// missedLabels returns the labels of the nodes of a pod's trust domain, if its required node affinity asks for those of
// another; empty if it does not. Of the author's own requirements nothing is asked.
func (x *Explainer) missedLabels(pod *v1.Pod, subject isolation.Subject) string {
	labels, ok := x.Rules.NodeLabels(&subject)
	affinity := pod.Spec.Affinity
	if !ok || affinity == nil || affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	keys := isolation.NodeLabelKeys()
	var terms []v1.NodeSelectorTerm
	for _, term := range affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		asked := slices.DeleteFunc(slices.Clone(term.MatchExpressions), func(e v1.NodeSelectorRequirement) bool { return !slices.Contains(keys, e.Key) })
		if len(asked) == 0 {
			return ""
		}
		terms = append(terms, v1.NodeSelectorTerm{MatchExpressions: asked})
	}
	selector, err := nodeaffinity.NewNodeSelector(&v1.NodeSelector{NodeSelectorTerms: terms})
	if err != nil || selector.Match(&v1.Node{ObjectMeta: metav1.ObjectMeta{Labels: labels.Map()}}) {
		return ""
	}
	return labels.String()
}
