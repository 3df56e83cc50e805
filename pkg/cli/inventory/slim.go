package inventory

import (
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/cluster"
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
		if o.Spec.NodeName != "" {
			// A pod that waits is looked at as a whole.
			slimSpec(&o.Spec)
		}
		status := v1.PodStatus{
			Phase: o.Status.Phase, StartTime: o.Status.StartTime, NominatedNodeName: o.Status.NominatedNodeName,
			Conditions: unscheduled(o.Status.Conditions), ResourceClaimStatuses: o.Status.ResourceClaimStatuses,
		}
		if cluster.Hidden(o) {
			// One will do.
			status.ContainerStatuses = []v1.ContainerStatus{{State: v1.ContainerState{Running: &v1.ContainerStateRunning{}}}}
		}
		o.Status = status
	case *v1.Node:
		o.Status.Images, o.Status.Conditions = nil, nil
	}
}

// unscheduled returns what a scheduler says of a pod that it could not place.
func unscheduled(conditions []v1.PodCondition) []v1.PodCondition {
	for i := range conditions {
		if conditions[i].Type == v1.PodScheduled && conditions[i].Status == v1.ConditionFalse {
			return conditions[i : i+1 : i+1]
		}
	}
	return nil
}

func slimSpec(spec *v1.PodSpec) {
	for _, containers := range [][]v1.Container{spec.Containers, spec.InitContainers} {
		for i := range containers {
			c := &containers[i]
			c.Env, c.EnvFrom, c.Command, c.Args, c.VolumeMounts = nil, nil, nil, nil, nil
		}
	}
}
