package residents

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	// manyPods is how many pods a tenant has at most.
	manyPods = 24
	// placedWithin is how long a step waits for the pod that it has made.
	placedWithin = 1500 * time.Millisecond
)

// actors do things at random: the tenants, and the controllers that the test plays.
type actors struct {
	*world
	random *rand.Rand
	serial int
	// done and refused count what the tenants tried.
	done, refused map[string]int
}

// act is one thing that a tenant tries.
type act struct {
	name string
	do   func(a *actors, api *kubernetes.Clientset, namespace string) error
}

// errNothing: the tenant has no pod.
var errNothing = apierrors.NewNotFound(corev1.Resource("pods"), "")

// acts are as likely as they are often here.
var acts = []act{
	{"create a pod", (*actors).createPod},
	{"create a pod", (*actors).createPod},
	{"create a pod", (*actors).createPod},
	{"create a pod", (*actors).createPod},
	{"create a pod", (*actors).createPod},
	{"delete a pod", (*actors).deletePod},
	{"delete a pod", (*actors).deletePod},
	{"restore a pod", (*actors).restorePod},
	{"create a PVC", (*actors).createPVC},
	{"create a PVC", (*actors).createPVC},
	{"delete a PVC", (*actors).deletePVC},
	{"swap a PVC", (*actors).swapPVC},
	{"swap a PVC", (*actors).swapPVC},
	{"free a PVC", patchPVC(`{"metadata":{"finalizers":null}}`)},
	{"point a PVC elsewhere", patchPVC(`{"spec":{"volumeName":"pv-1","storageClassName":"directory"}}`)},
	{"annotate a PVC", patchPVC(`{"metadata":{"annotations":{"pv.kubernetes.io/bind-completed":"no"},"labels":{"a":"b"}}}`)},
	{"relabel a pod", patchPod("", `{"metadata":{"labels":{"tenantisolation.dev/data-class":"restricted"}}}`)},
	{"lower a pod", patchPod("", `{"metadata":{"labels":{"tenantisolation.dev/data-class":null}}}`)},
	{"stamp a pod", patchPod("", `{"metadata":{"annotations":{"tenantisolation.dev/trust-domain":"tenant=acme,boundary=vm"}}}`)},
	{"unstamp a pod", patchPod("", `{"metadata":{"annotations":{"tenantisolation.dev/trust-domain":null,"tenantisolation.dev/dedication":null}}}`)},
	{"annotate a pod", patchPod("", `{"metadata":{"annotations":{"cdi.k8s.io/gpu":"vendor.com/gpu=0"}}}`)},
	{"hold a pod", patchPod("", `{"metadata":{"finalizers":["example.com/hold"]}}`)},
	{"let a pod go", patchPod("", `{"metadata":{"finalizers":null}}`)},
	{"tolerate more", patchPod("", `{"spec":{"tolerations":[{"operator":"Exists"}]}}`)},
	{"debug a pod", (*actors).debugPod},
	{"resize a pod", patchPod("resize", `{"spec":{"containers":[{"name":"app","resources":{"requests":{"cpu":"20m"}}}]}}`)},
	{"say that a pod has failed", patchPod("status", `{"status":{"phase":"Failed"}}`)},
	{"say that a pod is old", patchPod("status", `{"status":{"startTime":"2000-01-01T00:00:00Z"}}`)},
	{"evict a pod", (*actors).evictPod},
	{"bind a pod", (*actors).bindPod},
}

// step has one of the tenants try one thing, and the controllers do what they have to.
func (a *actors) step() {
	a.t.Helper()
	tenant := tenants[a.random.IntN(len(tenants))]
	act := acts[a.random.IntN(len(acts))]
	switch err := act.do(a, a.editors[tenant], tenant); {
	case err == nil:
		a.done[act.name]++
	case apierrors.IsNotFound(err):
		// There is nothing to do it with.
	case apierrors.ReasonForError(err) == metav1.StatusReasonUnknown:
		a.t.Fatalf("%s: %v", act.name, err)
	default:
		a.refused[act.name]++
	}
	a.provision()
	a.protect()
	a.collect()
}

func (a *actors) rarely(n int) bool { return a.random.IntN(n) == 0 }

// newPod is a container that does nothing.
func newPod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}},
		Spec: corev1.PodSpec{
			SchedulerName: schedulerName,
			Containers: []corev1.Container{{Name: "app", Image: "none", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")},
			}}},
		},
	}
}

