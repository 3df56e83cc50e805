package preflight

import (
	"context"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// template is what a controller makes pods of.
type template struct {
	kind, namespace, name string
	spec                  *v1.PodSpec
}

// templates are those of all workloads of the cluster.
func (c *Checker) templates(ctx context.Context) ([]template, error) {
	var all []template
	add := func(kind string, meta *metav1.ObjectMeta, spec *v1.PodSpec) {
		all = append(all, template{kind, meta.Namespace, meta.Name, spec})
	}
	apps, batch := c.Client.AppsV1(), c.Client.BatchV1()
	deployments, err := apps.Deployments(metav1.NamespaceAll).List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	for i := range deployments.Items {
		add("Deployment", &deployments.Items[i].ObjectMeta, &deployments.Items[i].Spec.Template.Spec)
	}
	statefulSets, err := apps.StatefulSets(metav1.NamespaceAll).List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	for i := range statefulSets.Items {
		add("StatefulSet", &statefulSets.Items[i].ObjectMeta, &statefulSets.Items[i].Spec.Template.Spec)
	}
	daemonSets, err := apps.DaemonSets(metav1.NamespaceAll).List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	for i := range daemonSets.Items {
		add("DaemonSet", &daemonSets.Items[i].ObjectMeta, &daemonSets.Items[i].Spec.Template.Spec)
	}
	jobs, err := batch.Jobs(metav1.NamespaceAll).List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	for i := range jobs.Items {
		add("Job", &jobs.Items[i].ObjectMeta, &jobs.Items[i].Spec.Template.Spec)
	}
	cronJobs, err := batch.CronJobs(metav1.NamespaceAll).List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	for i := range cronJobs.Items {
		add("CronJob", &cronJobs.Items[i].ObjectMeta, &cronJobs.Items[i].Spec.JobTemplate.Spec.Template.Spec)
	}
	return all, nil
}
