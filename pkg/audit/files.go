package audit

import (
	"maps"
	"path"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// fileStore is a store of files, mounted on any nodes: the volume of a PVC, or the storage that the
// volumes of several PVCs share; or the devices of a ResourceClaim, which hold data too.
type fileStore struct {
	// pods are the pods that mount it, by namespace and name.
	pods map[string]*pod
	keys []Key
}

func (e *Engine) fileStore(name string) *fileStore {
	f := e.fileStores[name]
	if f == nil {
		f = &fileStore{pods: map[string]*pod{}}
		e.fileStores[name] = f
	}
	return f
}

// mountsOf returns the stores, and the directories of the node, that the pod mounts.
func (e *Engine) mountsOf(object *v1.Pod) (files, directories []string) {
	for i := range object.Spec.Volumes {
		if host := object.Spec.Volumes[i].HostPath; host != nil {
			directories = append(directories, path.Clean(host.Path))
		}
	}
	for _, pvc := range podfacts.PVCKeys(object) {
		directory, store := e.storeBehind(pvc)
		if directory != "" {
			directories = append(directories, path.Clean(directory))
		}
		files = append(files, store)
	}
	for _, claim := range resourceClaims(object) {
		files = append(files, claimPrefix+claim)
	}
	return distinct(files), distinct(directories)
}

// claimPrefix begins the names of stores that are ResourceClaims. No PVC's begins with it.
const claimPrefix = "ResourceClaim "

// resourceClaims returns the names ("namespace/name") of the ResourceClaims that a pod uses: by
// their names, or made for it from a template, which another pod may name.
func resourceClaims(pod *v1.Pod) []string {
	var names []string
	for i := range pod.Spec.ResourceClaims {
		if name := pod.Spec.ResourceClaims[i].ResourceClaimName; name != nil {
			names = append(names, pod.Namespace+"/"+*name)
		}
	}
	for i := range pod.Status.ResourceClaimStatuses {
		if name := pod.Status.ResourceClaimStatuses[i].ResourceClaimName; name != nil {
			names = append(names, pod.Namespace+"/"+*name)
		}
	}
	return names
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// updateMounts replaces a node's pods in the stores that they mount.
func (e *Engine) updateMounts(old, now map[string]*pod) {
	for key, was := range old {
		is := now[key]
		for _, name := range was.stores {
			// A pod of the same name may have been found on another node since.
			if f := e.fileStores[name]; f != nil && f.pods[key] == was {
				delete(f.pods, key)
				if is == nil || !slices.Contains(is.stores, name) {
					e.changedStores.Insert(name)
				}
			}
		}
	}
	for key, is := range now {
		was := old[key]
		for _, name := range is.stores {
			e.fileStore(name).pods[key] = is
			if was == nil || was.Pod != is.Pod || was.kind != is.kind || !slices.Equal(was.stores, is.stores) {
				e.changedStores.Insert(name)
			}
		}
	}
}

// storeBehind returns the storage of a PVC: the directory of the node, if it is one, and the name
// of the store. Two PVCs have the same store if their volumes are the same storage; a PVC whose
// volume is not known is its own store.
func (e *Engine) storeBehind(pvcKey string) (directory, store string) {
	pvc, known := e.store.PVC(pvcKey)
	if !known {
		return "", pvcKey
	}
	volume, known := e.store.Volume(pvc.Spec.VolumeName)
	if !known {
		return "", pvcKey
	}
	// A PVC that only names a volume is not bound to it: any tenant may write a name.
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

// checkStore finds the pods, on any nodes, that mount a store and may not share files.
func (e *Engine) checkStore(name string) {
	f := e.fileStores[name]
	if f == nil {
		return
	}
	var found []Finding
	groups := byKind(slices.Collect(maps.Values(f.pods)))
	if some := conflicts(groups, isolation.Kind.SharesFiles); len(some) > 0 {
		reason := SharedPVC
		if strings.HasPrefix(name, claimPrefix) {
			reason = SharedResourceClaim
		}
		found = append(found, newFinding(Key{Reason: reason, Volume: e.nameOf(name, f)}, groups, some))
	}
	f.keys = e.replace(f.keys, found)
	if len(f.pods) == 0 {
		delete(e.fileStores, name)
	}
}

// nameOf returns the name of a store in a finding: its PVC if there is only one, else the store.
func (e *Engine) nameOf(store string, f *fileStore) string {
	pvcs := sets.Set[string]{}
	for _, p := range f.pods {
		for _, pvc := range podfacts.PVCKeys(p.object) {
			if _, behind := e.storeBehind(pvc); behind == store {
				pvcs.Insert(pvc)
			}
		}
	}
	if pvcs.Len() == 1 {
		return pvcs.UnsortedList()[0]
	}
	return store
}

// findDirectories finds pods that mount the same directory of a node, or a directory and another
// one inside it, and may not share files. There is one finding for each outer directory.
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
			// A pod that mounts both is compared with every other pod once.
			delete(inside[directory], p.String())
		}
		groups := byKind(some)
		outer := len(groups)
		groups = append(groups, byKind(slices.Collect(maps.Values(inside[directory])))...)
		sharing := slices.DeleteFunc(conflicts(groups, isolation.Kind.SharesFiles), func(c conflict) bool {
			// Two pods inside it belong to the finding of another directory.
			return c.a >= outer
		})
		if len(sharing) > 0 {
			found = append(found, newFinding(Key{Reason: SharedHostPath, Node: node, Volume: directory}, groups, sharing))
		}
	}
	return found
}

// parents returns the parent directories of a directory, the innermost first.
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
