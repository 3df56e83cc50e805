package inforce

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// Follower is the newest known version of one IsolationPolicy.
type Follower struct {
	name     string
	informer cache.SharedIndexInformer
}

// NewFollower returns a follower of the IsolationPolicy of this name. Run starts it.
func NewFollower(client dynamic.Interface, name string) *Follower {
	only := func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(client, v1alpha1.Resource, metav1.NamespaceAll, 0, cache.Indexers{}, only)
	return &Follower{name: name, informer: informer.Informer()}
}

// Run follows the object until the context ends.
func (f *Follower) Run(ctx context.Context) { f.informer.RunWithContext(ctx) }

// OnChange has changed called after each change of the object, with nil if it is gone.
func (f *Follower) OnChange(logger klog.Logger, changed func(*v1alpha1.IsolationPolicy)) error {
	call := func(obj any) {
		policy, err := decode(obj)
		if err != nil {
			// What cannot be read is not in force.
			logger.Error(err, "Reading the IsolationPolicy failed", "name", f.name)
		}
		changed(policy)
	}
	_, err := f.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    call,
		UpdateFunc: func(_, obj any) { call(obj) },
		DeleteFunc: func(any) { changed(nil) },
	})
	return err
}

// Policy returns the object, nil if there is none that can be read.
func (f *Follower) Policy() *v1alpha1.IsolationPolicy {
	obj, exists, err := f.informer.GetStore().GetByKey(f.name)
	if err != nil || !exists {
		return nil
	}
	policy, err := decode(obj)
	if err != nil {
		return nil
	}
	return policy
}

func decode(obj any) (*v1alpha1.IsolationPolicy, error) {
	object, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("want an object, got %T", obj)
	}
	policy := &v1alpha1.IsolationPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, policy); err != nil {
		return nil, err
	}
	return policy, nil
}
