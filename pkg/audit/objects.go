package audit

import (
	"fmt"
	"iter"
	"maps"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"

	"tenantisolation.dev/scheduler/pkg/podfacts"
)

var (
	_ podfacts.Surroundings = &Engine{}
	_ podfacts.Storage      = &Engine{}
)

// objects is what the rule reads besides pods and nodes.
type objects struct {
	namespaces map[string]map[string]string
	classes    map[string]podfacts.RuntimeClass
	pvcs       map[string]*v1.PersistentVolumeClaim
	volumes    map[string]*v1.PersistentVolume
	storage    map[string]*storagev1.StorageClass

	// unboundPVCs and freeVolumes may still meet, by storage class; pvcsOf are the
	// PVCs that name a volume.
	unboundPVCs, freeVolumes, pvcsOf index
}

func newObjects() objects {
	return objects{
		namespaces:  map[string]map[string]string{},
		classes:     map[string]podfacts.RuntimeClass{},
		pvcs:        map[string]*v1.PersistentVolumeClaim{},
		volumes:     map[string]*v1.PersistentVolume{},
		storage:     map[string]*storagev1.StorageClass{},
		unboundPVCs: index{},
		freeVolumes: index{},
		pvcsOf:      index{},
	}
}

// Set takes an object, or its new version. It keeps the object, which must not be changed
// any more. The rule reads Nodes, Namespaces, Pods, RuntimeClasses,
// PersistentVolumeClaims, PersistentVolumes and StorageClasses; any other kind is an error.
func (e *Engine) Set(obj runtime.Object) error {
	switch o := obj.(type) {
	case *v1.Pod:
		e.setPod(o)
	case *v1.Node:
		e.setNode(o.Name, o)
	case *v1.Namespace:
		e.setNamespace(o.Name, o.Labels, true)
	case *nodev1.RuntimeClass:
		e.classes[o.Name] = podfacts.NewRuntimeClass(o)
		e.judgeAll(e.by.class[o.Name])
	case *v1.PersistentVolumeClaim:
		e.setPVC(pvcKey(o), o)
	case *v1.PersistentVolume:
		e.setVolume(o.Name, o)
	case *storagev1.StorageClass:
		e.storage[o.Name] = o
		e.judgeUnboundPVCs(o.Name)
	default:
		return unread(obj)
	}
	return nil
}

// Delete forgets an object; one that is not known is nothing to forget.
func (e *Engine) Delete(obj runtime.Object) error {
	switch o := obj.(type) {
	case *v1.Pod:
		e.removePod(podKey(o))
	case *v1.Node:
		e.setNode(o.Name, nil)
	case *v1.Namespace:
		e.setNamespace(o.Name, nil, false)
	case *nodev1.RuntimeClass:
		delete(e.classes, o.Name)
		e.judgeAll(e.by.class[o.Name])
	case *v1.PersistentVolumeClaim:
		e.setPVC(pvcKey(o), nil)
	case *v1.PersistentVolume:
		e.setVolume(o.Name, nil)
	case *storagev1.StorageClass:
		delete(e.storage, o.Name)
		e.judgeUnboundPVCs(o.Name)
	default:
		return unread(obj)
	}
	return nil
}

func unread(obj runtime.Object) error {
	return fmt.Errorf("the rule reads nothing of a %T: pass nodes, namespaces, pods, runtime classes, PVCs, volumes and storage classes", obj)
}

func (e *Engine) setNamespace(name string, labels map[string]string, exists bool) {
	old, known := e.namespaces[name]
	if known == exists && maps.Equal(old, labels) {
		return
	}
	if exists {
		e.namespaces[name] = labels
	} else {
		delete(e.namespaces, name)
	}
	e.judgeAll(e.by.namespace[name])
}

