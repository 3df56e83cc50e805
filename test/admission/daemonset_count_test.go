package admission

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// The controller of a DaemonSet counts the nodes that fit its template, in a status that its author reads.
func TestThreat18DaemonSetsThatCount(t *testing.T) {
	everything := tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists})
	victims := func(p *corev1.Pod) {
		p.Spec.NodeSelector = map[string]string{isolation.NodeLabelKey(isolation.AxisTenant): "victim"}
	}
	many := func(p *corev1.Pod) {
		for i := range 129 {
			p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: fmt.Sprintf("example.com/%d", i), Operator: corev1.TolerationOpExists})
		}
	}
	annotated513 := func(p *corev1.Pod) {
		p.Annotations = map[string]string{}
		for i := range 513 {
			p.Annotations[fmt.Sprintf("example.com/%d", i)] = ""
		}
	}
	victimsTerm := func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: isolation.NodeLabelKey(isolation.AxisTenant), Operator: corev1.NodeSelectorOpIn, Values: []string{"victim"},
			}}}},
		}}}
	}
	victimsTaint := tolerating(corev1.Toleration{Key: isolation.TenantTaint, Operator: corev1.TolerationOpEqual, Value: "victim"})
	for what, tc := range map[string]struct {
		managed bool
		options []podOption
		allowed bool
		names   []string
	}{
		"all taints, of a tenant":                  {managed: true, options: []podOption{everything}, names: []string{"spec.template.spec.tolerations"}},
		"a selector, of a tenant":                  {managed: true, options: []podOption{victims}, names: []string{"spec.template.spec.nodeSelector"}},
		"too many tolerations, of a tenant":        {managed: true, options: []podOption{many}, names: []string{"spec.template"}},
		"too many annotations, of a tenant":        {managed: true, options: []podOption{annotated513}, names: []string{"spec.template"}},
		"an ordinary template, of a tenant":        {managed: true, options: []podOption{hostPath}, allowed: true},
		"a selector, without a tenant":             {options: []podOption{victims, everything}, names: []string{"nodeSelector"}},
		"a term, without a tenant":                 {options: []podOption{victimsTerm, everything}, names: []string{"affinity"}},
		"the victim's taint, without a tenant":     {options: []podOption{victimsTaint}, names: []string{"tolerations"}},
		"an agent's tolerations, without a tenant": {options: []podOption{everything}, allowed: true},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t)
			namespace := s.namespace(nil)
			if tc.managed {
				namespace = s.managed()
			}
			_, err := s.as(editor).AppsV1().DaemonSets(namespace).Create(s.ctx, &appsv1.DaemonSet{
				ObjectMeta: metav1.ObjectMeta{Name: "counts"},
				Spec:       appsv1.DaemonSetSpec{Selector: selector(), Template: templateOf(tc.options...)},
			}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if tc.allowed {
				s.allowed("its creation", err)
				return
			}
			if err == nil {
				t.Error("it is allowed")
			} else if err := helps(err.Error(), tc.names); err != nil {
				t.Error(err)
			}
		})
	}
}
