package reach

import (
	"context"
	"errors"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/scheduler"
)

// objects serves the cluster to the plugins. Kinds that the tool does not read are empty.
type objects struct {
	client  *fake.Clientset
	factory informers.SharedInformerFactory

	mu sync.Mutex
	// handlers have to have seen every object before the plugins know them.
	handlers []cache.ResourceEventHandlerRegistration
}

func newObjects(c *Cluster) *objects {
	o := &objects{client: fake.NewClientset()}
	o.factory = scheduler.NewInformerFactory(o.client, 0, nil)
	serve(o, &v1.Namespace{}, &v1.NamespaceList{Items: values(c.Namespaces)})
	serve(o, &v1.PersistentVolumeClaim{}, &v1.PersistentVolumeClaimList{Items: values(c.settled(c.PVCs))})
	serve(o, &v1.PersistentVolume{}, &v1.PersistentVolumeList{Items: values(c.available(c.Volumes))})
	serve(o, &storagev1.StorageClass{}, &storagev1.StorageClassList{Items: values(c.StorageClasses)})
	serve(o, &v1.Node{}, &v1.NodeList{Items: values(c.Nodes)})
	// The plugins see the pods in the snapshot.
	serve(o, &v1.Pod{}, &v1.PodList{})
	return o
}

func values[T any](list []*T) []T {
	all := make([]T, 0, len(list))
	for _, object := range list {
		all = append(all, *object)
	}
	return all
}

// serve makes the informer of a kind, with these objects.
func serve(o *objects, kind, list runtime.Object) {
	o.factory.InformerFor(kind, func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer {
		source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
			ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) { return list, nil },
			WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
				return watch.NewFake(), nil
			},
		}, o.client)
		return &counted{cache.NewSharedIndexInformer(source, kind, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}), o}
	})
}

// counted is an informer that knows its handlers.
type counted struct {
	cache.SharedIndexInformer
	objects *objects
}

// AddEventHandler adds a handler that start waits for.
func (c *counted) AddEventHandler(handler cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	return c.AddEventHandlerWithOptions(handler, cache.HandlerOptions{})
}

// AddEventHandlerWithResyncPeriod adds a handler that start waits for.
func (c *counted) AddEventHandlerWithResyncPeriod(handler cache.ResourceEventHandler, _ time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	return c.AddEventHandlerWithOptions(handler, cache.HandlerOptions{})
}

// AddEventHandlerWithOptions adds a handler that start waits for.
func (c *counted) AddEventHandlerWithOptions(handler cache.ResourceEventHandler, options cache.HandlerOptions) (cache.ResourceEventHandlerRegistration, error) {
	registration, err := c.SharedIndexInformer.AddEventHandlerWithOptions(handler, options)
	if err == nil {
		c.objects.mu.Lock()
		defer c.objects.mu.Unlock()
		c.objects.handlers = append(c.objects.handlers, registration)
	}
	return registration, err
}

// start returns once every plugin knows every object.
func (o *objects) start(ctx context.Context) error {
	o.factory.Start(ctx.Done())
	o.factory.WaitForCacheSync(ctx.Done())
	o.mu.Lock()
	defer o.mu.Unlock()
	synced := make([]cache.InformerSynced, 0, len(o.handlers))
	for _, handler := range o.handlers {
		synced = append(synced, handler.HasSynced)
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return errors.Join(ctx.Err(), errors.New("interrupted"))
	}
	return nil
}
