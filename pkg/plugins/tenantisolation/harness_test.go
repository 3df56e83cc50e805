package tenantisolation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	st "k8s.io/kubernetes/pkg/scheduler/testing"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

const profileName = "tenant-isolation-scheduler"

// world is a plugin over a store that is fed by hand: each change is reported before the
// call returns, so nothing has to be waited for.
type world struct {
	t         testing.TB
	pl        *Plugin
	store     *cluster.Store
	gatherer  *podfacts.Gatherer
	snapshot  map[string]*framework.NodeInfo
	nodes     map[string]*v1.Node
	activated map[string]bool
	client    clientset.Interface
	version   int
	// clock is when what is made is made.
	clock metav1.Time
	// preFilters, filters and binders are the profile's, in order; otherFilters stand for
	// all filters.
	preFilters   []schedulerconfig.Plugin
	filters      []schedulerconfig.Plugin
	binders      []schedulerconfig.Plugin
	extenders    []fwk.Extender
	otherFilters func(fwk.CycleState, fwk.NodeInfo) *fwk.Status
	// listed, if any, are the nodes in the order of the framework's snapshot.
	listed []fwk.NodeInfo
}

func newWorld(tb testing.TB, change ...func(*v1alpha1.IsolationPolicySpec)) *world {
	tb.Helper()
	args := policy.Default()
	for _, c := range change {
		c(args)
	}
	rules, err := podfacts.NewRules(args)
	if err != nil {
		tb.Fatal(err)
	}
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{
		t:         tb,
		store:     cluster.New(rules, gatherer),
		gatherer:  gatherer,
		snapshot:  map[string]*framework.NodeInfo{},
		nodes:     map[string]*v1.Node{},
		activated: map[string]bool{},

		preFilters:   []schedulerconfig.Plugin{{Name: names.NodePorts}, {Name: Name}},
		filters:      []schedulerconfig.Plugin{{Name: Name}, {Name: names.NodePorts}},
		binders:      []schedulerconfig.Plugin{{Name: Name}, {Name: names.DefaultBinder}},
		otherFilters: func(fwk.CycleState, fwk.NodeInfo) *fwk.Status { return nil },
	}
	w.pl = New(ktesting.NewLogger(tb, ktesting.NewConfig()), &fakeHandle{world: w}, w.store, NoDedication{})
	return w
}

// set puts an object into the store, unset takes it out.
func (w *world) set(object runtime.Object) {
	w.t.Helper()
	if err := w.store.Set(object); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) unset(object runtime.Object) {
	w.t.Helper()
	if err := w.store.Delete(object); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) subject(pod *v1.Pod) isolation.Subject { return w.store.Judge(pod) }

// fakeHandle is the part of the framework that the plugin calls.
type fakeHandle struct {
	fwk.Handle
	world *world
}

func (h *fakeHandle) ListPlugins() *schedulerconfig.Plugins {
	return &schedulerconfig.Plugins{
		PreFilter: schedulerconfig.PluginSet{Enabled: h.world.preFilters},
		Filter:    schedulerconfig.PluginSet{Enabled: h.world.filters},
		Bind:      schedulerconfig.PluginSet{Enabled: h.world.binders},
	}
}

func (h *fakeHandle) RunFilterPluginsWithNominatedPods(_ context.Context, state fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) *fwk.Status {
	return h.world.otherFilters(state, info)
}

func (h *fakeHandle) Extenders() []fwk.Extender { return h.world.extenders }

func (h *fakeHandle) ProfileName() string { return profileName }

func (h *fakeHandle) Activate(_ klog.Logger, pods map[string]*v1.Pod) {
	for key := range pods {
		h.world.activated[key] = true
	}
}

func (h *fakeHandle) SnapshotSharedLister() fwk.SharedLister { return h }
func (h *fakeHandle) NodeInfos() fwk.NodeInfoLister          { return h }
func (h *fakeHandle) StorageInfos() fwk.StorageInfoLister    { return nil }
func (h *fakeHandle) PodGroupStates() fwk.PodGroupStateLister {
	return nil
}