func (e *Engine) setPVC(key string, pvc *v1.PersistentVolumeClaim) {
	if old := e.pvcs[key]; old != nil {
		e.unboundPVCs.remove(unboundClass(old), key)
		e.pvcsOf.remove(old.Spec.VolumeName, key)
		delete(e.pvcs, key)
	}
	if pvc != nil {
		e.pvcs[key] = pvc
		e.unboundPVCs.add(unboundClass(pvc), key)
		e.pvcsOf.add(pvc.Spec.VolumeName, key)
	}
	e.judgeAll(e.by.pvc[key])
}

func (e *Engine) setVolume(name string, volume *v1.PersistentVolume) {
	old := e.volumes[name]
	if old != nil {
		e.freeVolumes.remove(freeClass(old), name)
		delete(e.volumes, name)
	}
	if volume != nil {
		e.volumes[name] = volume
		e.freeVolumes.add(freeClass(volume), name)
	}
	for key := range e.pvcsOf[name] {
		e.judgeAll(e.by.pvc[key])
	}
	for _, v := range []*v1.PersistentVolume{old, volume} {
		// Only a directory of the host, coming or going, says something of a PVC that has
		// no volume yet.
		if v != nil && freeClass(v) != "" && e.rules.VolumeOnHost(v) {
			e.judgeUnboundPVCs(freeClass(v))
		}
	}
}

func (e *Engine) judgeUnboundPVCs(class string) {
	for key := range e.unboundPVCs[class] {
		e.judgeAll(e.by.pvc[key])
	}
}

// NamespaceLabels returns the labels of a namespace, and whether it is known.
func (e *Engine) NamespaceLabels(name string) (map[string]string, bool) {
	labels, known := e.namespaces[name]
	return labels, known
}

// RuntimeClass returns a RuntimeClass, and whether it is known.
func (e *Engine) RuntimeClass(name string) (podfacts.RuntimeClass, bool) {
	class, known := e.classes[name]
	return class, known
}

func (e *Engine) runtimeClasses() iter.Seq[podfacts.RuntimeClass] { return maps.Values(e.classes) }

// PVCOnHost tells of a PVC ("namespace/name") whether its volume is a directory of the
// host, and whether the PVC is known.
func (e *Engine) PVCOnHost(key string) (onHost, known bool) {
	pvc, known := e.pvcs[key]
	return known && e.rules.PVCOnHost(pvc, e), known
}

// Volume returns a PersistentVolume, and whether it is known.
func (e *Engine) Volume(name string) (*v1.PersistentVolume, bool) {
	volume, known := e.volumes[name]
	return volume, known
}

// FreeVolumes returns the PersistentVolumes of a storage class that no PVC has.
func (e *Engine) FreeVolumes(class string) []*v1.PersistentVolume {
	var free []*v1.PersistentVolume
	for name := range e.freeVolumes[class] {
		free = append(free, e.volumes[name])
	}
	return free
}

// StorageClass returns a StorageClass, and whether it is known.
func (e *Engine) StorageClass(name string) (*storagev1.StorageClass, bool) {
	class, known := e.storage[name]
	return class, known
}

// unboundClass returns the storage class of a PVC without a volume, empty if it has one
// or names no class.
func unboundClass(pvc *v1.PersistentVolumeClaim) string {
	if pvc.Spec.VolumeName != "" || pvc.Spec.StorageClassName == nil {
		return ""
	}
	return *pvc.Spec.StorageClassName
}

// freeClass returns the storage class of a volume that no PVC has, empty otherwise.
func freeClass(volume *v1.PersistentVolume) string {
	if volume.Spec.ClaimRef != nil {
		return ""
	}
	return volume.Spec.StorageClassName
}

func pvcKey(pvc *v1.PersistentVolumeClaim) string { return pvc.Namespace + "/" + pvc.Name }

// index finds names by another name. The empty name finds nothing.
type index map[string]sets.Set[string]

func (i index) add(by, name string) {
	if by == "" {
		return
	}
	if i[by] == nil {
		i[by] = sets.Set[string]{}
	}
	i[by].Insert(name)
}

func (i index) remove(by, name string) {
	i[by].Delete(name)
	if len(i[by]) == 0 {
		delete(i, by)
	}
}