func (a *actors) createPod(api *kubernetes.Clientset, namespace string) error {
	if len(a.pods(namespace)) >= manyPods {
		return a.deletePod(api, namespace)
	}
	a.serial++
	pod := newPod(fmt.Sprintf("pod-%d", a.serial))
	if !a.rarely(4) {
		pod.Spec.RuntimeClassName = new(vmClass)
	}
	if a.rarely(6) {
		pod.Spec.HostUsers = new(bool)
	}
	if a.rarely(6) {
		pod.Labels["tenantisolation.dev/data-class"] = "confidential"
	}
	if a.rarely(12) {
		pod.Annotations = map[string]string{"cdi.k8s.io/gpu": "vendor.com/gpu=0"}
	}
	if a.rarely(2) {
		mount(pod, corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: a.claimName()}})
	}
	if a.rarely(16) {
		mount(pod, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv"}})
	}
	return a.createAndWait(api, namespace, pod)
}

func mount(pod *corev1.Pod, source corev1.VolumeSource) {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("v%d", len(pod.Spec.Volumes)), VolumeSource: source})
}

// createAndWait gives the scheduler some time for the pod, so that there is somebody to attack.
func (a *actors) createAndWait(api *kubernetes.Clientset, namespace string, pod *corev1.Pod) error {
	a.t.Helper()
	made, err := api.CoreV1().Pods(namespace).Create(a.t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	deadline := time.NewTimer(placedWithin)
	defer deadline.Stop()
	every := time.NewTicker(pollEvery)
	defer every.Stop()
	for {
		select {
		case <-deadline.C:
			return nil
		case <-every.C:
		}
		a.provision()
		now, err := a.admin.CoreV1().Pods(namespace).Get(a.t.Context(), made.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if now.Spec.NodeName != "" || len(now.Status.Conditions) > 0 {
			return nil
		}
	}
}

// restorePod does what `kubectl replace --force` does with what `get -o yaml` has written.
func (a *actors) restorePod(api *kubernetes.Clientset, namespace string) error {
	pod := a.anyPod(namespace)
	if pod == nil {
		return errNothing
	}
	a.serial++
	again := pod.DeepCopy()
	again.ObjectMeta = metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", a.serial), Labels: pod.Labels, Annotations: pod.Annotations}
	if a.rarely(2) {
		again.Spec.NodeName = ""
	}
	again.Status = corev1.PodStatus{}
	again.Spec.EphemeralContainers = nil
	return a.createAndWait(api, namespace, again)
}

func (a *actors) deletePod(api *kubernetes.Clientset, namespace string) error {
	pod := a.anyPod(namespace)
	if pod == nil {
		return errNothing
	}
	options := metav1.DeleteOptions{}
	if a.rarely(4) {
		options = *metav1.NewDeleteOptions(int64(a.random.IntN(2)))
	}
	return api.CoreV1().Pods(namespace).Delete(a.t.Context(), pod.Name, options)
}

func (a *actors) debugPod(api *kubernetes.Clientset, namespace string) error {
	pod := a.anyPod(namespace)
	if pod == nil {
		return errNothing
	}
	a.serial++
	container := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: fmt.Sprintf("debug-%d", a.serial), Image: "none"}}
	if a.rarely(2) {
		yes := true
		container.SecurityContext = &corev1.SecurityContext{Privileged: &yes}
	}
	pod = pod.DeepCopy()
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, container)
	_, err := api.CoreV1().Pods(namespace).UpdateEphemeralContainers(a.t.Context(), pod.Name, pod, metav1.UpdateOptions{})
	return err
}

func (a *actors) evictPod(api *kubernetes.Clientset, namespace string) error {
	pod := a.anyPod(namespace)
	if pod == nil {
		return errNothing
	}
	return api.PolicyV1().Evictions(namespace).Evict(a.t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: namespace}})
}

func (a *actors) bindPod(api *kubernetes.Clientset, namespace string) error {
	pod := a.anyPod(namespace)
	if pod == nil {
		return errNothing
	}
	return api.CoreV1().Pods(namespace).Bind(a.t.Context(), &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: namespace},
		Target:     corev1.ObjectReference{Kind: "Node", Name: fmt.Sprintf("node-%d", a.random.IntN(nodes))},
	}, metav1.CreateOptions{})
}

// patchPod writes to a pod or one of its subresources.
func patchPod(subresource, patch string) func(*actors, *kubernetes.Clientset, string) error {
	return func(a *actors, api *kubernetes.Clientset, namespace string) error {
		pod := a.anyPod(namespace)
		if pod == nil {
			return errNothing
		}
		kind := types.StrategicMergePatchType
		if subresource == "" {
			kind = types.MergePatchType
		}
		var subresources []string
		if subresource != "" {
			subresources = []string{subresource}
		}
		_, err := api.CoreV1().Pods(namespace).Patch(a.t.Context(), pod.Name, kind, []byte(patch), metav1.PatchOptions{}, subresources...)
		return err
	}
}

func (a *actors) claimName() string { return fmt.Sprintf("data-%d", a.random.IntN(3)) }