func (h *fakeHandle) PodGroups() fwk.PodGroupLister { return nil }
func (h *fakeHandle) CompositePodGroupStates() fwk.CompositePodGroupStateLister {
	return nil
}

func (h *fakeHandle) CompositePodGroups() fwk.CompositePodGroupLister { return nil }

func (h *fakeHandle) List() ([]fwk.NodeInfo, error) {
	if h.world.listed != nil {
		return h.world.listed, nil
	}
	var infos []fwk.NodeInfo
	for _, name := range slices.Sorted(maps.Keys(h.world.snapshot)) {
		infos = append(infos, h.world.snapshot[name])
	}
	return infos, nil
}
func (h *fakeHandle) HavePodsWithAffinityList() ([]fwk.NodeInfo, error) { return nil, nil }
func (h *fakeHandle) HavePodsWithRequiredAntiAffinityList() ([]fwk.NodeInfo, error) {
	return nil, nil
}

func (h *fakeHandle) HavePodsWithRequiredNonHostScopedAntiAffinityList() ([]fwk.NodeInfo, error) {
	return nil, nil
}

func (h *fakeHandle) Get(name string) (fwk.NodeInfo, error) {
	if info, ok := h.world.snapshot[name]; ok {
		return info, nil
	}
	return nil, fmt.Errorf("no node %q", name)
}

// woken returns which pods have been activated since the last call.
func (w *world) woken() []string {
	names := slices.Sorted(maps.Keys(w.activated))
	clear(w.activated)
	return names
}

// namespace creates or relabels a namespace; labels are given as "key=value" with the
// keys' prefix left out.
func (w *world) namespace(name string, labels ...string) {
	w.t.Helper()
	w.set(&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: isolationLabels(labels...)}})
}

func (w *world) deleteNamespace(name string) {
	w.unset(&v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

func isolationLabels(pairs ...string) map[string]string {
	labels := map[string]string{}
	for _, pair := range pairs {
		for i := range pair {
			if pair[i] == '=' {
				labels["tenantisolation.dev/"+pair[:i]] = pair[i+1:]
				break
			}
		}
	}
	return labels
}

func (w *world) runtimeClass(name, handler string, nodeSelector ...string) {
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: w.clock}, Handler: handler}
	if len(nodeSelector) == 2 {
		class.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{nodeSelector[0]: nodeSelector[1]}}
	}
	w.set(class)
}

func (w *world) deleteRuntimeClass(name string) {
	w.unset(&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// node adds a node or changes its runtime handlers, the framework's cache first.
func (w *world) node(name string, handlers ...string) *v1.Node {
	node := st.MakeNode().Name(name).Capacity(map[v1.ResourceName]string{"cpu": "64", "memory": "64Gi", "pods": "110"}).Obj()
	for _, h := range handlers {
		node.Status.RuntimeHandlers = append(node.Status.RuntimeHandlers, v1.NodeRuntimeHandler{Name: h})
	}
	if w.snapshot[name] == nil {
		w.snapshot[name] = framework.NewNodeInfo()
	}
	w.snapshot[name].SetNode(node)
	w.nodes[name] = node
	w.set(node)
	return node
}

// pod makes a pod that satisfies the restricted Pod Security Standard.
func (w *world) pod(namespace, name string, change ...func(*v1.Pod)) *v1.Pod {
	w.version++
	pod := st.MakePod().Namespace(namespace).Name(name).UID(namespace + "/" + name).SchedulerName(profileName).Obj()
	pod.ResourceVersion = strconv.Itoa(w.version)
	pod.Spec.SecurityContext = &v1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		SeccompProfile: &v1.SeccompProfile{Type: v1.SeccompProfileTypeRuntimeDefault},
	}
	pod.Spec.Containers = []v1.Container{restrictedContainer("app")}
	for _, c := range change {
		c(pod)
	}
	return pod
}

func restrictedContainer(name string) v1.Container {
	return v1.Container{Name: name, SecurityContext: &v1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &v1.Capabilities{Drop: []v1.Capability{"ALL"}},
	}}
}

