package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// oracle is a second, naive audit: it compares every pod of the cluster with every other one by
// Decide, and finds objects by linear search.
type oracle struct {
	rules    *podfacts.Rules
	gatherer *podfacts.Gatherer
	objects  map[string]runtime.Object
}

// find returns the objects of one kind.
func find[T runtime.Object](o *oracle, want func(T) bool) []T {
	var found []T
	for _, key := range slices.Sorted(maps.Keys(o.objects)) {
		if t, ok := o.objects[key].(T); ok && want(t) {
			found = append(found, t)
		}
	}
	return found
}

func first[T any](found []T) (T, bool) {
	if len(found) == 0 {
		var none T
		return none, false
	}
	return found[0], true
}

func (o *oracle) Namespace(name string) (podfacts.Namespace, bool) {
	ns, ok := first(find(o, func(ns *v1.Namespace) bool { return ns.Name == name }))
	if !ok {
		return podfacts.Namespace{}, false
	}
	return podfacts.Namespace{Labels: ns.Labels, Created: ns.CreationTimestamp}, true
}

func (o *oracle) RuntimeClass(name string) (podfacts.RuntimeClass, bool) {
	class, ok := first(find(o, func(c *nodev1.RuntimeClass) bool { return c.Name == name }))
	if !ok {
		return podfacts.RuntimeClass{}, false
	}
	return podfacts.NewRuntimeClass(class), true
}

func (o *oracle) pvc(key string) (*v1.PersistentVolumeClaim, bool) {
	return first(find(o, func(c *v1.PersistentVolumeClaim) bool { return c.Namespace+"/"+c.Name == key }))
}

func (o *oracle) PVCOnHost(key string) (onHost, known bool) {
	pvc, ok := o.pvc(key)
	return ok && o.rules.PVCOnHost(pvc, o), ok
}

func (o *oracle) Volume(name string) (*v1.PersistentVolume, bool) {
	return first(find(o, func(v *v1.PersistentVolume) bool { return v.Name == name }))
}

func (o *oracle) FreeVolumes(class string) []*v1.PersistentVolume {
	return find(o, func(v *v1.PersistentVolume) bool {
		return v.Spec.ClaimRef == nil && v.Spec.StorageClassName == class
	})
}

func (o *oracle) StorageClass(name string) (*storagev1.StorageClass, bool) {
	return first(find(o, func(c *storagev1.StorageClass) bool { return c.Name == name }))
}

// judged is a pod with its subject.
type judged struct {
	*v1.Pod
	subject isolation.Subject
}

func (j *judged) name() string { return j.Namespace + "/" + j.Name }

// accusation names a pair of pods, or one pod alone, and what they break.
func accusation(reason Reason, a, b string) string {
	if b != "" && b < a {
		a, b = b, a
	}
	return fmt.Sprintf("%s %s %s", reason, a, b)
}

// accuse returns every accusation, and how many pairs of pods share a node.
func (o *oracle) accuse() (accusations map[string]bool, pairs int) {
	accusations = map[string]bool{}
	var pods []judged
	for _, p := range find(o, func(p *v1.Pod) bool {
		return p.Spec.NodeName != "" && p.Status.Phase != v1.PodSucceeded && p.Status.Phase != v1.PodFailed
	}) {
		facts := o.gatherer.Gather(p)
		if s := o.rules.Subject(p, &facts, o); !s.Platform() {
			pods = append(pods, judged{p, s})
		}
	}
	for i := range pods {
		a := &pods[i]
		if reason, wrong := a.subject.Denied(); wrong && reason != isolation.UnmanagedNamespace {
			accusations[accusation(reasonOf(reason), a.name(), "")] = true
		}
		if len(find(o, func(n *v1.Node) bool { return n.Name == a.Spec.NodeName })) == 0 {
			accusations[accusation(MissingNode, a.name(), "")] = true
		}
		for j := range i {
			b := &pods[j]
			if a.Spec.NodeName == b.Spec.NodeName {
				pairs++
				if reason, breaks := breaksOnNode(a.subject, b.subject); breaks {
					accusations[accusation(o.remade(reason, a, b), a.name(), b.name())] = true
				}
			}
			if mayShareFiles(a.subject, b.subject) {
				continue
			}
			for _, shared := range o.sharedFiles(a, b) {
				accusations[accusation(shared, a.name(), b.name())] = true
			}
		}
	}
	return accusations, pairs
}

