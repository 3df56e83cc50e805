package inventory

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// pageSize is how many objects are asked for at a time: kubectl's own.
const pageSize = 500

// Fetch reads a live cluster. It writes nothing. Progress, if not nil, is called with how
// many objects have been read.
func Fetch(ctx context.Context, client kubernetes.Interface, progress func(objects int)) (*Inventory, error) {
	inv := &Inventory{Source: "cluster", Versions: map[string]string{}}
	f := fetcher{ctx: ctx, inv: inv, progress: progress}
	if version, err := client.Discovery().ServerVersion(); err == nil {
		inv.Server = version.GitVersion
	}
	// Pods first: a namespace or node that is made meanwhile has none of them.
	err := f.need("pods", "whose pods run where", func(o metav1.ListOptions) (metav1.ListInterface, error) {
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
	err = f.need("namespaces", "the tenant of a single pod", func(o metav1.ListOptions) (metav1.ListInterface, error) {
		list, err := client.CoreV1().Namespaces().List(ctx, o)
		if err == nil {
			inv.Namespaces = append(inv.Namespaces, pointers(list.Items)...)
		}
		return list, err
	})
	if err != nil {
		return nil, err
	}
	err = f.need("nodes", "which machines there are", func(o metav1.ListOptions) (metav1.ListInterface, error) {
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
	err = f.need("runtimeclasses.node.k8s.io", "which pods are in a VM", func(o metav1.ListOptions) (metav1.ListInterface, error) {
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
	inv      *Inventory
	progress func(int)
	objects  int
}

// volumes reads what is behind PVCs. Without it PVCs are taken for directories of the
// host, which is the worst that they can be.
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
			f.inv.Warnings = append(f.inv.Warnings, fmt.Sprintf(
				"no right to list %s: PVCs are taken for directories of the host, so that pods which mount them count as containers", list.resource))
			continue
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", list.resource, err)
		}
	}
	return nil
}

// need lists what no answer can do without.
func (f *fetcher) need(resource, knows string, page func(metav1.ListOptions) (metav1.ListInterface, error)) error {
	err := f.list(resource, page)
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("no right to list %s, without which nobody knows %s: %w\n"+
			"Ask for the ClusterRole in docs/kubectl/README.md, or have an administrator run "+
			"`kubectl get nodes,ns,pods,runtimeclasses,pvc,pv,sc -A -o json` and read its output with -f", resource, knows, err)
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", resource, err)
	}
	return nil
}

func (f *fetcher) list(resource string, page func(metav1.ListOptions) (metav1.ListInterface, error)) error {
	options := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := page(options)
		if err != nil {
			return err
		}
		// What every page of one list bears.
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