func on(node string) func(*v1.Pod) { return func(p *v1.Pod) { p.Spec.NodeName = node } }
func class(name string) func(*v1.Pod) {
	return func(p *v1.Pod) { p.Spec.RuntimeClassName = &name }
}

func labelled(pairs ...string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		maps.Copy(p.Labels, isolationLabels(pairs...))
	}
}

func privileged(p *v1.Pod) {
	p.Spec.Containers[0].SecurityContext = &v1.SecurityContext{Privileged: new(true)}
}

// started has the kubelet start the pod now.
func (w *world) started(p *v1.Pod) { p.Status.StartTime = &metav1.Time{Time: w.clock.Time} }

// later lets time pass.
func (w *world) later() { w.clock.Time = w.clock.Add(time.Hour) }

func hostNetwork(p *v1.Pod) { p.Spec.HostNetwork = true }

// mountsData mounts the PVC "data".
func mountsData(p *v1.Pod) {
	p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{Name: "data", VolumeSource: v1.VolumeSource{
		PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
	}})
}

// add creates a pod or replaces it by a newer version.
func (w *world) add(pod *v1.Pod) *v1.Pod {
	w.t.Helper()
	if before, exists := w.store.Pod(pod.Namespace, pod.Name); exists {
		w.takeOff(before)
	}
	if info := w.snapshot[pod.Spec.NodeName]; info != nil {
		info.AddPodInfo(mustPodInfo(w.t, pod))
	}
	w.set(pod)
	return pod
}

func (w *world) byName(namespace, name string) *v1.Pod {
	w.t.Helper()
	pod, ok := w.store.Pod(namespace, name)
	if !ok {
		w.t.Fatalf("no pod %s/%s", namespace, name)
	}
	return pod
}

// gone deletes a pod.
func (w *world) gone(pod *v1.Pod) {
	w.t.Helper()
	w.takeOff(pod)
	w.unset(pod)
}

func (w *world) takeOff(pod *v1.Pod) {
	if info := w.snapshot[pod.Spec.NodeName]; info != nil {
		if err := info.RemovePod(klog.Background(), pod); err != nil {
			w.t.Fatal(err)
		}
	}
}

func mustPodInfo(tb testing.TB, pod *v1.Pod) *framework.PodInfo {
	tb.Helper()
	info, err := framework.NewPodInfo(pod)
	if err != nil {
		tb.Fatal(err)
	}
	return info
}

// changed returns a newer version of a pod.
func (w *world) changed(pod *v1.Pod, change ...func(*v1.Pod)) *v1.Pod {
	w.version++
	pod = pod.DeepCopy()
	pod.ResourceVersion = strconv.Itoa(w.version)
	for _, c := range change {
		c(pod)
	}
	return pod
}

// filter runs PreFilter and, if that lets it, Filter. The reason of a denial is read from
// its sentence.
func (w *world) filter(pod *v1.Pod, node string) *fwk.Status {
	w.t.Helper()
	state := framework.NewCycleState()
	infos, _ := (&fakeHandle{world: w}).List()
	_, status := w.pl.PreFilter(w.t.Context(), state, pod, infos)
	if status.IsSkip() {
		return nil
	}
	if !status.IsSuccess() {
		return status
	}
	return w.pl.Filter(w.t.Context(), state, pod, w.snapshot[node])
}

func (w *world) admits(pod *v1.Pod, node string) bool { return w.filter(pod, node).IsSuccess() }

// sentence returns the reason of the status, residents rather than a dedication where
// both have the same sentence.
func sentence(status *fwk.Status) isolation.Reason {
	for _, reason := range isolation.Reasons() {
		if reason == isolation.ForeignDedication {
			continue
		}
		if reason.Sentence() != "" && reason.Sentence() == status.Message() {
			return reason
		}
	}
	return isolation.Undecided
}
