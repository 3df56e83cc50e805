package audit

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// pod is a pod on a node.
type pod struct {
	key    string
	object *v1.Pod
	facts  podfacts.Facts
	Pod

	// What follows depends on what is around the pod.

	subject isolation.Subject
	kind    isolation.Kind
	// files are the keys of the stores that the pod mounts, directories those of the
	// node that it mounts.
	files, directories []string
}

// podIndex finds the pods that a change around them concerns.
type podIndex struct{ namespace, class, pvc index }

func newPodIndex() podIndex {
	return podIndex{namespace: index{}, class: index{}, pvc: index{}}
}

func podKey(p *v1.Pod) string { return p.Namespace + "/" + p.Name }

// ended reports whether none of the pod's containers runs any more, or will again.
func ended(p *v1.Pod) bool {
	return p.Status.Phase == v1.PodSucceeded || p.Status.Phase == v1.PodFailed
}

func (e *Engine) setPod(object *v1.Pod) {
	key := podKey(object)
	if object.Spec.NodeName == "" || ended(object) {
		e.removePod(key)
		return
	}
	p := e.pods[key]
	if p != nil && p.Node != object.Spec.NodeName {
		// An informer may show a deletion and a creation as one update.
		e.removePod(key)
		p = nil
	}
	if p != nil && object.ResourceVersion != "" && p.object.ResourceVersion == object.ResourceVersion {
		return
	}
	if p == nil {
		p = &pod{key: key}
		e.pods[key] = p
		e.node(object.Spec.NodeName).pods[key] = p
		e.summary.Pods++
	} else {
		e.unindex(p)
	}
	came := Pod{Namespace: object.Namespace, Name: object.Name, UID: object.UID, Node: object.Spec.NodeName, Since: since(object)}
	p.object = object
	if p.Pod != came {
		p.Pod = came
		e.changed(p)
	}
	p.facts = e.gatherer.Gather(object)
	e.index(p)
	e.judge(p)
}

func (e *Engine) removePod(key string) {
	p := e.pods[key]
	if p == nil {
		return
	}
	e.changed(p)
	e.unindex(p)
	e.unmount(p)
	delete(e.pods, key)
	e.summary.Pods--
	delete(e.nodes[p.Node].pods, key)
}

// changed has the next look go where the pod is.
func (e *Engine) changed(p *pod) {
	e.changedNodes.Insert(p.Node)
	e.changedFiles.Insert(p.files...)
}

func (e *Engine) index(p *pod) {
	e.by.namespace.add(p.Namespace, p.key)
	e.by.class.add(podfacts.RuntimeClassName(p.object), p.key)
	for _, pvc := range p.facts.PVCs {
		e.by.pvc.add(pvc, p.key)
	}
}

func (e *Engine) unindex(p *pod) {
	e.by.namespace.remove(p.Namespace, p.key)
	e.by.class.remove(podfacts.RuntimeClassName(p.object), p.key)
	for _, pvc := range p.facts.PVCs {
		e.by.pvc.remove(pvc, p.key)
	}
}

func (e *Engine) judgeAll(keys sets.Set[string]) {
	for key := range keys {
		e.judge(e.pods[key])
	}
}

// judge works out anew what depends on what is around the pod.
func (e *Engine) judge(p *pod) {
	subject := e.rules.Subject(p.object, &p.facts, e)
	files, directories := e.mounts(p)
	if subject == p.subject && slices.Equal(files, p.files) && slices.Equal(directories, p.directories) {
		return
	}
	e.changed(p)
	e.unmount(p)
	p.subject, p.kind, p.files, p.directories = subject, subject.Kind(), files, directories
	for _, name := range files {
		e.file(name).pods[p.key] = p
	}
	e.changed(p)
}

func (e *Engine) unmount(p *pod) {
	for _, name := range p.files {
		delete(e.files[name].pods, p.key)
	}
	p.files = nil
}

// mounts returns the stores and the directories of the node behind the pod's volumes.
func (e *Engine) mounts(p *pod) (files, directories []string) {
	for i := range p.object.Spec.Volumes {
		if host := p.object.Spec.Volumes[i].HostPath; host != nil {
			directories = append(directories, path.Clean(host.Path))
		}
	}
	for _, pvc := range p.facts.PVCs {
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

// since returns when a pod came to its node: the kubelet says so, and before that the
// scheduler. A pod that was created with its node came with its creation.
func since(p *v1.Pod) time.Time {
	if p.Status.StartTime != nil {
		return p.Status.StartTime.Time
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == v1.PodScheduled && c.Status == v1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return p.CreationTimestamp.Time
}

// later compares by when pods came. Times have seconds; a fixed order settles the rest.
func later(a, b Pod) int {
	return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}
