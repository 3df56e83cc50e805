package podfacts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func TestGather(t *testing.T) {
	gatherer := newGatherer(t)
	windows := &v1.WindowsSecurityContextOptions{HostProcess: new(true)}
	with := func(change func(*v1.PodSpec)) func(*v1.Pod) { return func(p *v1.Pod) { change(&p.Spec) } }
	baseline := func(c *v1.Container) { c.SecurityContext = nil }
	container := func(change func(*v1.Container)) v1.Container {
		c := restrictedContainer("c")
		change(&c)
		return c
	}
	ephemeral := func(change func(*v1.Container)) v1.EphemeralContainer {
		return v1.EphemeralContainer{EphemeralContainerCommon: v1.EphemeralContainerCommon(container(change))}
	}
	raise := func(c *v1.Container) { c.SecurityContext.Privileged = new(true) }
	for name, tc := range map[string]struct {
		change    func(*v1.Pod)
		privilege isolation.Privilege
		host      isolation.HostAccess
		pvcs      []string
		drivers   []string
	}{
		"a restricted pod": {
			change: func(*v1.Pod) {}, privilege: isolation.PrivilegeRestricted,
		},
		"a container without a security context is baseline": {
			change:    with(func(s *v1.PodSpec) { baseline(&s.Containers[0]) }),
			privilege: isolation.PrivilegeBaseline,
		},
		"an init container counts": {
			change:    with(func(s *v1.PodSpec) { s.InitContainers = []v1.Container{container(baseline)} }),
			privilege: isolation.PrivilegeBaseline,
		},
		"an ephemeral container counts": {
			change:    with(func(s *v1.PodSpec) { s.EphemeralContainers = []v1.EphemeralContainer{ephemeral(baseline)} }),
			privilege: isolation.PrivilegeBaseline,
		},
		"a privileged init container reaches the host": {
			change:    with(func(s *v1.PodSpec) { s.InitContainers = []v1.Container{container(raise)} }),
			privilege: isolation.PrivilegePrivileged, host: isolation.PrivilegedContainer,
		},
		"a privileged ephemeral container reaches the host": {
			change:    with(func(s *v1.PodSpec) { s.EphemeralContainers = []v1.EphemeralContainer{ephemeral(raise)} }),
			privilege: isolation.PrivilegePrivileged, host: isolation.PrivilegedContainer,
		},
		"the host's namespaces": {
			change:    with(func(s *v1.PodSpec) { s.HostNetwork, s.HostPID, s.HostIPC = true, true, true }),
			privilege: isolation.PrivilegePrivileged,
			host:      isolation.HostNetwork | isolation.HostPID | isolation.HostIPC,
		},
		"a directory of the host": {
			change: with(func(s *v1.PodSpec) {
				s.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: "/"}}}}
			}),
			privilege: isolation.PrivilegePrivileged, host: isolation.HostPath,
		},
		"a Windows HostProcess pod": {
			change:    with(func(s *v1.PodSpec) { s.SecurityContext.WindowsOptions = windows }),
			privilege: isolation.PrivilegePrivileged, host: isolation.PrivilegedContainer,
		},
		"a Windows HostProcess container": {
			change:    with(func(s *v1.PodSpec) { s.Containers[0].SecurityContext.WindowsOptions = windows }),
			privilege: isolation.PrivilegePrivileged, host: isolation.PrivilegedContainer,
		},
		"PVCs, made by hand and made for the pod": {
			change: with(func(s *v1.PodSpec) {
				s.Volumes = []v1.Volume{
					{Name: "a", VolumeSource: v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
					{Name: "b", VolumeSource: v1.VolumeSource{Ephemeral: &v1.EphemeralVolumeSource{}}},
				}
			}),
			privilege: isolation.PrivilegeRestricted,
			pvcs:      []string{"ns/data", "ns/p-b"},
		},
		"an inline volume's driver": {
			change: with(func(s *v1.PodSpec) {
				s.Volumes = []v1.Volume{{Name: "v", VolumeSource: v1.VolumeSource{CSI: &v1.CSIVolumeSource{Driver: "csi"}}}}
			}),
			privilege: isolation.PrivilegeRestricted,
			drivers:   []string{"csi"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := gatherer.Gather(newPod("ns", tc.change))
			want := Facts{Privilege: tc.privilege, HostAccess: tc.host, PVCs: tc.pvcs, CSIDrivers: tc.drivers}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}
