package admission_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	schedulermetrics "k8s.io/kubernetes/pkg/scheduler/metrics"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// floor is a scheduler's framework over nodes and pods that are set by hand: the plugins of kube-scheduler that a
// pod's own fields reach, with this project's in front.
type floor struct {
	framework framework.Framework
	store     *cluster.Store
	snapshot  *snapshot
	nodes     []*corev1.Node
	pods      []*corev1.Pod
}

// snapshot is the newest one.
type snapshot struct{ fwk.SharedLister }

// noNominations is a scheduler in which no pod waits for a preemption.
type noNominations struct{ fwk.PodNominator }

func (noNominations) NominatedPodsForNode(string) []fwk.PodInfo { return nil }

func newFloor(t *testing.T, nodes []*corev1.Node) *floor {
	t.Helper()
	rules, err := podfacts.NewRules(&inForce().Spec)
	if err != nil {
		t.Fatal(err)
	}
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		t.Fatal(err)
	}
	f := &floor{store: cluster.New(rules, gatherer), snapshot: &snapshot{}, nodes: nodes}
	client := fake.NewClientset()
	informers := informers.NewSharedInformerFactory(client, 0)
	for name := range tenantOf {
		f.set(t, namespaceOf(name))
		if err := informers.Core().V1().Namespaces().Informer().GetIndexer().Add(namespaceOf(name)); err != nil {
			t.Fatal(err)
		}
	}
	f.set(t, &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "kata-qemu"}, Handler: "kata-qemu"})
	for _, node := range nodes {
		f.set(t, node)
	}
	f.look()
	schedulermetrics.Register()
	f.framework, err = frameworkruntime.NewFramework(t.Context(), f.registry(t), profile(t),
		frameworkruntime.WithClientSet(client), frameworkruntime.WithInformerFactory(informers),
		frameworkruntime.WithSnapshotSharedLister(f.snapshot), frameworkruntime.WithPodNominator(noNominations{}))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *floor) registry(t *testing.T) frameworkruntime.Registry {
	t.Helper()
	registry := plugins.NewInTreeRegistry()
	if err := registry.Register(tenantisolation.Name, func(_ context.Context, _ runtime.Object, handle fwk.Handle) (fwk.Plugin, error) {
		return tenantisolation.New(klog.Background(), handle, f.store, tenantisolation.NoDedication{}), nil
	}); err != nil {
		t.Fatal(err)
	}
	return registry
}

func profile(t *testing.T) *schedulerconfig.KubeSchedulerProfile {
	t.Helper()
	configuration, err := latest.Default()
	if err != nil {
		t.Fatal(err)
	}
	profile := &configuration.Profiles[0]
	profile.SchedulerName = schedulerName
	profile.Plugins.MultiPoint.Enabled = nil
	for _, name := range []string{
		names.PrioritySort, names.TaintToleration, names.NodeAffinity, names.NodePorts, names.NodeResourcesFit,
		names.PodTopologySpread, names.InterPodAffinity, names.NodeResourcesBalancedAllocation, names.DefaultBinder,
		tenantisolation.Name,
	} {
		profile.Plugins.MultiPoint.Enabled = append(profile.Plugins.MultiPoint.Enabled, schedulerconfig.Plugin{Name: name, Weight: 1})
	}
	profile.Plugins.Filter.Enabled = append(profile.Plugins.Filter.Enabled, schedulerconfig.Plugin{Name: tenantisolation.Name})
	profile.Plugins.Bind.Enabled = []schedulerconfig.Plugin{{Name: tenantisolation.Name}}
	return profile
}

func (f *floor) set(t *testing.T, object runtime.Object) {
	t.Helper()
	if err := f.store.Set(object); err != nil {
		t.Fatal(err)
	}
}

func (f *floor) look() { f.snapshot.SharedLister = cache.NewSnapshot(f.pods, f.nodes) }

func (f *floor) bind(t *testing.T, pod *corev1.Pod, node string) {
	t.Helper()
	pod = pod.DeepCopy()
	pod.Spec.NodeName = node
	f.set(t, pod)
	f.pods = append(f.pods, pod)
	f.look()
}

// judgement is what a scheduling cycle finds for a pod.
type judgement struct {
	state fwk.CycleState
	whole *fwk.Status
	nodes map[string]*fwk.Status
}

func (j judgement) feasible() []string {
	var feasible []string
	for _, name := range slices.Sorted(maps.Keys(j.nodes)) {
		if j.nodes[name].IsSuccess() {
			feasible = append(feasible, name)
		}
	}
	return feasible
}

func (f *floor) judge(t *testing.T, pod *corev1.Pod) judgement {
	t.Helper()
	j := judgement{state: framework.NewCycleState(), nodes: map[string]*fwk.Status{}}
	_, j.whole, _ = f.framework.RunPreFilterPlugins(t.Context(), j.state, pod)
	if !j.whole.IsSuccess() {
		return j
	}
	for _, node := range f.nodes {
		info, err := f.snapshot.NodeInfos().Get(node.Name)
		if err != nil {
			t.Fatal(err)
		}
		j.nodes[node.Name] = f.framework.RunFilterPlugins(t.Context(), j.state, pod, info)
	}
	return j
}

// compare returns the first difference on a node for which nobody else is charged.
func (f *floor) compare(t *testing.T, pod *corev1.Pod, before, after judgement, charged map[string]bool) string {
	t.Helper()
	if said(before.whole) != said(after.whole) {
		return fmt.Sprintf("verdict on %s: %s, then %s", pod.Name, said(before.whole), said(after.whole))
	}
	for name, status := range before.nodes {
		if !charged[name] && said(status) != said(after.nodes[name]) {
			return fmt.Sprintf("verdict on %s on %s: %s, then %s", pod.Name, name, said(status), said(after.nodes[name]))
		}
	}
	both := slices.DeleteFunc(after.feasible(), func(name string) bool { return charged[name] })
	if len(both) == 0 {
		return ""
	}
	with := f.scores(t, pod, both)
	pods := f.pods
	defer func() { f.pods = pods; f.look() }()
	f.pods = slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return tenantOf[p.Namespace] != tenantOf[pod.Namespace] })
	f.look()
	without := f.scores(t, pod, both)
	if !maps.Equal(with, without) {
		return fmt.Sprintf("scores for %s: %v, then %v", pod.Name, without, with)
	}
	return ""
}

func said(status *fwk.Status) string {
	if status.IsSuccess() {
		return "admitted"
	}
	return fmt.Sprintf("%s by %q: %s", status.Code(), status.Plugin(), status.Message())
}

// scores are those of kube-scheduler's own plugins: this project's prefers nodes by what all tenants ask for.
func (f *floor) scores(t *testing.T, pod *corev1.Pod, among []string) map[string]int64 {
	t.Helper()
	state := framework.NewCycleState()
	if _, status, _ := f.framework.RunPreFilterPlugins(t.Context(), state, pod); !status.IsSuccess() {
		t.Fatal(status)
	}
	infos := make([]fwk.NodeInfo, 0, len(among))
	for _, name := range among {
		info, err := f.snapshot.NodeInfos().Get(name)
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	if status := f.framework.RunPreScorePlugins(t.Context(), state, pod, infos); !status.IsSuccess() {
		t.Fatal(status)
	}
	nodes, status := f.framework.RunScorePlugins(t.Context(), state, pod, infos)
	if !status.IsSuccess() {
		t.Fatal(status)
	}
	scores := map[string]int64{}
	for _, node := range nodes {
		for _, s := range node.Scores {
			if s.Name != tenantisolation.Name {
				scores[node.Name] += s.Score
			}
		}
	}
	return scores
}
