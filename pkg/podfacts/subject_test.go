package podfacts

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// around are surroundings that are known in full.
type around struct {
	namespaces map[string]map[string]string
	created    metav1.Time
	classes    map[string]RuntimeClass
	pvcs       map[string]bool
}

func (a around) Namespace(name string) (Namespace, bool) {
	labels, ok := a.namespaces[name]
	return Namespace{Labels: labels, Created: a.created}, ok
}

func (a around) RuntimeClass(name string) (RuntimeClass, bool) {
	class, ok := a.classes[name]
	return class, ok
}

func (a around) PVCOnHost(key string) (onHost, known bool) {
	onHost, known = a.pvcs[key]
	return onHost, known
}

func TestSubjectOfUnknownFacts(t *testing.T) {
	noon := metav1.NewTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	surroundings := around{
		namespaces: map[string]map[string]string{
			"acme-web":    {"tenantisolation.dev/tenant": "acme"},
			"kube-system": {},
			"legacy":      {},
		},
		classes: map[string]RuntimeClass{"kata": {Handler: "kata-qemu", Created: noon}},
		pvcs:    map[string]bool{"acme-web/disk": false, "acme-web/host": true},
	}
	kata := func(p *v1.Pod) { p.Spec.RuntimeClassName = new("kata") }
	mounts := func(pvc string) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.Spec.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{
				PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: pvc},
			}}}
		}
	}
	started := func(at time.Time) func(*v1.Pod) {
		return func(p *v1.Pod) { p.Status.StartTime = &metav1.Time{Time: at} }
	}
	for name, tc := range map[string]struct {
		pod  *v1.Pod
		want string
	}{
		"a container of a managed namespace": {
			pod:  newPod("acme-web"),
			want: "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=container",
		},
		"a pod in a virtual machine": {
			pod:  newPod("acme-web", kata),
			want: "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=vm",
		},
		"a pod whose namespace is not known": {
			pod:  newPod("nowhere"),
			want: "unknown: UnknownNamespace",
		},
		"a pod of the platform":             {pod: newPod("kube-system"), want: "platform"},
		"a pod of a namespace of no tenant": {pod: newPod("legacy"), want: "unmanaged"},
		"a RuntimeClass that is not known": {
			pod:  newPod("acme-web", func(p *v1.Pod) { p.Spec.RuntimeClassName = new("gone") }),
			want: "unknown: UnknownRuntimeClass",
		},
		"a RuntimeClass younger than the start of the pod is no boundary": {
			pod:  newPod("acme-web", kata, started(noon.Add(-time.Second))),
			want: "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=container",
		},
		"a RuntimeClass older than the start of the pod is one": {
			pod:  newPod("acme-web", kata, started(noon.Add(time.Second))),
			want: "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=vm",
		},
		"a PVC on a disk leaves the boundary": {
			pod:  newPod("acme-web", kata, mounts("disk")),
			want: "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=vm",
		},
		"a PVC on a directory of the host voids it": {
			pod:  newPod("acme-web", kata, mounts("host")),
			want: "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=container",
		},
		"a PVC that is not known voids it": {
			pod:  newPod("acme-web", kata, mounts("later")),
			want: "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=container",
		},
		"an inline volume of a driver of host directories voids it": {
			pod: newPod("acme-web", kata, func(p *v1.Pod) {
				p.Spec.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{CSI: &v1.CSIVolumeSource{Driver: "hostpath.csi.k8s.io"}}}}
			}),
			want: "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=container",
		},
	} {
		t.Run(name, func(t *testing.T) {
			facts := newGatherer(t).Gather(tc.pod)
			if got := newRules(t).Subject(tc.pod, &facts, surroundings).String(); got != tc.want {
				t.Errorf("subject:\n got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestPlatformNamespaceSelector(t *testing.T) {
	rules := newRules(t)
	selector, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchLabels: map[string]string{"team": "platform"}})
	if err != nil {
		t.Fatal(err)
	}
	rules.platform = selector
	pod := newPod("monitoring")
	for label, want := range map[string]bool{"platform": true, "other": false} {
		facts := newGatherer(t).Gather(pod)
		got := rules.Subject(pod, &facts, around{namespaces: map[string]map[string]string{"monitoring": {"team": label}}})
		if got.Platform() != want {
			t.Errorf("a pod of a namespace with team=%s: got %s, want platform: %t", label, got, want)
		}
	}
}

// A pod that is older than its namespace was made in another one of that name. A platform
// namespace is no exception.
func TestPodOlderThanItsNamespace(t *testing.T) {
	made := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		namespace string
		pod       metav1.Time
		older     bool
	}{
		"older":                             {"acme-web", metav1.NewTime(made.Add(-2 * time.Second)), true},
		"older, of the platform":            {"kube-system", metav1.NewTime(made.Add(-2 * time.Second)), true},
		"older, of no tenant":               {"legacy", metav1.NewTime(made.Add(-2 * time.Second)), true},
		"older by what clocks may differ":   {"acme-web", metav1.NewTime(made.Add(-time.Second)), false},
		"made with it":                      {"acme-web", metav1.NewTime(made), false},
		"younger":                           {"acme-web", metav1.NewTime(made.Add(time.Hour)), false},
		"of a manifest, which says no time": {"acme-web", metav1.Time{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := newPod(tc.namespace, func(p *v1.Pod) { p.CreationTimestamp = tc.pod })
			facts := newGatherer(t).Gather(pod)
			subject := newRules(t).Subject(pod, &facts, around{
				namespaces: map[string]map[string]string{"acme-web": {"tenantisolation.dev/tenant": "acme"}, "kube-system": nil, "legacy": nil},
				created:    metav1.NewTime(made),
			})
			if reason, _ := subject.Denied(); (reason == isolation.OlderThanNamespace) != tc.older {
				t.Errorf("denied for %s, want %s: %t", reason, isolation.OlderThanNamespace, tc.older)
			}
		})
	}
}

func TestUnmanagedSubjectSaysWhy(t *testing.T) {
	pod := newPod("legacy")
	facts := newGatherer(t).Gather(pod)
	subject := newRules(t).Subject(pod, &facts, around{namespaces: map[string]map[string]string{"legacy": nil}})
	if reason, denied := subject.Denied(); !denied || reason != isolation.UnmanagedNamespace {
		t.Errorf("denied: got %s, %t; want %s", reason, denied, isolation.UnmanagedNamespace)
	}
}
