package inventory

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
)

// isPart reports whether something that makes pods is a part of an object, such as a patch of kustomize: it has no
// containers, or one without an image.
func isPart(of object) bool {
	switch o := of.(type) {
	case *v1.Pod:
		// One on a node is a pod, whatever was cut out of the file.
		return len(o.Spec.Containers) == 0 && o.Spec.NodeName == ""
	case *v1.ReplicationController:
		return o.Spec.Template == nil || isPartOfTemplate(o.Spec.Template)
	case *appsv1.Deployment:
		return isPartOfTemplate(&o.Spec.Template)
	case *appsv1.StatefulSet:
		return isPartOfTemplate(&o.Spec.Template)
	case *appsv1.DaemonSet:
		return isPartOfTemplate(&o.Spec.Template)
	case *appsv1.ReplicaSet:
		return isPartOfTemplate(&o.Spec.Template)
	case *batchv1.Job:
		return isPartOfTemplate(&o.Spec.Template)
	case *batchv1.CronJob:
		return isPartOfTemplate(&o.Spec.JobTemplate.Spec.Template)
	}
	return false
}

func isPartOfTemplate(template *v1.PodTemplateSpec) bool {
	hasNoImage := func(c v1.Container) bool { return c.Image == "" }
	return len(template.Spec.Containers) == 0 || slices.ContainsFunc(template.Spec.Containers, hasNoImage) || slices.ContainsFunc(template.Spec.InitContainers, hasNoImage)
}

// lacksSelector reports whether something is a patch that adds a container, or a base to which kustomize adds the
// selector. What else is in the input tells them apart.
func lacksSelector(of object) bool {
	switch o := of.(type) {
	case *appsv1.Deployment:
		return o.Spec.Selector == nil
	case *appsv1.StatefulSet:
		return o.Spec.Selector == nil
	case *appsv1.DaemonSet:
		return o.Spec.Selector == nil
	case *appsv1.ReplicaSet:
		return o.Spec.Selector == nil
	}
	return false
}

// settle adds the objects, in the order of the input, and those that lack a selector, but those of which the input has a
// whole one. Of several the largest is taken for the base, and the others for its patches.
func (c *collector) settle() {
	for _, batch := range c.objects {
		for _, object := range batch {
			c.inv.add(object)
		}
	}
	key := func(w *Workload) string { return w.Kind + " " + w.Pod.Namespace + "/" + w.Pod.Name }
	whole := map[string]bool{}
	for i := range c.inv.Workloads {
		whole[key(&c.inv.Workloads[i])] = true
	}
	slices.SortFunc(c.unselecting, func(a, b decoded) int { return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.at, b.at)) })
	for _, d := range c.unselecting {
		w, makesPods := WorkloadOf(d.object)
		if makesPods && whole[key(&w)] {
			c.parts = append(c.parts, d.at)
			continue
		}
		whole[key(&w)] = true
		c.count++
		c.inv.add(d.object)
	}
}
