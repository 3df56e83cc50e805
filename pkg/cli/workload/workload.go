// Package workload finds Deployments and the like by their names in a live cluster, and the pods that are theirs,
// with no more than the rights that a tenant has in its namespace.
package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/pkg/cli/inventory"
)

// Pod is the kind of a pod, as users write it.
const Pod = "pod"

// kinds are the kinds of workloads, and what kubectl takes for them.
var kinds = []struct {
	kind  string
	names []string
	get   func(context.Context, kubernetes.Interface, string, string) (runtime.Object, error)
}{
	{"deployment", []string{"deployments", "deploy"}, func(ctx context.Context, c kubernetes.Interface, namespace, name string) (runtime.Object, error) {
		return c.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	}},
	{"statefulset", []string{"statefulsets", "sts"}, func(ctx context.Context, c kubernetes.Interface, namespace, name string) (runtime.Object, error) {
		return c.AppsV1().StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
	}},
	{"daemonset", []string{"daemonsets", "ds"}, func(ctx context.Context, c kubernetes.Interface, namespace, name string) (runtime.Object, error) {
		return c.AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{})
	}},
	{"replicaset", []string{"replicasets", "rs"}, func(ctx context.Context, c kubernetes.Interface, namespace, name string) (runtime.Object, error) {
		return c.AppsV1().ReplicaSets(namespace).Get(ctx, name, metav1.GetOptions{})
	}},
	{"job", []string{"jobs"}, func(ctx context.Context, c kubernetes.Interface, namespace, name string) (runtime.Object, error) {
		return c.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
	}},
	{"cronjob", []string{"cronjobs", "cj"}, func(ctx context.Context, c kubernetes.Interface, namespace, name string) (runtime.Object, error) {
		return c.BatchV1().CronJobs(namespace).Get(ctx, name, metav1.GetOptions{})
	}},
	{"replicationcontroller", []string{"replicationcontrollers", "rc"}, func(ctx context.Context, c kubernetes.Interface, namespace, name string) (runtime.Object, error) {
		return c.CoreV1().ReplicationControllers(namespace).Get(ctx, name, metav1.GetOptions{})
	}},
}

// Parse splits "kind/name". The kind is the one that this package uses, empty if there is none.
func Parse(wanted string) (kind, name string) {
	kind, name, found := strings.Cut(wanted, "/")
	if !found {
		return "", wanted
	}
	// A resource may be written with its group.
	kind, _, _ = strings.Cut(strings.ToLower(kind), ".")
	switch kind {
	case "po", "pods":
		return Pod, name
	}
	for _, k := range kinds {
		if slices.Contains(k.names, kind) {
			return k.kind, name
		}
	}
	return kind, name
}

// Known reports whether a kind creates pods, or is a pod.
func Known(kind string) bool {
	for _, k := range kinds {
		if k.kind == kind {
			return true
		}
	}
	return kind == Pod || kind == ""
}

// Kinds are the kinds that may be named.
func Kinds() []string {
	all := []string{Pod}
	for _, k := range kinds {
		all = append(all, k.kind)
	}
	return all
}

// Found is a workload of a cluster.
type Found struct {
	inventory.Workload
	// UIDs are those of the workload, and of what it has its pods made by: name by UID.
	UIDs map[types.UID]string
}

// Name is "deployment/web".
func (f *Found) Name() string { return strings.ToLower(f.Kind) + "/" + f.Pod.Name }

// Pods returns those of the pods that the workload has made.
func (f *Found) Pods(all []*v1.Pod) []*v1.Pod {
	var own []*v1.Pod
	for _, pod := range all {
		if owner := metav1.GetControllerOf(pod); owner != nil && f.UIDs[owner.UID] != "" {
			own = append(own, pod)
		}
	}
	return own
}

// Find returns the workloads of a name, of one kind or of any. Kinds that the user may not read are left out, unless
// one of them is asked for.
func Find(ctx context.Context, client kubernetes.Interface, namespace, kind, name string) ([]Found, error) {
	var found []Found
	for _, k := range kinds {
		if kind != "" && kind != k.kind {
			continue
		}
		object, err := k.get(ctx, client, namespace, name)
		switch {
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err) && kind == "":
			continue
		case err != nil:
			return nil, fmt.Errorf("reading %s/%s: %w", k.kind, name, err)
		}
		f, err := read(ctx, client, object)
		if err != nil {
			return nil, err
		}
		found = append(found, *f)
	}
	return found, nil
}

func read(ctx context.Context, client kubernetes.Interface, object runtime.Object) (*Found, error) {
	meta, ok := object.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%T has no name", object)
	}
	// One that belongs to another would be left out of files, where both are.
	meta.SetOwnerReferences(nil)
	w, ok := inventory.WorkloadOf(object)
	if !ok {
		return nil, fmt.Errorf("%s has no template for pods", meta.GetName())
	}
	f := &Found{w, map[types.UID]string{meta.GetUID(): meta.GetName()}}
	switch object.(type) {
	case *appsv1.Deployment:
		sets, err := client.AppsV1().ReplicaSets(meta.GetNamespace()).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading the ReplicaSets of deployment/%s: %w", meta.GetName(), err)
		}
		for i := range sets.Items {
			f.add(&sets.Items[i], meta.GetUID())
		}
	case *batchv1.CronJob:
		jobs, err := client.BatchV1().Jobs(meta.GetNamespace()).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading the Jobs of cronjob/%s: %w", meta.GetName(), err)
		}
		for i := range jobs.Items {
			f.add(&jobs.Items[i], meta.GetUID())
		}
	}
	return f, nil
}

func (f *Found) add(child metav1.Object, of types.UID) {
	if owner := metav1.GetControllerOf(child); owner != nil && owner.UID == of {
		f.UIDs[child.GetUID()] = child.GetName()
	}
}
