package demo

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
)

const fieldManager = "tenant-isolation-demo"

// applier puts manifests on the cluster.
type applier struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
}

func newApplier(d *demo) (*applier, error) {
	dyn, err := dynamic.NewForConfig(d.plane.Admin())
	if err != nil {
		return nil, err
	}
	groups, err := restmapper.GetAPIGroupResources(d.client.Discovery())
	if err != nil {
		return nil, err
	}
	return &applier{client: d.client, dynamic: dyn, mapper: restmapper.NewDiscoveryRESTMapper(groups)}, nil
}

func (a *applier) mapping(o *unstructured.Unstructured) (*meta.RESTMapping, error) {
	gvk := o.GroupVersionKind()
	return a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
}

func (a *applier) namespaced(o *unstructured.Unstructured) bool {
	mapping, err := a.mapping(o)
	return err == nil && mapping.Scope.Name() == meta.RESTScopeNameNamespace
}

// served splits off objects that this control plane does not serve: without their operator, custom
// resources would create no pods anyway.
func (a *applier) served(all objects) (served objects, notes []string) {
	for _, o := range all {
		if _, err := a.mapping(o); err != nil {
			notes = append(notes, fmt.Sprintf("%s left out: this control plane does not serve %s", describe(o), o.GetAPIVersion()))
			continue
		}
		served = append(served, o)
	}
	return served, notes
}

func (a *applier) apply(ctx context.Context, d *demo, all objects) error {
	sortForApply(all)
	waited := map[string]bool{}
	for _, o := range all {
		// Admission refuses a bare pod as long as its namespace has no service account.
		if ns := o.GetNamespace(); o.GetKind() == "Pod" && !waited[ns] {
			if err := a.waitForServiceAccount(ctx, d, ns); err != nil {
				return err
			}
			waited[ns] = true
		}
		if err := a.applyOne(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", describe(o), err)
		}
	}
	return nil
}

func (a *applier) applyOne(ctx context.Context, o *unstructured.Unstructured) error {
	mapping, err := a.mapping(o)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = a.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = a.dynamic.Resource(mapping.Resource).Namespace(o.GetNamespace())
	}
	if o.GetName() == "" && o.GetGenerateName() != "" {
		_, err = resource.Create(ctx, o, metav1.CreateOptions{FieldManager: fieldManager})
		return err
	}
	_, err = resource.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

func (a *applier) waitForServiceAccount(ctx context.Context, d *demo, namespace string) error {
	return d.until(ctx, func(ctx context.Context) (bool, error) {
		_, err := a.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}
