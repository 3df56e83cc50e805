package reach

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

// Cluster is what the plugins look at. It is not changed.
type Cluster struct {
	Nodes          []*v1.Node
	Namespaces     []*v1.Namespace
	Pods           []*v1.Pod
	PVCs           []*v1.PersistentVolumeClaim
	Volumes        []*v1.PersistentVolume
	StorageClasses []*storagev1.StorageClass
	// Incomplete: the objects are of files. A node without resources has room, and a PVC that is missing
	// says nothing.
	Incomplete bool
}

// Obstacle is why a pod cannot be placed on a node.
type Obstacle struct {
	// Plugin is the one that refuses the node, Why what it says.
	Plugin string
	Why    string
}

// Plugins are the filters of the scheduler.
type Plugins struct {
	cluster   *Cluster
	framework framework.Framework
	snapshot  *cache.Snapshot
	stop      context.CancelFunc
}

// New starts the plugins of kube-scheduler's default profile. Close ends them.
func New(ctx context.Context, c *Cluster) (*Plugins, error) {
	configuration, err := latest.Default()
	if err != nil {
		return nil, err
	}
	profile := &configuration.Profiles[0]
	unused := []string{names.DynamicResources, names.DefaultPreemption}
	profile.Plugins.MultiPoint.Enabled = slices.DeleteFunc(profile.Plugins.MultiPoint.Enabled, func(p schedulerconfig.Plugin) bool {
		return slices.Contains(unused, p.Name)
	})
	profile.PluginConfig = slices.DeleteFunc(profile.PluginConfig, func(p schedulerconfig.PluginConfig) bool { return slices.Contains(unused, p.Name) })
	metrics.Register()
	// The plugins log what is their answer here.
	ctx, stop := context.WithCancel(klog.NewContext(ctx, klog.Logger{}))
	p := &Plugins{cluster: c, snapshot: cache.NewSnapshot(c.placed(), c.nodes()), stop: stop}
	objects := newObjects(c)
	p.framework, err = frameworkruntime.NewFramework(ctx, plugins.NewInTreeRegistry(), profile,
		frameworkruntime.WithClientSet(objects.client),
		frameworkruntime.WithInformerFactory(objects.factory),
		frameworkruntime.WithSharedCSIManager(nodevolumelimits.NewCSIManager(objects.factory.Storage().V1().CSINodes().Lister())),
		frameworkruntime.WithSnapshotSharedLister(p.snapshot),
		frameworkruntime.WithMutableSnapshotLister(p.snapshot),
		frameworkruntime.WithMetricsRecorder(metrics.NewMetricsAsyncRecorder(1, time.Hour, ctx.Done())),
	)
	if err == nil {
		err = objects.start(ctx)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("the scheduler's plugins: %w", err)
	}
	return p, nil
}

// Close ends the plugins.
func (p *Plugins) Close() { p.stop() }

// placed are the pods that take room on a node.
func (c *Cluster) placed() []*v1.Pod {
	known := map[string]bool{}
	for _, node := range c.Nodes {
		known[node.Name] = true
	}
	var on []*v1.Pod
	for _, pod := range c.Pods {
		if known[pod.Spec.NodeName] && pod.Status.Phase != v1.PodSucceeded && pod.Status.Phase != v1.PodFailed {
			on = append(on, pod)
		}
	}
	return on
}

// nodes gives nodes without resources some.
func (c *Cluster) nodes() []*v1.Node {
	nodes := slices.Clone(c.Nodes)
	for i, node := range nodes {
		if c.Incomplete && len(node.Status.Allocatable) == 0 {
			nodes[i] = node.DeepCopy()
			nodes[i].Status.Allocatable = v1.ResourceList{
				v1.ResourceCPU: resource.MustParse("1M"), v1.ResourceMemory: resource.MustParse("1Pi"),
				v1.ResourceEphemeralStorage: resource.MustParse("1Ei"), v1.ResourcePods: resource.MustParse("1M"),
			}
		}
	}
	return nodes
}

// Answer is what the plugins say of one pod.
type Answer struct {
	// Anywhere is why the pod can be placed nowhere, nil if that is not so.
	Anywhere *Obstacle
	// Obstacles are those of the nodes that the pod cannot be placed on.
	Obstacles map[string]Obstacle
	// NotCounted says what was left out, one sentence each.
	NotCounted []string
}

// Of returns the obstacle on a node.
func (a *Answer) Of(node string) (Obstacle, bool) {
	if a.Anywhere != nil {
		return *a.Anywhere, true
	}
	o, found := a.Obstacles[node]
	return o, found
}

// Ask asks the plugins about a pod, as if it were not placed yet. It is for one goroutine at a time.
func (p *Plugins) Ask(ctx context.Context, of *v1.Pod) (*Answer, error) {
	a := &Answer{Obstacles: map[string]Obstacle{}}
	if gates := of.Spec.SchedulingGates; len(gates) > 0 {
		waitsFor := make([]string, 0, len(gates))
		for i := range gates {
			waitsFor = append(waitsFor, gates[i].Name)
		}
		a.Anywhere = &Obstacle{names.SchedulingGates, "pod waits for its scheduling gates " + strings.Join(waitsFor, ", ")}
		return a, nil
	}
	if len(of.Spec.ResourceClaims) > 0 {
		a.NotCounted = append(a.NotCounted, "its ResourceClaims are not counted: which nodes have such devices is not read")
	}
	pod := of.DeepCopy()
	pod.Spec.NodeName = ""
	p.cluster.leaveOut(pod, a)
	if slices.Contains(p.cluster.placed(), of) {
		if err := p.snapshot.StartMutations(); err != nil {
			return nil, err
		}
		defer func() { _ = p.snapshot.EndMutations() }()
		if err := p.snapshot.RemovePod(klog.Logger{}, of, of.Spec.NodeName); err != nil {
			return nil, err
		}
	}
	return a, p.filter(klog.NewContext(ctx, klog.Logger{}), pod, a)
}

// filter asks about every node.
func (p *Plugins) filter(ctx context.Context, pod *v1.Pod, a *Answer) error {
	state := framework.NewCycleState()
	possible, status, by := p.framework.RunPreFilterPlugins(ctx, state, pod)
	switch {
	case status.IsRejected():
		a.Anywhere = obstacle(status)
		if a.Anywhere.Plugin == "" {
			a.Anywhere.Plugin = strings.Join(sets.List(by), ", ")
		}
		return nil
	case !status.IsSuccess():
		return fmt.Errorf("the scheduler's plugin %s: %w", status.Plugin(), status.AsError())
	}
	infos, err := p.snapshot.List()
	if err != nil {
		return err
	}
	for _, info := range infos {
		status := p.framework.RunFilterPlugins(ctx, state, pod, info)
		name := info.Node().Name
		switch {
		case status.IsRejected():
			a.Obstacles[name] = *obstacle(status)
		case !status.IsSuccess():
			return fmt.Errorf("the scheduler's plugin %s: %w", status.Plugin(), status.AsError())
		case !possible.AllNodes() && !possible.NodeNames.Has(name):
			plugins := strings.Join(sets.List(by), ", ")
			a.Obstacles[name] = Obstacle{plugins, "node(s) didn't satisfy " + plugins}
		}
	}
	return nil
}

func obstacle(status *fwk.Status) *Obstacle { return &Obstacle{status.Plugin(), status.Message()} }
