package podfacts

import (
	"testing"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func TestWallsWithHoles(t *testing.T) {
	pod := func(o v1.SELinuxOptions) func(*v1.Pod) {
		return func(p *v1.Pod) { p.Spec.SecurityContext.SELinuxOptions = &o }
	}
	container := func(o v1.SELinuxOptions) func(*v1.Pod) {
		return func(p *v1.Pod) { p.Spec.Containers[0].SecurityContext.SELinuxOptions = &o }
	}
	for name, tc := range map[string]struct {
		change func(*v1.Pod)
		want   isolation.HostAccess
	}{
		"a type of SELinux that confines nothing": {pod(v1.SELinuxOptions{Type: "spc_t"}), isolation.SELinuxLabel},
		"the same, of a container":                {container(v1.SELinuxOptions{Type: "spc_t"}), isolation.SELinuxLabel},
		"a user of SELinux":                       {pod(v1.SELinuxOptions{User: "system_u"}), isolation.SELinuxLabel},
		"a role of SELinux":                       {container(v1.SELinuxOptions{Role: "unconfined_r"}), isolation.SELinuxLabel},
		"a level, which only separates further":   {pod(v1.SELinuxOptions{Level: "s0:c1,c2"}), 0},
		"a type that the baseline level allows":   {container(v1.SELinuxOptions{Type: "container_kvm_t"}), 0},
		"a volume of a driver of the host's own": {func(p *v1.Pod) {
			p.Spec.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{FlexVolume: &v1.FlexVolumeSource{Driver: "example.com/disk"}}}}
		}, isolation.FlexVolume},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newGatherer(t).Gather(newPod("ns", tc.change)).HostAccess; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestFlexVolumeOfAPVC(t *testing.T) {
	volume := &v1.PersistentVolume{}
	volume.Spec.FlexVolume = &v1.FlexPersistentVolumeSource{Driver: "example.com/disk"}
	if !newRules(t).VolumeOnHost(volume) {
		t.Error("what a driver mounts on the host is taken for a network's")
	}
}
