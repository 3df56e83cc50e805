package residents

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
)

// lag is by how much the scheduler may have judged a resident by an older version of it: that a
// pod raises its privilege while another is being bound beside it is in nobody's hand.
const lag = 3 * time.Second

// resident is a pod as the history has it.
type resident struct {
	pod *corev1.Pod
	// vm: it was placed in a VM, and what it mounts has been in the network ever since.
	vm bool
	// domain is its trust domain, changed when that was last another one.
	domain  string
	changed time.Time
}

// oracle replays a history. A pod that was placed as a container stays one, and one that was
// placed in a VM is one only as long as nothing was ever seen to void it.
type oracle struct {
	residents map[types.UID]*resident
	claims    map[string]*corev1.PersistentVolumeClaim
	volumes   map[string]*corev1.PersistentVolume
	// left is when a pod has last left each node and each namespace, found when the audit has
	// last said that pods there break the rule.
	left, found                  map[string]time.Time
	placed, shared, began, ended int
	faults                       []string
}

func newOracle() *oracle {
	return &oracle{
		residents: map[types.UID]*resident{}, claims: map[string]*corev1.PersistentVolumeClaim{},
		volumes: map[string]*corev1.PersistentVolume{}, left: map[string]time.Time{}, found: map[string]time.Time{},
	}
}

func (o *oracle) String() string {
	return fmt.Sprintf("%d placements, %d beside another trust domain; %d findings began, %d ended", o.placed, o.shared, o.began, o.ended)
}

func (o *oracle) see(e event) {
	switch object := e.object.(type) {
	case *corev1.PersistentVolumeClaim:
		o.claims[object.Namespace+"/"+object.Name] = object
		if e.gone {
			delete(o.claims, object.Namespace+"/"+object.Name)
		}
		o.weaken()
	case *corev1.PersistentVolume:
		o.volumes[object.Name] = object
		o.weaken()
	case *corev1.Pod:
		o.seePod(object, e)
	case *eventsv1.Event:
		o.seeFinding(object, e.at)
	}
}

// seeFinding: a finding ends when a pod leaves the node, or the namespace of the volume, that it is
// about, and for no other reason. The audit reports late that one has begun.
func (o *oracle) seeFinding(e *eventsv1.Event, at time.Time) {
	place := placeOf(e)
	if e.Reason != "FindingEnded" {
		o.began++
		o.found[place] = at
		return
	}
	o.ended++
	if left := o.left[place]; left.Before(o.found[place].Add(-4 * lag)) {
		o.fault("a finding about %s has ended, and no pod has left it since it began: %s", place, e.Note)
	}
}

// placeOf returns the node that a finding is about, or the namespace of its volume.
func placeOf(e *eventsv1.Event) string {
	if e.Related != nil {
		return e.Related.Name
	}
	volume, _ := strings.CutPrefix(e.Note, "volume ")
	namespace, _, _ := strings.Cut(volume, "/")
	return namespace
}

func (o *oracle) seePod(pod *corev1.Pod, e event) {
	known := o.residents[pod.UID]
	switch {
	case e.gone:
		delete(o.residents, pod.UID)
		o.left[pod.Spec.NodeName], o.left[pod.Namespace] = e.at, e.at
	case pod.Spec.NodeName == "":
	case known == nil:
		o.join(pod, e)
	default:
		if domain := domainOf(pod); domain != known.domain {
			known.domain, known.changed = domain, e.at
		}
		known.pod = pod
		known.vm = known.vm && o.inVM(pod)
	}
}

// join compares a pod that has just been bound with everybody on its node.
func (o *oracle) join(pod *corev1.Pod, e event) {
	me := &resident{pod: pod, vm: o.inVM(pod), domain: domainOf(pod)}
	o.residents[pod.UID] = me
	o.placed++
	beside := false
	for _, other := range o.residents {
		if other == me || other.pod.Spec.NodeName != pod.Spec.NodeName || other.domain == me.domain {
			continue
		}
		beside = true
		if me.vm && other.vm || e.at.Sub(other.changed) < lag {
			continue
		}
		o.fault("%s/%s (%s, VM %t) was bound to %s beside %s/%s (%s, VM %t)", pod.Namespace, pod.Name, me.domain, me.vm,
			pod.Spec.NodeName, other.pod.Namespace, other.pod.Name, other.domain, other.vm)
	}
	if beside {
		o.shared++
	}
}

// weaken looks at what every resident mounts.
func (o *oracle) weaken() {
	for _, r := range o.residents {
		r.vm = r.vm && o.inVM(r.pod)
	}
}

// inVM: the pod is in a VM and shares nothing with its node, as the objects are now.
func (o *oracle) inVM(pod *corev1.Pod) bool {
	if pod.Spec.RuntimeClassName == nil || *pod.Spec.RuntimeClassName != vmClass || privileged(pod) {
		return false
	}
	if _, cdi := pod.Annotations["cdi.k8s.io/gpu"]; cdi {
		return false
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.HostPath != nil {
			return false
		}
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		claim := o.claims[pod.Namespace+"/"+volume.PersistentVolumeClaim.ClaimName]
		if claim == nil || claim.Spec.VolumeName == "" {
			return false
		}
		if behind := o.volumes[claim.Spec.VolumeName]; behind == nil || behind.Spec.CSI == nil {
			return false
		}
	}
	return true
}

// privileged: a container of the pod is privileged, or it mounts a directory of its node.
func privileged(pod *corev1.Pod) bool {
	is := func(sc *corev1.SecurityContext) bool { return sc != nil && sc.Privileged != nil && *sc.Privileged }
	for i := range pod.Spec.Containers {
		if is(pod.Spec.Containers[i].SecurityContext) {
			return true
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if is(pod.Spec.EphemeralContainers[i].SecurityContext) {
			return true
		}
	}
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].HostPath != nil {
			return true
		}
	}
	return false
}

// domainOf: the tenant is the namespace's name here.
func domainOf(pod *corev1.Pod) string {
	own := pod.Spec.HostUsers != nil && !*pod.Spec.HostUsers
	return fmt.Sprintf("tenant %s, class %q, privileged %t, own users %t", pod.Namespace, pod.Labels["tenantisolation.dev/data-class"], privileged(pod), own)
}

func (o *oracle) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}
