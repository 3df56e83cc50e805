package simulation

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/utils/ptr"
)

// owner is a workload, the source of pods.
type owner struct {
	kind     string
	meta     metav1.ObjectMeta
	template corev1.PodTemplateSpec
	replicas int32
	// object is what the scheduler reads to spread the pods, nil if nothing.
	object runtime.Object
}

// addWorkload expands a workload into its pods, as its controller would.
func (l *loader) addWorkload(d document, object runtime.Object) error {
	o := owner{kind: d.object.GetKind(), object: object}
	switch w := object.(type) {
	case *appsv1.Deployment:
		o.meta, o.template, o.replicas = w.ObjectMeta, w.Spec.Template, ptr.Deref(w.Spec.Replicas, 1)
		// Pods of a Deployment belong to its ReplicaSet.
		o.kind = "ReplicaSet"
		o.object = &appsv1.ReplicaSet{ObjectMeta: w.ObjectMeta, Spec: appsv1.ReplicaSetSpec{Selector: w.Spec.Selector, Template: w.Spec.Template}}
	case *appsv1.ReplicaSet:
		o.meta, o.template, o.replicas = w.ObjectMeta, w.Spec.Template, ptr.Deref(w.Spec.Replicas, 1)
	case *appsv1.StatefulSet:
		o.meta, o.template, o.replicas = w.ObjectMeta, w.Spec.Template, ptr.Deref(w.Spec.Replicas, 1)
	case *corev1.ReplicationController:
		if w.Spec.Template == nil {
			return d.fault("spec.template", "is missing")
		}
		o.meta, o.template, o.replicas = w.ObjectMeta, *w.Spec.Template, ptr.Deref(w.Spec.Replicas, 1)
	case *batchv1.Job:
		o.meta, o.template, o.replicas = w.ObjectMeta, w.Spec.Template, jobReplicas(w)
		o.object = nil
	}
	if o.replicas < 0 {
		return d.fault("spec.replicas", "is %d, below zero", o.replicas)
	}
	if len(o.template.Spec.Containers) == 0 {
		return d.fault("spec.template.spec.containers", "is empty")
	}
	if o.meta.Namespace == "" {
		o.meta.Namespace = corev1.NamespaceDefault
	}
	if owner, ok := o.object.(metav1.Object); ok {
		owner.SetNamespace(o.meta.Namespace)
		l.cluster.Others = append(l.cluster.Others, o.object)
	}
	for i := range o.replicas {
		l.addPod(o.pod(fmt.Sprintf("%s-%d", o.meta.Name, i)))
	}
	return nil
}

// jobReplicas is how many pods of a Job run at once.
func jobReplicas(job *batchv1.Job) int32 {
	if ptr.Deref(job.Spec.Suspend, false) {
		return 0
	}
	n := ptr.Deref(job.Spec.Parallelism, 1)
	if job.Spec.Completions != nil {
		n = min(n, *job.Spec.Completions)
	}
	return n
}

func (o *owner) pod(name string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: *o.template.ObjectMeta.DeepCopy(), Spec: *o.template.Spec.DeepCopy()}
	pod.Name, pod.GenerateName, pod.Namespace = name, "", o.meta.Namespace
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: o.kind, Name: o.meta.Name, UID: "owner", Controller: ptr.To(true)}}
	return pod
}

func (l *loader) addPod(pod *corev1.Pod) {
	if pod.Namespace == "" {
		pod.Namespace = corev1.NamespaceDefault
	}
	pod.UID = types.UID("uid-" + pod.Namespace + "/" + pod.Name)
	pod.ResourceVersion = ""
	l.cluster.Pods = append(l.cluster.Pods, pod)
}

// expandDaemons adds a pod for each node that a DaemonSet selects. They come first, as they
// run on a node from its start.
func (l *loader) expandDaemons() {
	rest := l.cluster.Pods
	l.cluster.Pods = nil
	for _, set := range l.daemons {
		o := owner{kind: "DaemonSet", meta: set.ObjectMeta, template: set.Spec.Template}
		if o.meta.Namespace == "" {
			o.meta.Namespace = corev1.NamespaceDefault
		}
		for _, node := range l.cluster.Nodes {
			pod := o.pod(set.Name + "-" + node.Name)
			if matches, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !matches {
				continue
			}
			pinTo(pod, node.Name)
			l.addPod(pod)
		}
	}
	l.cluster.Pods = append(l.cluster.Pods, rest...)
}

// pinTo binds the pod to the node by affinity, as the DaemonSet controller does.
func pinTo(pod *corev1.Pod, node string) {
	if pod.Spec.Affinity == nil {
		pod.Spec.Affinity = &corev1.Affinity{}
	}
	if pod.Spec.Affinity.NodeAffinity == nil {
		pod.Spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}}}},
	}
	pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: corev1.TaintNodeUnschedulable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
}

// pinnedTo returns the node of a DaemonSet's pod.
func pinnedTo(pod *corev1.Pod) (string, bool) {
	affinity := pod.Spec.Affinity
	if affinity == nil || affinity.NodeAffinity == nil || affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return "", false
	}
	terms := affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 1 || len(terms[0].MatchFields) != 1 || len(terms[0].MatchFields[0].Values) != 1 {
		return "", false
	}
	return terms[0].MatchFields[0].Values[0], terms[0].MatchFields[0].Key == metav1.ObjectNameField
}
