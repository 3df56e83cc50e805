package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	podresources "k8s.io/component-helpers/resource"
	corehelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"tenantisolation.dev/scheduler/internal/density"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// model is a cluster in the form of package density.
type model struct {
	density.Instance
	// uids are those of the instance's pods, by index.
	uids []types.UID
	// refused are the tenants' pods that the rule denies on every node, with the reason.
	refused map[types.UID]isolation.Reason
	nodes   map[string]int
}

// reader applies the rule to the pods of a cluster.
type reader struct {
	cluster  *Cluster
	rules    *podfacts.Rules
	gatherer *podfacts.Gatherer
	classes  map[string]podfacts.RuntimeClass
	labels   map[string]map[string]string
}

func newReader(c *Cluster, rules *podfacts.Rules) (*reader, error) {
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		return nil, fmt.Errorf("pod security checks: %w", err)
	}
	r := &reader{cluster: c, rules: rules, gatherer: gatherer, classes: map[string]podfacts.RuntimeClass{}, labels: map[string]map[string]string{}}
	for _, class := range c.RuntimeClasses {
		r.classes[class.Name] = podfacts.NewRuntimeClass(class)
	}
	for _, ns := range c.Namespaces {
		r.labels[ns.Name] = ns.Labels
	}
	return r, nil
}

// Namespace is for podfacts.Lookup.
func (r *reader) Namespace(name string) (podfacts.Namespace, bool) {
	labels, known := r.labels[name]
	return podfacts.Namespace{Labels: labels}, known
}

// RuntimeClass is for podfacts.Lookup.
func (r *reader) RuntimeClass(name string) (podfacts.RuntimeClass, bool) {
	class, known := r.classes[name]
	return class, known
}

// PVCOnHost is for podfacts.Lookup. Every PVC counts as a directory of the host.
func (r *reader) PVCOnHost(string) (onHost, known bool) { return true, true }

func (r *reader) subject(pod *corev1.Pod) isolation.Subject {
	facts := r.gatherer.Gather(pod)
	return r.rules.Subject(pod, &facts, r)
}

// newModel models a cluster whose pods are admitted.
func newModel(c *Cluster, rules *podfacts.Rules) (*model, error) {
	r, err := newReader(c, rules)
	if err != nil {
		return nil, err
	}
	m := &model{refused: map[types.UID]isolation.Reason{}, nodes: map[string]int{}}
	names := resourceNames(c)
	for _, name := range names {
		m.Dimensions = append(m.Dimensions, string(name))
	}
	m.Dimensions = append(m.Dimensions, "pods")
	vector := func(list corev1.ResourceList, pods int64) density.Vector {
		v := make(density.Vector, 0, len(m.Dimensions))
		for _, name := range names {
			v = append(v, amount(list, name))
		}
		return append(v, pods)
	}
	for i, node := range c.Nodes {
		m.nodes[node.Name] = i
		m.Nodes = append(m.Nodes, density.Node{
			Name: node.Name, Shape: shape(node),
			Capacity: vector(node.Status.Allocatable, node.Status.Allocatable.Pods().Value()),
		})
	}
	lost := make([]bool, len(c.Nodes)) // to tenants, because of the pods on it
	domains := map[isolation.KernelGroup]string{}
	var pods []*corev1.Pod
	for _, pod := range c.Pods {
		subject := r.subject(pod)
		if subject.Platform() {
			m.takePlatform(pod, vector(requests(pod), 1))
			continue
		}
		reason, denied := subject.Denied()
		domain, managed := subject.TrustDomain()
		if !managed || denied {
			if pod.Spec.NodeName != "" {
				lost[m.nodes[pod.Spec.NodeName]] = true
			} else {
				m.refused[pod.UID] = reason
			}
			continue
		}
		group, _ := subject.KernelGroup()
		if domains[group] == "" {
			domains[group] = domain.String()
		}
		p := density.Pod{
			Name: podKey(pod.Namespace, pod.Name), Tenant: domain.Tenant, Domain: domains[group],
			Request: vector(requests(pod), 1),
			VM:      rules.Isolates(subject.Boundary()), Open: subject.Open(),
		}
		if name := pod.Spec.NodeName; name != "" {
			p.Pinned, p.On = true, m.nodes[name]
		}
		m.Pods = append(m.Pods, p)
		m.uids = append(m.uids, pod.UID)
		pods = append(pods, pod)
	}
	e := &eligibility{cluster: c, lost: lost, known: map[string][]bool{}}
	for i, pod := range pods {
		if m.Pods[i].Nodes, err = e.of(pod); err != nil {
			return nil, err
		}
	}
	m.keepOffPinned()
	return m, nil
}

