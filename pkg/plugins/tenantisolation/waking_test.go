package tenantisolation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// TestWake has the pods red/p, red-secret/s and
// blue/b pending on a cluster of one node, n1.
func TestWake(t *testing.T) {
	for name, tc := range map[string]struct {
		args   func(*v1alpha1.IsolationPolicySpec)
		before func(w *world)
		change func(w *world)
		want   []string
	}{
		"the resident's namespace moves to a tenant": {
			before: func(w *world) { w.add(w.pod("stray", "r", on("n1"))) },
			change: func(w *world) { w.namespace("stray", "tenant=blue") },
			want:   []string{"blue/b"},
		},
		"the resident's namespace gets a label that is not read": {
			before: func(w *world) { w.add(w.pod("stray", "r", on("n1"))) },
			change: func(w *world) { w.namespace("stray", "colour=blue") },
		},
		"one of two residents in the way moves": {
			before: func(w *world) {
				w.namespace("other", "tenant=other")
				w.add(w.pod("stray", "r", on("n1")))
				w.add(w.pod("other", "r", on("n1")))
			},
			change: func(w *world) { w.namespace("stray", "tenant=blue") },
		},
		"a pending pod's own namespace gets a tenant": {
			before: func(w *world) { w.add(w.pod("stray", "p")) },
			change: func(w *world) { w.namespace("stray", "tenant=green") },
			want:   []string{"stray/p"},
		},
		"a pending pod's own namespace loses its tenant": {
			change: func(w *world) { w.namespace("red") },
		},
		"a resident's namespace becomes known": {
			before: func(w *world) { w.add(w.pod("late", "r", on("n1"))) },
			change: func(w *world) { w.namespace("late", "tenant=red") },
			want:   []string{"red/p"},
		},
		"a resident's namespace becomes the platform's": {
			args: func(a *v1alpha1.IsolationPolicySpec) {
				a.PlatformNamespaces.Selector = &metav1.LabelSelector{MatchLabels: isolationLabels("platform=yes")}
			},
			before: func(w *world) { w.add(w.pod("stray", "r", on("n1"))) },
			change: func(w *world) { w.namespace("stray", "platform=yes") },
			want:   []string{"blue/b", "red-secret/s", "red/p"},
		},
		"a pending pod's RuntimeClass is made": {
			before: func(w *world) { w.add(w.pod("red", "vm", class("new"))) },
			change: func(w *world) { w.runtimeClass("new", "kata-qemu") },
			want:   []string{"red/vm"},
		},
		"a RuntimeClass that no pod names is made": {
			change: func(w *world) { w.runtimeClass("new", "kata-qemu") },
		},
		"a resident's RuntimeClass is made again with a handler that isolates, before it is started": {
			before: func(w *world) {
				w.runtimeClass("soft", "runc")
				w.add(w.pod("blue", "r", on("n1"), class("soft")))
				w.add(w.pod("red", "vm", class("kata")))
				w.deleteRuntimeClass("soft")
				w.later()
			},
			change: func(w *world) { w.runtimeClass("soft", "kata-qemu") },
			// blue/b joins its own tenant's pod again, red/vm another's VM.
			want: []string{"blue/b", "red/vm"},
		},
		"a resident's RuntimeClass is made again with a handler that isolates, after it was started": {
			before: func(w *world) {
				w.runtimeClass("soft", "runc")
				w.add(w.pod("blue", "r", on("n1"), class("soft"), w.started))
				w.add(w.pod("red", "vm", class("kata")))
				w.deleteRuntimeClass("soft")
				w.later()
			},
			change: func(w *world) { w.runtimeClass("soft", "kata-qemu") },
			// What runs is still what runc has started.
			want: []string{"blue/b"},
		},
		"the node gets the handler": {
			before: func(w *world) {
				w.node("n1", "runc")
				w.add(w.pod("red", "vm", class("kata")))
			},
			change: func(w *world) { w.node("n1", "runc", "kata-qemu") },
			want:   []string{"red/vm"},
		},
		"the node gets another handler": {
			before: func(w *world) {
				w.node("n1", "runc")
				w.add(w.pod("red", "vm", class("kata")))
			},
			change: func(w *world) { w.node("n1", "runc", "kata-clh") },
		},
		"a resident is relabelled into a pending pod's data class": {
			before: func(w *world) { w.add(w.pod("red", "r", on("n1"))) },
			change: func(w *world) {
				w.add(w.changed(w.pod("red", "r", on("n1")), labelled("data-class=restricted")))
			},
			want: []string{"red-secret/s"},
		},
		"a resident's status changes": {
			before: func(w *world) { w.add(w.pod("stray", "r", on("n1"))) },
			change: func(w *world) {
				w.add(w.changed(w.pod("stray", "r", on("n1")), func(p *v1.Pod) { p.Status.Message = "x" }))
			},
		},
		"a resident gets an ephemeral container that raises its privilege to the pending pod's": {
			before: func(w *world) {
				w.add(w.pod("red", "r", on("n1")))
				w.add(w.pod("red", "root", privileged))
			},
			change: func(w *world) {
				w.add(w.changed(w.pod("red", "r", on("n1")), func(p *v1.Pod) {
					p.Spec.EphemeralContainers = []v1.EphemeralContainer{{EphemeralContainerCommon: v1.EphemeralContainerCommon{
						Name: "debug", SecurityContext: &v1.SecurityContext{Privileged: new(true)},
					}}}
				}))
			},
			want: []string{"red/root"},
		},
		"another scheduler's pod is not ours to wake": {
			before: func(w *world) {
				w.add(w.pod("stray", "p", func(p *v1.Pod) { p.Spec.SchedulerName = "default-scheduler" }))
			},
			change: func(w *world) { w.namespace("stray", "tenant=green") },
		},
		"a PVC turns out not to be on the host": {
			before: func(w *world) {
				w.add(w.pod("blue", "r", on("n1"), class("kata")))
				w.add(w.pod("red", "vm", class("kata"), mountsData))
			},
			change: func(w *world) { w.boundPVC("red", csi) },
			want:   []string{"red/vm"},
		},
		"a PVC turns out to be on the host": {
			before: func(w *world) {
				w.add(w.pod("blue", "r", on("n1"), class("kata")))
				w.add(w.pod("red", "vm", class("kata"), mountsData))
			},
			change: func(w *world) { w.boundPVC("red", hostPath) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := func(*v1alpha1.IsolationPolicySpec) {}
			if tc.args != nil {
				args = tc.args
			}
			w := newWorld(t, args)
			w.namespace("red", "tenant=red")
			w.namespace("red-secret", "tenant=red", "data-class=restricted")
			w.namespace("blue", "tenant=blue")
			w.namespace("stray")
			w.runtimeClass("kata", "kata-qemu")
			w.node("n1")
			w.add(w.pod("red", "p"))
			w.add(w.pod("red-secret", "s"))
			w.add(w.pod("blue", "b"))
			if tc.before != nil {
				tc.before(w)
			}
			w.woken()
			tc.change(w)
			if diff := cmp.Diff(tc.want, w.woken()); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
		})
	}
}

