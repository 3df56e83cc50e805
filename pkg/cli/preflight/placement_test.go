package preflight

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

func avoiding(term v1.PodAffinityTerm) v1.PodSpec {
	return v1.PodSpec{Affinity: &v1.Affinity{PodAntiAffinity: &v1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []v1.PodAffinityTerm{term},
	}}}
}

func TestPlacement(t *testing.T) {
	everywhere := avoiding(v1.PodAffinityTerm{TopologyKey: v1.LabelOSStable, NamespaceSelector: &metav1.LabelSelector{}})
	within := avoiding(v1.PodAffinityTerm{TopologyKey: v1.LabelHostname, Namespaces: []string{"web"}, NamespaceSelector: &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: tenantLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{"acme"}}},
	}})
	in := func(namespace string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: "workload"}
	}
	template := func(spec v1.PodSpec) v1.PodTemplateSpec { return v1.PodTemplateSpec{Spec: spec} }
	for name, tc := range map[string]struct {
		object runtime.Object
		pod    *v1.Pod
		status Status
		says   string
	}{
		"a Deployment that stays within its tenant": {
			object: &appsv1.Deployment{ObjectMeta: in("web"), Spec: appsv1.DeploymentSpec{Template: template(within)}}, status: Pass,
		},
		"a Deployment that reaches out": {
			object: &appsv1.Deployment{ObjectMeta: in("web"), Spec: appsv1.DeploymentSpec{Template: template(everywhere)}},
			status: Fail, says: "Deployment web/workload (spec.affinity)",
		},
		"a StatefulSet that asks for dedicated nodes": {
			object: &appsv1.StatefulSet{ObjectMeta: in("web"), Spec: appsv1.StatefulSetSpec{
				Template: template(v1.PodSpec{NodeSelector: map[string]string{tenantLabel: "acme"}}),
			}},
			status: Fail, says: "StatefulSet web/workload (spec.nodeSelector",
		},
		"a CronJob of the system's priority": {
			object: &batchv1.CronJob{ObjectMeta: in("web"), Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{
				Spec: batchv1.JobSpec{Template: template(v1.PodSpec{PriorityClassName: "system-node-critical"})},
			}}},
			status: Fail, says: "CronJob web/workload (spec.priorityClassName)",
		},
		"a pod without a controller": {pod: &v1.Pod{ObjectMeta: in("web"), Spec: everywhere}, status: Fail, says: "Pod web/workload"},
		"a template without a tenant": {
			object: &appsv1.DaemonSet{ObjectMeta: in("agents"), Spec: appsv1.DaemonSetSpec{Template: template(everywhere)}}, status: Pass,
		},
		"a pod without a tenant that avoids all others": {
			pod: &v1.Pod{ObjectMeta: in("agents"), Spec: everywhere}, status: Warn, says: "agents/workload",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := clusterOf(tc.pod, tc.object)
			got, err := c.placement(t.Context())
			if err != nil || len(got) != 1 || got[0].Status != tc.status || !strings.Contains(got[0].Says, tc.says) {
				t.Errorf("results %+v, error %v, want one that is %s and says %q", got, err, tc.status, tc.says)
			}
		})
	}
}

// clusterOf has a tenant's namespace web, one called agents without a tenant, and the pod and the object if
// there are any.
func clusterOf(pod *v1.Pod, object runtime.Object) *Checker {
	c := &Checker{
		Client: fake.NewClientset(),
		Namespaces: []*v1.Namespace{
			{ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{tenantLabel: "acme"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "agents"}},
		},
	}
	if object != nil {
		c.Client = fake.NewClientset(object)
	}
	if pod != nil {
		c.Pods = []*v1.Pod{pod}
	}
	return c
}
