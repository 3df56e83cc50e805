package inventory

import (
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lastApplied is a copy of the object within itself.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// slim drops long parts that neither the rule nor the tool reads. It lists what is dropped, not what is
// kept, so that a new field of a spec is read.
func slim(object metav1.Object) {
	object.SetManagedFields(nil)
	delete(object.GetAnnotations(), lastApplied)
	switch o := object.(type) {
	case *v1.Pod:
		slimSpec(&o.Spec)
		o.Status = v1.PodStatus{Phase: o.Status.Phase, StartTime: o.Status.StartTime, NominatedNodeName: o.Status.NominatedNodeName}
	case *v1.Node:
		o.Status.Images, o.Status.Conditions = nil, nil
	}
}

func slimSpec(spec *v1.PodSpec) {
	for _, containers := range [][]v1.Container{spec.Containers, spec.InitContainers} {
		for i := range containers {
			c := &containers[i]
			c.Env, c.EnvFrom, c.Command, c.Args, c.VolumeMounts = nil, nil, nil, nil, nil
		}
	}
}
