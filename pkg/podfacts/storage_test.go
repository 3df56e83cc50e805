package podfacts

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// storage is a Storage of these volumes and classes.
type storage struct {
	volumes []*v1.PersistentVolume
	classes map[string]string
}

func (s storage) Volume(name string) (*v1.PersistentVolume, bool) {
	for _, v := range s.volumes {
		if v.Name == name {
			return v, true
		}
	}
	return nil, false
}

func (s storage) FreeVolumes(class string) []*v1.PersistentVolume {
	var free []*v1.PersistentVolume
	for _, v := range s.volumes {
		if v.Spec.ClaimRef == nil && v.Spec.StorageClassName == class {
			free = append(free, v)
		}
	}
	return free
}

func (s storage) StorageClass(name string) (*storagev1.StorageClass, bool) {
	provisioner, ok := s.classes[name]
	return &storagev1.StorageClass{Provisioner: provisioner}, ok
}

func volume(name, class string, source v1.PersistentVolumeSource) *v1.PersistentVolume {
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1.PersistentVolumeSpec{StorageClassName: class, PersistentVolumeSource: source},
	}
}

func TestPVCOnHost(t *testing.T) {
	directory := v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: "/srv"}}
	local := v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: "/mnt/disk"}}
	network := v1.PersistentVolumeSource{CSI: &v1.CSIPersistentVolumeSource{Driver: "disk.example.com"}}
	hostDriver := v1.PersistentVolumeSource{CSI: &v1.CSIPersistentVolumeSource{Driver: "hostpath.csi.k8s.io"}}
	block := volume("block", "", local)
	block.Spec.VolumeMode = new(v1.PersistentVolumeBlock)

	bound := func(name string) v1.PersistentVolumeClaimSpec { return v1.PersistentVolumeClaimSpec{VolumeName: name} }
	unbound := func(class string) v1.PersistentVolumeClaimSpec {
		return v1.PersistentVolumeClaimSpec{StorageClassName: &class}
	}
	for name, tc := range map[string]struct {
		pvc     v1.PersistentVolumeClaimSpec
		storage storage
		want    bool
	}{
		"bound to a directory of the host": {bound("v"), storage{volumes: []*v1.PersistentVolume{volume("v", "", directory)}}, true},
		"bound to a local directory":       {bound("v"), storage{volumes: []*v1.PersistentVolume{volume("v", "", local)}}, true},
		"bound to a local block device":    {bound("block"), storage{volumes: []*v1.PersistentVolume{block}}, false},
		"bound to a disk on the network":   {bound("v"), storage{volumes: []*v1.PersistentVolume{volume("v", "", network)}}, false},
		"bound to a driver of host directories": {
			bound("v"), storage{volumes: []*v1.PersistentVolume{volume("v", "", hostDriver)}}, true,
		},
		"bound to a volume that is not known": {bound("gone"), storage{}, true},
		"unbound, without a class":            {v1.PersistentVolumeClaimSpec{}, storage{}, true},
		"unbound, of the empty class":         {unbound(""), storage{}, true},
		"unbound, of a class that is not known": {
			unbound("later"), storage{}, true,
		},
		"unbound, of a class that provisions disks": {
			unbound("fast"), storage{classes: map[string]string{"fast": "disk.example.com"}}, false,
		},
		"unbound, of a class that provisions host directories": {
			unbound("local-path"), storage{classes: map[string]string{"local-path": "rancher.io/local-path"}}, true,
		},
		"unbound, and a free volume of its class is a directory of the host": {
			unbound("fast"),
			storage{
				volumes: []*v1.PersistentVolume{volume("v", "fast", directory)},
				classes: map[string]string{"fast": "disk.example.com"},
			},
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			pvc := &v1.PersistentVolumeClaim{Spec: tc.pvc}
			if got := newRules(t).PVCOnHost(pvc, tc.storage); got != tc.want {
				t.Errorf("on the host: got %t, want %t", got, tc.want)
			}
		})
	}
}

func TestVMCapable(t *testing.T) {
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"kata": "yes"}}}
	class := func(handler string, selector map[string]string) RuntimeClass {
		return NewRuntimeClass(&nodev1.RuntimeClass{Handler: handler, Scheduling: &nodev1.Scheduling{NodeSelector: selector}})
	}
	for name, tc := range map[string]struct {
		handlers map[string]bool
		class    RuntimeClass
		want     bool
	}{
		"it reports a handler of virtual machines": {map[string]bool{"kata-qemu": true}, RuntimeClass{}, true},
		"it reports others, whatever a class says": {map[string]bool{"runc": true}, class("kata-qemu", node.Labels), false},
		"it reports none, and a class selects it":  {nil, class("kata-qemu", node.Labels), true},
		"it reports none, and a class selects others": {
			nil, class("kata-qemu", map[string]string{"kata": "no"}), false,
		},
		"it reports none, and a class selects all":          {nil, class("kata-qemu", nil), false},
		"it reports none, and a class of containers is its": {nil, class("runc", node.Labels), false},
	} {
		t.Run(name, func(t *testing.T) {
			classes := func(yield func(RuntimeClass) bool) { yield(tc.class) }
			if got := newRules(t).VMCapable(node, tc.handlers, classes); got != tc.want {
				t.Errorf("VM capable: got %t, want %t", got, tc.want)
			}
		})
	}
}
