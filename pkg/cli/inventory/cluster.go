package inventory

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// pageSize is the number of objects in a request, as in kubectl.
const pageSize = 500

// Fetch reads a live cluster, and writes nothing. Progress, if not nil, is called with the
// number of objects read so far.
func Fetch(ctx context.Context, client kubernetes.Interface, progress func(objects int)) (*Inventory, error) {
	inv := &Inventory{Source: "cluster", Versions: map[string]string{}}
	f := fetcher{ctx: ctx, client: client, inv: inv, progress: progress}
	if version, err := client.Discovery().ServerVersion(); err == nil {
		inv.Server = version.GitVersion
	}
	// Pods first: a namespace or node that is created later has none of them.
	err := f.need("pods", "the placement of pods is unknown", func(o metav1.ListOptions) (metav1.ListInterface, error) {
		list, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, o)
		if err == nil {
			for _, pod := range pointers(list.Items) {
				slim(pod)
				inv.Pods = append(inv.Pods, pod)
			}
		}
		return list, err
	})
	if err != nil {
		return nil, err
	}
	err = f.need("namespaces", "the tenant of every pod is unknown", func(o metav1.ListOptions) (metav1.ListInterface, error) {
		list, err := client.CoreV1().Namespaces().List(ctx, o)
		if err == nil {
			inv.Namespaces = append(inv.Namespaces, pointers(list.Items)...)
		}
		return list, err
	})
	if err != nil {
		return nil, err
	}
	err = f.need("nodes", "the machines are unknown", func(o metav1.ListOptions) (metav1.ListInterface, error) {
		list, err := client.CoreV1().Nodes().List(ctx, o)
		if err == nil {
			for _, node := range pointers(list.Items) {
				slim(node)
				inv.Nodes = append(inv.Nodes, node)
			}
		}
		return list, err
	})
	if err != nil {
		return nil, err
	}
	err = f.need("runtimeclasses.node.k8s.io", "it is unknown which pods are in a VM", func(o metav1.ListOptions) (metav1.ListInterface, error) {
		list, err := client.NodeV1().RuntimeClasses().List(ctx, o)
		if err == nil {
			inv.RuntimeClasses = append(inv.RuntimeClasses, pointers(list.Items)...)
		}
		return list, err
	})
	if err != nil {
		return nil, err
	}
	if err := f.volumes(client); err != nil {
		return nil, err
	}
	inv.sort()
	return inv, inv.check()
}

type fetcher struct {
	ctx      context.Context
	client   kubernetes.Interface
	inv      *Inventory
	progress func(int)
	objects  int
}

// volumes reads PVCs and their volumes. Without the right to read them, PVCs count as
// directories of the host, which is the worst case.
func (f *fetcher) volumes(client kubernetes.Interface) error {
	for _, list := range []struct {
		resource string
		page     func(metav1.ListOptions) (metav1.ListInterface, error)
	}{
		{"persistentvolumeclaims", func(o metav1.ListOptions) (metav1.ListInterface, error) {
			list, err := client.CoreV1().PersistentVolumeClaims(metav1.NamespaceAll).List(f.ctx, o)
			if err == nil {
				f.inv.PVCs = append(f.inv.PVCs, pointers[v1.PersistentVolumeClaim](list.Items)...)
			}
			return list, err
		}},
		{"persistentvolumes", func(o metav1.ListOptions) (metav1.ListInterface, error) {
			list, err := client.CoreV1().PersistentVolumes().List(f.ctx, o)
			if err == nil {
				f.inv.Volumes = append(f.inv.Volumes, pointers[v1.PersistentVolume](list.Items)...)
			}
			return list, err
		}},
		{"storageclasses.storage.k8s.io", func(o metav1.ListOptions) (metav1.ListInterface, error) {
			list, err := client.StorageV1().StorageClasses().List(f.ctx, o)
			if err == nil {
				f.inv.StorageClasses = append(f.inv.StorageClasses, pointers[storagev1.StorageClass](list.Items)...)
			}
			return list, err
		}},
	} {
		err := f.list(list.resource, list.page)
		if apierrors.IsForbidden(err) {
			f.inv.Unread = append(f.inv.Unread, fmt.Sprintf("no right to list %s, so it is unknown who shares their files", list.resource))
			f.inv.Warnings = append(f.inv.Warnings, fmt.Sprintf(
				"no right to list %s: PVCs count as directories of the host, so pods that mount them count as containers", list.resource))
			continue
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", list.resource, err)
		}
	}
	return nil
}

// need lists a resource that every answer needs. An error says what is unknown without it.
func (f *fetcher) need(resource, without string, page func(metav1.ListOptions) (metav1.ListInterface, error)) error {
	err := f.list(resource, page)
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("no right to list %s, so %s: %w\n"+
			"Ask an administrator for the right:\n"+
			"  kubectl create clusterrole tenant-isolation-reader --verb=get,list --resource=nodes,namespaces,pods,"+
			"persistentvolumeclaims,persistentvolumes,runtimeclasses.node.k8s.io,storageclasses.storage.k8s.io%s\n"+
			"  kubectl create clusterrolebinding tenant-isolation-reader --clusterrole=tenant-isolation-reader --user=YOU\n"+
			"or for the output of `kubectl get nodes,ns,pods,runtimeclasses,pvc,pv,sc -A -o json`, and read that with -f", resource, without, err, f.policies())
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", resource, err)
	}
	return nil
}

// ServesPolicies reports whether an API server has IsolationPolicies. Every user may ask it that.
func ServesPolicies(client kubernetes.Interface) bool {
	_, err := client.Discovery().ServerResourcesForGroupVersion(v1alpha1.SchemeGroupVersion.String())
	return !apierrors.IsNotFound(err)
}

// policies names IsolationPolicies, to be added to a list of resources where there are any: kubectl refuses what it does not
// know.
func (f *fetcher) policies() string {
	if !ServesPolicies(f.client) {
		return ""
	}
	return "," + v1alpha1.Resource.GroupResource().String()
}

func (f *fetcher) list(resource string, page func(metav1.ListOptions) (metav1.ListInterface, error)) error {
	options := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := page(options)
		if err != nil {
			return err
		}
		// All pages of a list have the same version.
		f.inv.Versions[resource] = list.GetResourceVersion()
		f.objects += pageSize
		if f.progress != nil {
			f.progress(f.objects)
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func pointers[T any](items []T) []*T {
	all := make([]*T, len(items))
	for i := range items {
		all[i] = &items[i]
	}
	return all
}
