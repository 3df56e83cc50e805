package admission

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestThreat08DaemonSets(t *testing.T)                   { face(t) }
func TestThreatsSmuggledThroughOtherTemplates(t *testing.T) { face(t) }

// smuggled is a field that a template can carry past a policy that checks only its author.
type smuggled struct {
	what  string
	pod   podOption
	names []string
}

func smuggledFields() []smuggled {
	return []smuggled{
		{"another tenant", labelled(tenant("globex")), []string{tenantKey}},
		{"another data class", labelled(dataClass("nonsense")), []string{dataClassKey}},
		{"a toleration of everything", tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}), []string{"spec.tolerations"}},
		{"another scheduler", scheduledBy("another-scheduler"), []string{"spec.schedulerName"}},
		{"a grace period of none", graceSeconds(0), []string{"spec.terminationGracePeriodSeconds"}},
		{"a configuration of its virtual machine", annotated(kataPath, "/bin/sh"), []string{kataPath}},
	}
}

func daemonSets() threat {
	row := threat{test: "TestThreat08DaemonSets"}
	for _, c := range smuggledFields() {
		row.attacks = append(row.attacks, through("a DaemonSet", (*scene).daemonSet, c))
	}
	return row
}

func templates() threat {
	row := threat{test: "TestThreatsSmuggledThroughOtherTemplates"}
	for _, c := range append(smuggledFields(), smuggled{"a node", onNode(attackedNode), []string{"spec.nodeName"}}) {
		row.attacks = append(row.attacks, through("a Deployment", (*scene).deployment, c))
	}
	for kind, make := range map[string]func(s *scene, namespace string, template corev1.PodTemplateSpec) error{
		"a StatefulSet": (*scene).statefulSet, "a Job": (*scene).job, "a CronJob": (*scene).cronJob,
	} {
		for _, c := range smuggledFields()[:3] {
			row.attacks = append(row.attacks, through(kind, make, c))
		}
	}
	return row
}

// through has a controller create a pod, and returns the answer that the controller got.
func through(kind string, workload func(s *scene, namespace string, template corev1.PodTemplateSpec) error, c smuggled) attack {
	return attack{
		name: fmt.Sprintf("%s smuggles %s", kind, c.what), names: c.names, indirect: true,
		run: func(s *scene) error {
			namespace := s.managed()
			if err := workload(s, namespace, templateOf(c.pod)); err != nil {
				return err
			}
			err := s.awaitPod(namespace)
			// No controller goes on trying.
			s.must(s.admin.CoreV1().Namespaces().Delete(s.ctx, namespace, metav1.DeleteOptions{}))
			return err
		},
	}
}

// appLabel selects the pods of a workload.
var appLabel = label{"app", "workload"}

func templateOf(options ...podOption) corev1.PodTemplateSpec {
	pod := newPod(append(options, labelled(appLabel), scheduledByDefault)...)
	pod.Name = ""
	return corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
}

// scheduledByDefault leaves the scheduler's name to the API server, unless it is what the
// template is about.
func scheduledByDefault(p *corev1.Pod) {
	if p.Spec.SchedulerName == schedulerName {
		p.Spec.SchedulerName = ""
	}
}

func workloadMeta() metav1.ObjectMeta { return metav1.ObjectMeta{Name: "workload"} }

func selector() *metav1.LabelSelector { return &metav1.LabelSelector{MatchLabels: labels(appLabel)} }

func (s *scene) deployment(namespace string, template corev1.PodTemplateSpec) error {
	_, err := s.as(editor).AppsV1().Deployments(namespace).Create(s.ctx, &appsv1.Deployment{
		ObjectMeta: workloadMeta(),
		Spec:       appsv1.DeploymentSpec{Selector: selector(), Template: template},
	}, metav1.CreateOptions{})
	return err
}

func (s *scene) statefulSet(namespace string, template corev1.PodTemplateSpec) error {
	_, err := s.as(editor).AppsV1().StatefulSets(namespace).Create(s.ctx, &appsv1.StatefulSet{
		ObjectMeta: workloadMeta(),
		Spec:       appsv1.StatefulSetSpec{Selector: selector(), Template: template},
	}, metav1.CreateOptions{})
	return err
}

// daemonSet runs on one node that is ready.
func (s *scene) daemonSet(namespace string, template corev1.PodTemplateSpec) error {
	if template.Spec.NodeSelector == nil {
		template.Spec.NodeSelector = map[string]string{corev1.LabelHostname: livingNode}
	}
	_, err := s.as(editor).AppsV1().DaemonSets(namespace).Create(s.ctx, &appsv1.DaemonSet{
		ObjectMeta: workloadMeta(),
		Spec:       appsv1.DaemonSetSpec{Selector: selector(), Template: template},
	}, metav1.CreateOptions{})
	return err
}

func (s *scene) job(namespace string, template corev1.PodTemplateSpec) error {
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := s.as(editor).BatchV1().Jobs(namespace).Create(s.ctx, &batchv1.Job{
		ObjectMeta: workloadMeta(),
		Spec:       batchv1.JobSpec{Template: template},
	}, metav1.CreateOptions{})
	return err
}

// cronJob has missed its year, and so runs at once, and not again.
func (s *scene) cronJob(namespace string, template corev1.PodTemplateSpec) error {
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	made, err := s.as(editor).BatchV1().CronJobs(namespace).Create(s.ctx, &batchv1.CronJob{
		ObjectMeta: workloadMeta(),
		Spec: batchv1.CronJobSpec{
			Schedule:    "@yearly",
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.ResourceVersion = ""
	made.Status.LastScheduleTime = ptr.To(metav1.NewTime(time.Now().AddDate(-1, -1, 0)))
	_, err = s.admin.BatchV1().CronJobs(namespace).UpdateStatus(s.ctx, made, metav1.UpdateOptions{})
	s.must(err)
	return nil
}

// awaitPod waits until a controller has created a pod in the namespace, or got the reason why
// it may not.
func (s *scene) awaitPod(namespace string) error {
	var refusal error
	err := poll(s.ctx, func(ctx context.Context) (bool, error) {
		pods, err := s.admin.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil || len(pods.Items) > 0 {
			return err == nil, err
		}
		events, err := s.admin.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
		if err != nil || len(events.Items) == 0 {
			return false, err
		}
		refusal = errors.New(events.Items[0].Message)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("no controller has tried: %w", err)
	}
	return refusal
}