// swapPVC makes another PVC of the name that one has, under the pods that mount it.
func (a *actors) swapPVC(api *kubernetes.Clientset, namespace string) error {
	name, class := a.claimName(), []string{networkClass, directoryClass}[a.random.IntN(2)]
	claims := api.CoreV1().PersistentVolumeClaims(namespace)
	if err := claims.Delete(a.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	_, err := claims.Patch(a.t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return a.claim(api, namespace, name, class)
}

func (a *actors) createPVC(api *kubernetes.Clientset, namespace string) error {
	return a.claim(api, namespace, a.claimName(), []string{networkClass, networkClass, directoryClass}[a.random.IntN(3)])
}

func (a *actors) claim(api *kubernetes.Clientset, namespace, name, class string) error {
	_, err := api.CoreV1().PersistentVolumeClaims(namespace).Create(a.t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}, metav1.CreateOptions{})
	return err
}

func (a *actors) deletePVC(api *kubernetes.Clientset, namespace string) error {
	return api.CoreV1().PersistentVolumeClaims(namespace).Delete(a.t.Context(), a.claimName(), metav1.DeleteOptions{})
}

func patchPVC(patch string) func(*actors, *kubernetes.Clientset, string) error {
	return func(a *actors, api *kubernetes.Clientset, namespace string) error {
		_, err := api.CoreV1().PersistentVolumeClaims(namespace).
			Patch(a.t.Context(), a.claimName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}
}

func (a *actors) pods(namespace string) []corev1.Pod {
	a.t.Helper()
	list, err := a.admin.CoreV1().Pods(namespace).List(a.t.Context(), metav1.ListOptions{})
	must(a.t, err)
	return list.Items
}

func (a *actors) anyPod(namespace string) *corev1.Pod {
	a.t.Helper()
	pods := a.pods(namespace)
	if len(pods) == 0 {
		return nil
	}
	return &pods[a.random.IntN(len(pods))]
}

func (a *actors) claims() []corev1.PersistentVolumeClaim {
	a.t.Helper()
	list, err := a.admin.CoreV1().PersistentVolumeClaims(metav1.NamespaceAll).List(a.t.Context(), metav1.ListOptions{})
	must(a.t, err)
	return list.Items
}

// provision plays the provisioner and the controller that binds volumes.
func (a *actors) provision() {
	a.t.Helper()
	for _, claim := range a.claims() {
		if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
			continue
		}
		a.serial++
		volume := a.volumeFor(&claim)
		if _, err := a.admin.CoreV1().PersistentVolumes().Create(a.t.Context(), volume, metav1.CreateOptions{}); err != nil {
			a.t.Fatal(err)
		}
		claim.Spec.VolumeName = volume.Name
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, "pv.kubernetes.io/bind-completed", "yes")
		bound, err := a.binder.CoreV1().PersistentVolumeClaims(claim.Namespace).Update(a.t.Context(), &claim, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			continue
		}
		must(a.t, err)
		bound.Status.Phase = corev1.ClaimBound
		_, err = a.binder.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(a.t.Context(), bound, metav1.UpdateOptions{})
		must(a.t, err)
	}
}

func (a *actors) volumeFor(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pv-%d", a.serial)},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:      claim.Spec.AccessModes,
			Capacity:         claim.Spec.Resources.Requests,
			StorageClassName: *claim.Spec.StorageClassName,
			ClaimRef:         &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
		},
	}
	if volume.Spec.StorageClassName == networkClass {
		volume.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: volume.Name}
	} else {
		volume.Spec.HostPath = &corev1.HostPathVolumeSource{Path: "/var/lib/" + volume.Name}
	}
	return volume
}

// protect plays the controller that lets a PVC go when no pod uses it any more.
func (a *actors) protect() {
	a.t.Helper()
	for _, claim := range a.claims() {
		if claim.DeletionTimestamp == nil || a.mounted(&claim) {
			continue
		}
		claim.Finalizers = nil
		_, err := a.protector.CoreV1().PersistentVolumeClaims(claim.Namespace).Update(a.t.Context(), &claim, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			a.t.Fatal(err)
		}
	}
}

func (a *actors) mounted(claim *corev1.PersistentVolumeClaim) bool {
	a.t.Helper()
	return slices.ContainsFunc(a.pods(claim.Namespace), func(pod corev1.Pod) bool {
		return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
			return volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claim.Name
		})
	})
}

// collect plays the kubelets, which end the pods that are being deleted, sooner or later.
func (a *actors) collect() {
	a.t.Helper()
	for _, tenant := range tenants {
		for _, pod := range a.pods(tenant) {
			if pod.DeletionTimestamp == nil || pod.Spec.NodeName == "" || !a.rarely(4) {
				continue
			}
			err := a.collector.CoreV1().Pods(tenant).Delete(context.WithoutCancel(a.t.Context()), pod.Name, *metav1.NewDeleteOptions(0))
			if err != nil && !apierrors.IsNotFound(err) {
				a.t.Fatal(err)
			}
		}
	}
}
