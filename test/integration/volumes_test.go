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

// unboundPVC makes a PVC that will be bound to a volume made by hand, which may
// be of any kind.
func (c *fixture) unboundPVC(namespace string) *corev1.PersistentVolumeClaim {
	c.Helper()
	class := &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: c.name("storage")},
		Provisioner:       "kubernetes.io/no-provisioner",
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
	}
	_, err := c.api.StorageV1().StorageClasses().Create(c.Context(), class, metav1.CreateOptions{})
	c.must(err)
	pvc := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: c.name("pvc"), Namespace: namespace},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			StorageClassName: &class.Name,
			Resources:        corev1.VolumeResourceRequirements{Requests: oneGigabyte},
		},
	}
	pvc, err = c.api.CoreV1().PersistentVolumeClaims(namespace).Create(c.Context(), pvc, metav1.CreateOptions{})
	c.must(err)
	return pvc
}

var oneGigabyte = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}

// offer makes a volume on a node and leaves it to the scheduler to choose it for the PVC.
func (c *fixture) offer(pvc *corev1.PersistentVolumeClaim, node string) *corev1.PersistentVolume {
	c.Helper()
	volume := newVolume(pvc, localVolume, []string{node})
	volume.Name = c.name("volume")
	volume, err := c.api.CoreV1().PersistentVolumes().Create(c.Context(), volume, metav1.CreateOptions{})
	c.must(err)
	// The scheduler ignores volumes that no controller has marked as available.
	volume.Status.Phase = corev1.VolumeAvailable
	volume, err = c.api.CoreV1().PersistentVolumes().UpdateStatus(c.Context(), volume, metav1.UpdateOptions{})
	c.must(err)
	return volume
}

// chosen waits until the scheduler has chosen a volume for a PVC.
func (c *fixture) chosen(pvc *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) {
	c.Helper()
	c.eventually("the scheduler to choose "+volume.Name, func(ctx context.Context) (bool, error) {
		got, err := c.api.CoreV1().PersistentVolumes().Get(ctx, volume.Name, metav1.GetOptions{})
		return err == nil && got.Spec.ClaimRef != nil && got.Spec.ClaimRef.UID == pvc.UID, err
	})
}

// newVolume makes a volume that is on these nodes, or on all. Of a local volume the API
// server demands to know.
func newVolume(pvc *corev1.PersistentVolumeClaim, source corev1.PersistentVolumeSource, nodes []string) *corev1.PersistentVolume {
	volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: source,
		AccessModes:            pvc.Spec.AccessModes,
		StorageClassName:       *pvc.Spec.StorageClassName,
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

// bind does what the controllers do that create a volume for a PVC and bind both.
func (c *fixture) bind(pvc *corev1.PersistentVolumeClaim, source corev1.PersistentVolumeSource, nodes ...string) {
	c.Helper()
	c.bindVolume(pvc, newVolume(pvc, source, nodes))
}

func (c *fixture) bindVolume(pvc *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) {
	c.Helper()
	volume.Name = c.name("volume")
	volume.Spec.ClaimRef = &corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim",
		Namespace: pvc.Namespace, Name: pvc.Name, UID: pvc.UID,
	}
	_, err := c.api.CoreV1().PersistentVolumes().Create(c.Context(), volume, metav1.CreateOptions{})
	c.must(err)
	c.bindTo(pvc, volume.Name)
}

func (c *fixture) bindTo(pvc *corev1.PersistentVolumeClaim, volume string) {
	c.Helper()
	pvcs := c.api.CoreV1().PersistentVolumeClaims(pvc.Namespace)
	pvc, err := pvcs.Get(c.Context(), pvc.Name, metav1.GetOptions{})
	c.must(err)
	pvc.Spec.VolumeName = volume
	metav1.SetMetaDataAnnotation(&pvc.ObjectMeta, "pv.kubernetes.io/bind-completed", "yes")
	pvc, err = pvcs.Update(c.Context(), pvc, metav1.UpdateOptions{})
	c.must(err)
	pvc.Status.Phase = corev1.ClaimBound
	_, err = pvcs.UpdateStatus(c.Context(), pvc, metav1.UpdateOptions{})
	c.must(err)
}

func (c *fixture) boundPVC(namespace string, source corev1.PersistentVolumeSource, nodes ...string) string {
	c.Helper()
	pvc := c.unboundPVC(namespace)
	c.bind(pvc, source, nodes...)
	return pvc.Name
}

func TestVMWithADirectoryOfTheHost(t *testing.T) {
	for name, tc := range map[string]struct {
		volume corev1.PersistentVolumeSource
		onHost bool
	}{
		"a hostPath volume behind a PVC": {hostPathVolume, true},
		"a local volume behind a PVC":    {localVolume, true},
		"a CSI volume behind a PVC":      {csiVolume, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node(kataCapable)
			c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(kata)))
			globex := c.namespace(tenant("globex"))
			pod := c.pod(globex, runtimeClass(kata), pvc(c.boundPVC(globex, tc.volume, node)))
			if tc.onHost {
				c.refused(pod, foreignThere)
				return
			}
			c.expectOn(node, pod)
		})
	}
}

func TestVMWithAnUnboundPVC(t *testing.T) {
	for name, tc := range map[string]struct {
		volume corev1.PersistentVolumeSource
		helps  bool
	}{
		"to a CSI volume":            {csiVolume, true},
		"to a directory of the host": {hostPathVolume, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node(kataCapable)
			c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(kata)))
			globex := c.namespace(tenant("globex"))
			unbound := c.unboundPVC(globex)
			pod := c.pod(globex, runtimeClass(kata), pvc(unbound.Name))
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
