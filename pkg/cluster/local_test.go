package cluster

import (
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestLocalTenants(t *testing.T) {
	local := v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: "/mnt/disk"}}
	pinned := func(host string) func(*v1.PersistentVolume) {
		return func(v *v1.PersistentVolume) {
			v.Spec.NodeAffinity = &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
				MatchExpressions: []v1.NodeSelectorRequirement{{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{host}}},
			}}}}
		}
	}
	of := func(namespace string) func(*v1.PersistentVolume) {
		return func(v *v1.PersistentVolume) {
			v.Spec.ClaimRef = &v1.ObjectReference{Namespace: namespace, Name: "data"}
		}
	}
	for name, tc := range map[string]struct {
		source v1.PersistentVolumeSource
		change []func(*v1.PersistentVolume)
		want   []string
	}{
		"a local volume of a tenant":      {local, []func(*v1.PersistentVolume){pinned("host-1"), of("red")}, []string{"red"}},
		"a directory of one node":         {host, []func(*v1.PersistentVolume){pinned("host-1"), of("red")}, []string{"red"}},
		"a directory of any node":         {host, []func(*v1.PersistentVolume){of("red")}, nil},
		"a volume of another node":        {local, []func(*v1.PersistentVolume){pinned("host-2"), of("red")}, nil},
		"a volume that nobody has yet":    {local, []func(*v1.PersistentVolume){pinned("host-1"), func(v *v1.PersistentVolume) { v.Spec.ClaimRef = nil }}, nil},
		"a volume of the platform":        {local, []func(*v1.PersistentVolume){pinned("host-1"), of("kube-system")}, nil},
		"a volume in the network, pinned": {network, []func(*v1.PersistentVolume){pinned("host-1"), of("red")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			w.set(changedNode(makeNode("n1"), func(n *v1.Node) { n.Labels = map[string]string{v1.LabelHostname: "host-1"} }))
			v := volume(tc.source)
			for _, change := range tc.change {
				change(v)
			}
			w.set(v)
			if got := w.LocalTenants("n1"); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