// keepOffPinned removes from each pod the nodes of running pods that it may not share a
// machine with.
func (m *model) keepOffPinned() {
	for i := range m.Pods {
		pinned := &m.Pods[i]
		if !pinned.Pinned {
			continue
		}
		for j := range m.Pods {
			p := &m.Pods[j]
			if !p.Pinned && p.Nodes[pinned.On] && !p.MayShare(pinned) {
				p.Nodes = slices.Clone(p.Nodes)
				p.Nodes[pinned.On] = false
			}
		}
	}
}

// homeless reports whether no node could hold the pod, even as its only pod.
func (m *model) homeless(i int) bool {
	p := &m.Pods[i]
	if p.Pinned {
		return false
	}
	for n := range m.Nodes {
		if p.Nodes[n] && fits(p.Request, m.Nodes[n].Capacity) {
			return false
		}
	}
	return true
}

func fits(request, capacity density.Vector) bool {
	for d, amount := range request {
		if amount > 0 && amount > capacity[d] {
			return false
		}
	}
	return true
}

func (m *model) takePlatform(pod *corev1.Pod, request density.Vector) {
	node := pod.Spec.NodeName
	if node == "" {
		node, _ = pinnedTo(pod)
	}
	// A platform pod that may go anywhere is ignored.
	if n, ok := m.nodes[node]; ok {
		for d, amount := range request {
			m.Nodes[n].Capacity[d] -= amount
		}
	}
}

func requests(pod *corev1.Pod) corev1.ResourceList {
	return podresources.PodRequests(pod, podresources.PodResourcesOptions{})
}

// resourceNames are the resources that pods ask for, in a fixed order.
func resourceNames(c *Cluster) []corev1.ResourceName {
	asked := map[corev1.ResourceName]bool{corev1.ResourceCPU: true, corev1.ResourceMemory: true}
	for _, pod := range c.Pods {
		for name := range requests(pod) {
			asked[name] = true
		}
	}
	delete(asked, corev1.ResourceCPU)
	delete(asked, corev1.ResourceMemory)
	return append([]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}, slices.Sorted(maps.Keys(asked))...)
}

func amount(list corev1.ResourceList, name corev1.ResourceName) int64 {
	quantity := list[name]
	if name == corev1.ResourceCPU {
		return quantity.MilliValue()
	}
	return quantity.Value()
}

// shape is equal for interchangeable machines: those with the same capacity, taints and
// handlers.
func shape(node *corev1.Node) string {
	taints := make([]string, 0, len(node.Spec.Taints))
	for i := range node.Spec.Taints {
		taints = append(taints, node.Spec.Taints[i].ToString())
	}
	handlers := make([]string, 0, len(node.Status.RuntimeHandlers))
	for i := range node.Status.RuntimeHandlers {
		handlers = append(handlers, node.Status.RuntimeHandlers[i].Name)
	}
	text, _ := json.Marshal([]any{node.Status.Allocatable, taints, handlers}) // plain values
	return string(text)
}

// eligibility finds the nodes that may take a pod, apart from resources and other pods.
type eligibility struct {
	cluster *Cluster
	lost    []bool
	known   map[string][]bool
}

func (e *eligibility) of(pod *corev1.Pod) ([]bool, error) {
	key, err := json.Marshal([]any{pod.Spec.NodeSelector, pod.Spec.Affinity, pod.Spec.Tolerations, pod.Spec.RuntimeClassName})
	if err != nil {
		return nil, err
	}
	if nodes, ok := e.known[string(key)]; ok {
		return nodes, nil
	}
	nodes := make([]bool, len(e.cluster.Nodes))
	required := nodeaffinity.GetRequiredNodeAffinity(pod)
	for n, node := range e.cluster.Nodes {
		matches, err := required.Match(node)
		if err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		nodes[n] = matches && !e.lost[n] && tolerates(pod, node) && e.hasHandler(pod, node)
	}
	e.known[string(key)] = nodes
	return nodes, nil
}

func tolerates(pod *corev1.Pod, node *corev1.Node) bool {
	taints := slices.Clone(node.Spec.Taints)
	if node.Spec.Unschedulable {
		taints = append(taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	_, untolerated := corehelpers.FindMatchingUntoleratedTaint(klog.Background(), taints, pod.Spec.Tolerations,
		func(t *corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }, false)
	return !untolerated
}

func (e *eligibility) hasHandler(pod *corev1.Pod, node *corev1.Node) bool {
	name := podfacts.RuntimeClassName(pod)
	handlers := podfacts.ReportedHandlers(node)
	if name == "" || handlers == nil {
		return true
	}
	class := e.cluster.runtimeClass(name)
	return class != nil && handlers[class.Handler]
}

// placement converts an outcome to the indexes of the instance.
func (m *model) placement(o *Outcome) density.Placement {
	p := make(density.Placement, len(m.uids))
	for i, uid := range m.uids {
		p[i] = density.Unplaced
		if node, ok := o.Node[uid]; ok {
			p[i] = m.nodes[node]
		}
	}
	return p
}
