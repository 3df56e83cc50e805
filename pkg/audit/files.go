package audit

import (
	"maps"
	"path"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// file is a store of files, wherever it is mounted: a PVC's volume, or what is behind
// the volumes of several PVCs.
type file struct {
	// pods are those that mount it, by namespace and name.
	pods map[string]*pod
	keys []Key
}

func (e *Engine) file(name string) *file {
	f := e.files[name]
	if f == nil {
		f = &file{pods: map[string]*pod{}}
		e.files[name] = f
	}
	return f
}

// mounts returns the stores and the directories of the node behind the pod's volumes.
func (e *Engine) mounts(object *v1.Pod) (files, directories []string) {
	for i := range object.Spec.Volumes {
		if host := object.Spec.Volumes[i].HostPath; host != nil {
			directories = append(directories, path.Clean(host.Path))
		}
	}
	for _, pvc := range podfacts.PVCKeys(object) {
		directory, store := e.behind(pvc)
		if directory != "" {
			directories = append(directories, path.Clean(directory))
		}
		files = append(files, store)
	}
	return distinct(files), distinct(directories)
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// remount puts the pods that a node has now in the place of those that it had.
func (e *Engine) remount(old, now map[string]*pod) {
	for key, was := range old {
		is := now[key]
		for _, name := range was.files {
			// A pod of its name may have been found on another node since.
			if f := e.files[name]; f != nil && f.pods[key] == was {
				delete(f.pods, key)
				if is == nil || !slices.Contains(is.files, name) {
					e.changedFiles.Insert(name)
				}
			}
		}
	}
	for key, is := range now {
		was := old[key]
		for _, name := range is.files {
			e.file(name).pods[key] = is
			if was == nil || was.Pod != is.Pod || was.kind != is.kind || !slices.Equal(was.files, is.files) {
				e.changedFiles.Insert(name)
			}
		}
	}
}

// behind returns what is behind a PVC: the directory of the node that it is, if any,
// and the name of the store. Two PVCs have one store if an administrator made two
// volumes of it; as long as that is not known, a PVC is its own store.
func (e *Engine) behind(pvcKey string) (directory, store string) {
	pvc, known := e.store.PVC(pvcKey)
	if !known {
		return "", pvcKey
	}
	volume, known := e.store.Volume(pvc.Spec.VolumeName)
	if !known {
		return "", pvcKey
	}
	// A PVC that only names a volume has not got it: anybody may write a name.
	ref := volume.Spec.ClaimRef
	if ref == nil || ref.Namespace+"/"+ref.Name != pvcKey {
		return "", pvcKey
	}
	return directoryOf(volume), storeOf(volume, pvcKey)
}

func directoryOf(volume *v1.PersistentVolume) string {
	switch {
	case volume.Spec.HostPath != nil:
		return volume.Spec.HostPath.Path
	case volume.Spec.Local != nil:
		return volume.Spec.Local.Path
	}
	return ""
}

func storeOf(volume *v1.PersistentVolume, pvcKey string) string {
	switch {
	case volume.Spec.CSI != nil:
		return volume.Spec.CSI.Driver + ": " + volume.Spec.CSI.VolumeHandle
	case volume.Spec.NFS != nil:
		return volume.Spec.NFS.Server + ":" + path.Clean(volume.Spec.NFS.Path)
	}
	return pvcKey
}

// lookAtFile finds who mounts a store and may not share files, on whatever nodes.
func (e *Engine) lookAtFile(name string) {
	f := e.files[name]
	if f == nil {
		return
	}
	var found []Finding
	groups := byKind(slices.Collect(maps.Values(f.pods)))
	if some := conflicts(groups, isolation.Kind.SharesFiles); len(some) > 0 {
		found = append(found, newFinding(Key{Reason: SharedPVC, Volume: e.nameOf(name, f)}, groups, some))
	}
	f.keys = e.replace(f.keys, found)
	if len(f.pods) == 0 {
		delete(e.files, name)
	}
}

// nameOf names a store by its PVC, as long as there is one PVC only.
func (e *Engine) nameOf(store string, f *file) string {
	pvcs := sets.Set[string]{}
	for _, p := range f.pods {
		for _, pvc := range podfacts.PVCKeys(p.object) {
			if _, behind := e.behind(pvc); behind == store {
				pvcs.Insert(pvc)
			}
		}
	}
	if pvcs.Len() == 1 {
		return pvcs.UnsortedList()[0]
	}
	return store
}

// findDirectories finds who mounts one directory of a node, or a directory and another
// one inside of it, and may not share files. There is one finding for each outer directory.
func findDirectories(node string, pods []*pod) []Finding {
	mounting := map[string][]*pod{}
	for _, p := range pods {
		for _, directory := range p.directories {
			mounting[directory] = append(mounting[directory], p)
		}
	}
	if len(mounting) == 0 {
		return nil
	}
	inside := map[string]map[string]*pod{}
	for directory, some := range mounting {
		for outer := range parents(directory) {
			if mounting[outer] == nil {
				continue
			}
			if inside[outer] == nil {
				inside[outer] = map[string]*pod{}
			}
			for _, p := range some {
				inside[outer][p.String()] = p
			}
		}
	}
	var found []Finding
	for directory, some := range mounting {
		for _, p := range some {
			// A pod that mounts both is compared with each other pod once.
			delete(inside[directory], p.String())
		}
		groups := byKind(some)
		outer := len(groups)
		groups = append(groups, byKind(slices.Collect(maps.Values(inside[directory])))...)
		sharing := slices.DeleteFunc(conflicts(groups, isolation.Kind.SharesFiles), func(c conflict) bool {
			// Two pods inside of it are another directory's business.
			return c.a >= outer
		})
		if len(sharing) > 0 {
			found = append(found, newFinding(Key{Reason: SharedHostPath, Node: node, Volume: directory}, groups, sharing))
		}
	}
	return found
}

// parents returns the directories that a directory is inside of, the innermost first.
func parents(directory string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			outer := path.Dir(directory)
			if outer == directory || !yield(outer) {
				return
			}
			directory = outer
		}
	}
}
