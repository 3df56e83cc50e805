package audit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

const tenantLabel = "tenantisolation.dev/tenant"

// beginning is the creation time of objects that are made without another time.
var beginning = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newRules(tb testing.TB) *podfacts.Rules {
	tb.Helper()
	rules, err := podfacts.NewRules(policy.Default())
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}

func newGatherer(tb testing.TB) *podfacts.Gatherer {
	tb.Helper()
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		tb.Fatal(err)
	}
	return gatherer
}

func newStore(tb testing.TB) *cluster.Store {
	tb.Helper()
	return cluster.New(newRules(tb), newGatherer(tb))
}

func newEngine(tb testing.TB, objects ...runtime.Object) *Engine {
	tb.Helper()
	e := New(newStore(tb))
	set(tb, e, objects...)
	return e
}

func set(tb testing.TB, e *Engine, objects ...runtime.Object) {
	tb.Helper()
	for _, object := range objects {
		if err := e.store.Set(object); err != nil {
			tb.Fatal(err)
		}
	}
}

func remove(tb testing.TB, e *Engine, objects ...runtime.Object) {
	tb.Helper()
	for _, object := range objects {
		if err := e.store.Delete(object); err != nil {
			tb.Fatal(err)
		}
	}
}

func makeNode(name string) *v1.Node { return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }

// makeNamespace makes a namespace of the tenant, an unmanaged one if it is empty.
func makeNamespace(name, tenant string, labels ...string) *v1.Namespace {
	ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	if tenant != "" {
		ns.Labels[tenantLabel] = tenant
	}
	for pair := range slices.Chunk(labels, 2) {
		ns.Labels["tenantisolation.dev/"+pair[0]] = pair[1]
	}
	return ns
}

func makeClass(name, handler string) *nodev1.RuntimeClass {
	return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(beginning)}, Handler: handler}
}

// makePod makes a pod that runs on a node, with an ordinary spec.
func makePod(namespace, name, node string, change ...func(*v1.Pod)) *v1.Pod {
	p := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID("uid-" + namespace + "-" + name),
			CreationTimestamp: metav1.NewTime(beginning),
		},
		Spec: v1.PodSpec{NodeName: node, Containers: []v1.Container{{Name: "app"}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

// after sets when a pod was created.
func after(seconds int) func(*v1.Pod) {
	return func(p *v1.Pod) {
		p.CreationTimestamp = metav1.NewTime(beginning.Add(time.Duration(seconds) * time.Second))
	}
}

func inClass(name string) func(*v1.Pod) {
	return func(p *v1.Pod) { p.Spec.RuntimeClassName = &name }
}

// startedBefore is of a pod that was started before everything else was made.
func startedBefore(p *v1.Pod) {
	p.Status.StartTime = &metav1.Time{Time: beginning.Add(-9 * time.Second)}
}

func claiming(name string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		p.Spec.ResourceClaims = append(p.Spec.ResourceClaims, v1.PodResourceClaim{Name: name, ResourceClaimName: &name})
	}
}

func ownUsers(p *v1.Pod) { p.Spec.HostUsers = new(bool) }

// stamped is what the scheduler writes with the bind.
func stamped(boundary string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		p.Annotations = map[string]string{isolation.EvidenceAnnotation: "tenant=x,boundary=" + boundary}
	}
}

func mountingPVC(pvc string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		addVolume(p, v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: pvc}})
	}
}

func mountingDirectory(path string) func(*v1.Pod) {
	return func(p *v1.Pod) { addVolume(p, v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: path}}) }
}

func addVolume(p *v1.Pod, source v1.VolumeSource) {
	p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{Name: fmt.Sprintf("v%d", len(p.Spec.Volumes)), VolumeSource: source})
}

func makePVC(namespace, name, volume string) *v1.PersistentVolumeClaim {
	return &v1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1.PersistentVolumeClaimSpec{VolumeName: volume, StorageClassName: new(string)},
	}
}

// makeVolume makes a volume that is bound to a PVC, unless its name is empty.
func makeVolume(name, namespace, pvc string, source v1.PersistentVolumeSource) *v1.PersistentVolume {
	volume := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1.PersistentVolumeSpec{PersistentVolumeSource: source},
	}
	if pvc != "" {
		volume.Spec.ClaimRef = &v1.ObjectReference{Namespace: namespace, Name: pvc}
	}
	return volume
}

// brief is a report in a form to read and to compare.
func brief(r Report) []string {
	var lines []string
	for i := range r.Findings {
		f := &r.Findings[i]
		line := fmt.Sprintf("%s node=%s volume=%s pairs=%d last=%s:", f.Reason, f.Node, f.Volume, f.Pairs, f.Last)
		for _, party := range f.Parties {
			line += fmt.Sprintf(" %v", party.Pods)
		}
		lines = append(lines, line)
	}
	return lines
}