// breaksOnNode calls Decide for each pod beside the other. A denial for the pod itself is no denial
// of the pair: then the other one's verdict counts.
func breaksOnNode(a, b isolation.Subject) (isolation.Reason, bool) {
	if isUnmanaged(a) && isUnmanaged(b) {
		return isolation.Undecided, false
	}
	// A pod of unknown trust domain is denied beside any other.
	for _, s := range []isolation.Subject{a, b} {
		if _, known := s.TrustDomain(); !known && !isUnmanaged(s) {
			return isolation.UnknownResident, true
		}
	}
	if isUnmanaged(a) || isUnmanaged(b) {
		return isolation.UnmanagedResident, true
	}
	for _, pair := range [][2]isolation.Subject{{a, b}, {b, a}} {
		node := isolation.Node{Occupancy: isolation.NewOccupancy([]isolation.Resident{{UID: "resident", Subject: pair[1]}})}
		incoming := pair[0]
		v := isolation.Decide(&incoming, &node)
		if v.Allowed() {
			return isolation.Undecided, false
		}
		if v.Reason().AboutResidents() {
			return v.Reason(), true
		}
	}
	// Both have too weak a boundary: what is left is whether they are of one trust domain.
	if a.SharesKernelWith(b) {
		return isolation.Undecided, false
	}
	return isolation.ForeignResident, true
}

// remade says so of a pair in which both would be in VMs if no RuntimeClass were newer than its
// pod.
func (o *oracle) remade(reason isolation.Reason, pair ...*judged) Reason {
	for _, p := range pair {
		class, known := o.RuntimeClass(podfacts.RuntimeClassName(p.Pod))
		_, stamped := p.Annotations[isolation.EvidenceAnnotation]
		newer := known && !stamped && p.Status.StartTime != nil && p.Status.StartTime.Before(&class.Created)
		if doubt := newer && p.subject.HostAccess() == 0 && o.rules.BoundaryOf(class.Handler) == isolation.BoundaryVM; !doubt && !p.subject.Isolated() {
			return reasonOf(reason)
		}
	}
	if reason != isolation.ForeignResident {
		return reasonOf(reason)
	}
	return RemadeRuntimeClass
}

func mayShareFiles(a, b isolation.Subject) bool {
	return a.SharesKernelWith(b) || (isUnmanaged(a) && isUnmanaged(b))
}

func isUnmanaged(s isolation.Subject) bool {
	reason, _ := s.Denied()
	return reason == isolation.UnmanagedNamespace
}

// sharedFiles compares all volumes of the one pod with all of the other.
func (o *oracle) sharedFiles(a, b *judged) []Reason {
	var shared []Reason
	for _, ours := range o.volumesOf(a) {
		for _, theirs := range o.volumesOf(b) {
			switch {
			case ours.store != "" && ours.store == theirs.store:
				shared = append(shared, SharedPVC)
			case a.Spec.NodeName == b.Spec.NodeName && ours.directory != "" && theirs.directory != "" &&
				(strings.HasPrefix(ours.directory+"/", theirs.directory+"/") || strings.HasPrefix(theirs.directory+"/", ours.directory+"/")):
				shared = append(shared, SharedHostPath)
			}
			if ours.store == theirs.store && ours.store != "" && ours.directory != "" && a.Spec.NodeName == b.Spec.NodeName {
				shared = append(shared, SharedHostPath)
			}
		}
	}
	return shared
}

type mounted struct{ directory, store string }

func (o *oracle) volumesOf(p *judged) []mounted {
	var all []mounted
	for i := range p.Spec.Volumes {
		if host := p.Spec.Volumes[i].HostPath; host != nil {
			all = append(all, mounted{directory: strings.TrimSuffix(host.Path, "/")})
		}
		pvc := p.Spec.Volumes[i].PersistentVolumeClaim
		if pvc == nil {
			continue
		}
		key := p.Namespace + "/" + pvc.ClaimName
		m := mounted{store: key}
		if pvc, known := o.pvc(key); known {
			volume, known := o.Volume(pvc.Spec.VolumeName)
			if known && volume.Spec.ClaimRef != nil && volume.Spec.ClaimRef.Namespace+"/"+volume.Spec.ClaimRef.Name == key {
				if volume.Spec.HostPath != nil {
					m.directory = volume.Spec.HostPath.Path
				}
				if volume.Spec.NFS != nil {
					m.store = "nfs " + volume.Spec.NFS.Server + volume.Spec.NFS.Path
				}
			}
		}
		all = append(all, m)
	}
	return all
}
