package integration

import (
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// zonalPVC makes a PVC whose volume is in a zone, by the label that older volumes have.
func (c *fixture) zonalPVC(namespace, zone string) string {
	c.Helper()
	pvc := c.unboundPVC(namespace)
	volume := newVolume(pvc, csiVolume, nil)
	volume.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	c.bindVolume(pvc, volume)
	return pvc.Name
}

// volumeLimit does the part of the CSI driver that reports how many volumes a node can have.
func (c *fixture) volumeLimit(node string, count int32) {
	c.Helper()
	driver := storagev1.CSINodeDriver{Name: csiVolume.CSI.Driver, NodeID: node, Allocatable: &storagev1.VolumeNodeResources{Count: &count}}
	csiNode := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{driver}}}
	_, err := c.api.StorageV1().CSINodes().Create(c.Context(), csiNode, metav1.CreateOptions{})
	c.must(err)
}

// daemonOf does what the DaemonSet controller does.
func daemonOf(node string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchFields: []corev1.NodeSelectorRequirement{{
					Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
				}},
			}}},
		}}
	}
}

// deviceResourceClaim creates what a driver with one device on one node publishes, and a ResourceClaim
// for the device.
func (c *fixture) deviceResourceClaim(namespace, node string) string {
	c.Helper()
	name := c.name("device")
	driver := name + ".example.com"
	class := &resourcev1.DeviceClass{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: resourcev1.DeviceClassSpec{Selectors: []resourcev1.DeviceSelector{{
			CEL: &resourcev1.CELDeviceSelector{Expression: `device.driver == "` + driver + `"`},
		}}},
	}
	_, err := c.api.ResourceV1().DeviceClasses().Create(c.Context(), class, metav1.CreateOptions{})
	c.must(err)
	slice := &resourcev1.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: resourcev1.ResourceSliceSpec{
			Driver: driver, NodeName: &node,
			Pool:    resourcev1.ResourcePool{Name: node, ResourceSliceCount: 1},
			Devices: []resourcev1.Device{{Name: "one"}},
		},
	}
	_, err = c.api.ResourceV1().ResourceSlices().Create(c.Context(), slice, metav1.CreateOptions{})
	c.must(err)
	resourceClaim := &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
			Name: "one", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: name},
		}}}},
	}
	_, err = c.api.ResourceV1().ResourceClaims(namespace).Create(c.Context(), resourceClaim, metav1.CreateOptions{})
	c.must(err)
	return name
}

func device(resourceClaim string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "device", ResourceClaimName: ptr.To(resourceClaim)}}
		p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "device"}}
	}
}
