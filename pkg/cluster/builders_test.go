package cluster

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// world is a store that is fed by hand, and the events that it has reported.
type world struct {
	*Store
	t       testing.TB
	events  []Event
	version int
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	rules, err := podfacts.NewRules(policy.Default())
	if err != nil {
		tb.Fatal(err)
	}
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{Store: New(rules, gatherer), t: tb}
	w.Listen(func(e Event) { w.events = append(w.events, e) })
	return w
}

func (w *world) set(objects ...runtime.Object) {
	w.t.Helper()
	for _, object := range objects {
		if err := w.Set(object); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) unset(object runtime.Object) {
	w.t.Helper()
	if err := w.Delete(object); err != nil {
		w.t.Fatal(err)
	}
}

// reported returns the events since the last call, one line for each, the nodes that are
// compared marked.
func (w *world) reported() []string {
	var lines []string
	for _, e := range w.events {
		line := string(e.Cause) + ":"
		for _, n := range e.Nodes {
			line += " " + n.Node
			if n.Before != nil {
				line += fmt.Sprintf("(%d->%d)", n.Before.Occupancy.Len(), n.After.Occupancy.Len())
			}
		}
		for _, p := range e.Pods {
			line += " " + PodKey(p)
		}
		lines = append(lines, line)
	}
	w.events = nil
	return lines
}

func makeNamespace(name string, labels ...string) *v1.Namespace {
	ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		ns.Labels["tenantisolation.dev/"+key] = value
	}
	return ns
}

func makeClass(name, handler string) *nodev1.RuntimeClass {
	return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}
}

func makeNode(name string, handlers ...string) *v1.Node {
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, h := range handlers {
		node.Status.RuntimeHandlers = append(node.Status.RuntimeHandlers, v1.NodeRuntimeHandler{Name: h})
	}
	return node
}

// pod makes a pod; each has a version of its own.
func (w *world) pod(namespace, name string, change ...func(*v1.Pod)) *v1.Pod {
	w.version++
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID("uid of " + namespace + "/" + name), ResourceVersion: strconv.Itoa(w.version),
		},
		Spec: v1.PodSpec{Containers: []v1.Container{{Name: "app"}}},
	}
	for _, c := range change {
		c(pod)
	}
	return pod
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

func on(node string) func(*v1.Pod) { return func(p *v1.Pod) { p.Spec.NodeName = node } }
func kata(p *v1.Pod)               { p.Spec.RuntimeClassName = new("kata") }
func hostNetwork(p *v1.Pod)        { p.Spec.HostNetwork = true }

func dataClass(value string) func(*v1.Pod) {
	return func(p *v1.Pod) { p.Labels = map[string]string{"tenantisolation.dev/data-class": value} }
}

// stamped is what the scheduler writes with the bind.
func stamped(boundary string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		p.Annotations = map[string]string{isolation.EvidenceAnnotation: "tenant=red,boundary=" + boundary}
	}
}

// mountsData mounts the PVC "data".
func mountsData(p *v1.Pod) {
	p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{Name: "data", VolumeSource: v1.VolumeSource{
		PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
	}})
}

// dataPVC is red/data, bound to the volume pv.
func dataPVC() *v1.PersistentVolumeClaim {
	return &v1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "red", Name: "data"},
		Spec:       v1.PersistentVolumeClaimSpec{VolumeName: "pv"},
	}
}

// volume is the volume pv.
func volume(source v1.PersistentVolumeSource) *v1.PersistentVolume {
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv"},
		Spec:       v1.PersistentVolumeSpec{PersistentVolumeSource: source, ClaimRef: &v1.ObjectReference{}},
	}
}

var (
	network = v1.PersistentVolumeSource{CSI: &v1.CSIPersistentVolumeSource{Driver: "csi.example.com"}}
	host    = v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: "/srv"}}
)

// tenants is a world of two tenants with a namespace each, two nodes and a RuntimeClass.
func tenants(tb testing.TB) *world {
	tb.Helper()
	w := newWorld(tb)
	w.set(makeNamespace("red", "tenant=red"), makeNamespace("blue", "tenant=blue"), makeNamespace("kube-system"),
		makeNode("n1"), makeNode("n2"), makeClass("kata", "kata-qemu"))
	w.events = nil
	return w
}
