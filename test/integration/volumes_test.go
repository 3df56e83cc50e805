package integration

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// What a PersistentVolume is made of.
var (
	hostPathVolume = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib"}}
	localVolume    = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/mnt/disk"}}
	csiVolume      = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: "v"}}
)

// unboundClaim makes a claim that somebody will bind to a volume made by hand, which may
// be of any kind.
func (c *cluster) unboundClaim(namespace string) *corev1.PersistentVolumeClaim {
	c.Helper()
	class := &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: c.name("storage")},
		Provisioner:       "kubernetes.io/no-provisioner",
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
	}
	_, err := c.api.StorageV1().StorageClasses().Create(c.Context(), class, metav1.CreateOptions{})
	c.must(err)
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: c.name("claim"), Namespace: namespace},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			StorageClassName: &class.Name,
			Resources:        corev1.VolumeResourceRequirements{Requests: oneGigabyte},
		},
	}
	claim, err = c.api.CoreV1().PersistentVolumeClaims(namespace).Create(c.Context(), claim, metav1.CreateOptions{})
	c.must(err)
	return claim
}

var oneGigabyte = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}

// offer makes a volume on a node and leaves it to the scheduler to choose it for the claim.
func (c *cluster) offer(claim *corev1.PersistentVolumeClaim, node string) *corev1.PersistentVolume {
	c.Helper()
	volume := newVolume(claim, localVolume, []string{node})
	volume.Name = c.name("volume")
	volume, err := c.api.CoreV1().PersistentVolumes().Create(c.Context(), volume, metav1.CreateOptions{})
	c.must(err)
	// The scheduler passes over what no controller has called available.
	volume.Status.Phase = corev1.VolumeAvailable
	volume, err = c.api.CoreV1().PersistentVolumes().UpdateStatus(c.Context(), volume, metav1.UpdateOptions{})
	c.must(err)
	return volume
}

// chosen waits until the scheduler has chosen a volume for a claim.
func (c *cluster) chosen(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) {
	c.Helper()
	c.eventually("the scheduler to choose "+volume.Name, func(ctx context.Context) (bool, error) {
		got, err := c.api.CoreV1().PersistentVolumes().Get(ctx, volume.Name, metav1.GetOptions{})
		return err == nil && got.Spec.ClaimRef != nil && got.Spec.ClaimRef.UID == claim.UID, err
	})
}

// newVolume makes a volume that is on these nodes, or on all. Of a local volume the API
// server demands to know.
func newVolume(claim *corev1.PersistentVolumeClaim, source corev1.PersistentVolumeSource, nodes []string) *corev1.PersistentVolume {
	volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: source,
		AccessModes:            claim.Spec.AccessModes,
		StorageClassName:       *claim.Spec.StorageClassName,
		Capacity:               oneGigabyte,
	}}
	if len(nodes) > 0 {
		volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: nodes,
			}}}},
		}}
	}
	return volume
}

// bind plays the controllers that make a volume for a claim and bind the two.
func (c *cluster) bind(claim *corev1.PersistentVolumeClaim, source corev1.PersistentVolumeSource, nodes ...string) {
	c.Helper()
	c.bindVolume(claim, newVolume(claim, source, nodes))
}

func (c *cluster) bindVolume(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) {
	c.Helper()
	volume.Name = c.name("volume")
	volume.Spec.ClaimRef = &corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim",
		Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
	}
	_, err := c.api.CoreV1().PersistentVolumes().Create(c.Context(), volume, metav1.CreateOptions{})
	c.must(err)
	c.bindTo(claim, volume.Name)
}

func (c *cluster) bindTo(claim *corev1.PersistentVolumeClaim, volume string) {
	c.Helper()
	claims := c.api.CoreV1().PersistentVolumeClaims(claim.Namespace)
	claim, err := claims.Get(c.Context(), claim.Name, metav1.GetOptions{})
	c.must(err)
	claim.Spec.VolumeName = volume
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, "pv.kubernetes.io/bind-completed", "yes")
	claim, err = claims.Update(c.Context(), claim, metav1.UpdateOptions{})
	c.must(err)
	claim.Status.Phase = corev1.ClaimBound
	_, err = claims.UpdateStatus(c.Context(), claim, metav1.UpdateOptions{})
	c.must(err)
}

func (c *cluster) boundClaim(namespace string, source corev1.PersistentVolumeSource, nodes ...string) string {
	c.Helper()
	claim := c.unboundClaim(namespace)
	c.bind(claim, source, nodes...)
	return claim.Name
}

func TestAVirtualMachineWithADirectoryOfTheHostIsAContainer(t *testing.T) {
	for name, tc := range map[string]struct {
		volume corev1.PersistentVolumeSource
		onHost bool
	}{
		"a hostPath volume behind a claim": {hostPathVolume, true},
		"a local volume behind a claim":    {localVolume, true},
		"a CSI volume behind a claim":      {csiVolume, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			node := c.node(kataCapable)
			c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(kata)))
			globex := c.namespace(tenant("globex"))
			pod := c.pod(globex, runtimeClass(kata), claim(c.boundClaim(globex, tc.volume, node)))
			if tc.onHost {
				c.refused(pod, foreignThere)
				return
			}
			c.expectOn(node, pod)
		})
	}
}

func TestAVirtualMachineWithAClaimOfUnknownKindIsAContainerUntilItIsBound(t *testing.T) {
	for name, tc := range map[string]struct {
		volume corev1.PersistentVolumeSource
		helps  bool
	}{
		"to a CSI volume":            {csiVolume, true},
		"to a directory of the host": {hostPathVolume, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			node := c.node(kataCapable)
			c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(kata)))
			globex := c.namespace(tenant("globex"))
			unbound := c.unboundClaim(globex)
			pod := c.pod(globex, runtimeClass(kata), claim(unbound.Name))
			c.refused(pod, foreignThere)
			before := c.mark(pod)
			since := time.Now()
			c.bind(unbound, tc.volume)
			if tc.helps {
				c.woken(before, since)
				return
			}
			c.roundTrip()
			c.asleep(before)
		})
	}
}