func csi(v *v1.PersistentVolume)      { v.Spec.CSI = &v1.CSIPersistentVolumeSource{Driver: "csi"} }
func hostPath(v *v1.PersistentVolume) { v.Spec.HostPath = &v1.HostPathVolumeSource{Path: "/srv"} }
func local(v *v1.PersistentVolume)    { v.Spec.Local = &v1.LocalVolumeSource{Path: "/srv"} }
func csiOnHost(v *v1.PersistentVolume) {
	v.Spec.CSI = &v1.CSIPersistentVolumeSource{Driver: "hostpath.csi.k8s.io"}
}

func localBlock(v *v1.PersistentVolume) {
	local(v)
	v.Spec.VolumeMode = new(v1.PersistentVolumeBlock)
}

// boundPVC makes the PVC "data" and the volume that it is bound to.
func (w *world) boundPVC(namespace string, source func(*v1.PersistentVolume)) {
	w.t.Helper()
	const name = "data"
	volume := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name}}
	volume.Spec.ClaimRef = &v1.ObjectReference{Namespace: namespace, Name: name}
	source(volume)
	pvc := &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	pvc.Spec.VolumeName = volume.Name
	w.set(pvc)
	w.set(volume)
}

func TestPVCOnHostVoidsTheBoundary(t *testing.T) {
	unbound := func(class string, provisioner string) func(w *world) {
		return func(w *world) {
			c := &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "red", Name: "data"}}
			if class != "none" {
				c.Spec.StorageClassName = &class
			}
			w.set(c)
			if provisioner != "" {
				sc := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: provisioner}
				w.set(sc)
			}
		}
	}
	bound := func(source func(*v1.PersistentVolume)) func(*world) {
		return func(w *world) { w.boundPVC("red", source) }
	}
	for name, tc := range map[string]struct {
		pvc   func(*world)
		opens bool
	}{
		"bound to a CSI volume":                         {bound(csi), true},
		"bound to a hostPath volume":                    {bound(hostPath), false},
		"bound to a directory of the host, through CSI": {bound(csiOnHost), false},
		"unbound, of a class of which there is a free directory of the host": {func(w *world) {
			unbound("fast", "csi.example.com")(w)
			volume := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "by-hand"}}
			volume.Spec.StorageClassName = "fast"
			hostPath(volume)
			w.set(volume)
		}, false},
		"bound to a local directory":                      {bound(local), false},
		"bound to a local block device":                   {bound(localBlock), true},
		"unbound, of a class with a network provisioner":  {unbound("fast", "csi.example.com"), true},
		"unbound, of a class without a provisioner":       {unbound("static", "kubernetes.io/no-provisioner"), false},
		"unbound, of a class that provisions on the host": {unbound("local-path", "rancher.io/local-path"), false},
		"unbound, of a class that does not exist":         {unbound("nope", ""), false},
		"unbound, of no class":                            {unbound("none", ""), false},
		"not there at all":                                {func(*world) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			w.add(w.pod("blue", "r", on("kata1"), class("kata")))
			tc.pvc(w)
			if got := w.admits(w.pod("red", "p", class("kata"), mountsData), "kata1"); got != tc.opens {
				t.Errorf("admitted beside another tenant's VM: %v, want %v", got, tc.opens)
			}
		})
	}
}

// unsynced has the store follow informers that have not been started: nothing is known.
func (w *world) unsynced() {
	w.t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(), 0)
	if err := w.store.Follow(w.t.Context(), factory, func() { w.t.Error("synced") }); err != nil {
		w.t.Fatal(err)
	}
}
