// Package plan estimates what the rule costs in nodes: it packs the pods that there are
// into nodes like those that there are, without the rule, with it, and with VMs.
//
// It is an estimate. The packing is best fit, decreasing, by CPU and memory requests and
// the number of pods; selectors, taints, spread and disks are left out, and so is what an
// autoscaler would do about them.
package plan

import (
	"cmp"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Pod is a pod to be placed.
type Pod struct {
	// Workload is what it belongs to: "namespace/kind/name".
	Workload string
	Object   *v1.Pod
	Facts    podfacts.Facts
	Subject  isolation.Subject
	// Node is where it runs now, empty if it does not.
	Node string
	// Copies is how many like it there are; at least 1.
	Copies int
}

// Input is what a plan is made of.
type Input struct {
	Rules        *podfacts.Rules
	Surroundings podfacts.Lookup
	// Pods are all that have to be placed; those of the platform and of DaemonSets,
	// which every node has, are not among them.
	Pods []Pod
	// Nodes are the sizes of the nodes that there are, less what every node has.
	Nodes []Size
	// More is the size of nodes beyond those.
	More Size
	// VMClass is the RuntimeClass that pods could be given, VMOverhead what it costs.
	VMClass    string
	VMOverhead Size
}

// Size is room on a node, or what a pod requests.
type Size struct {
	// MilliCPU is in thousandths of a processor, Memory in bytes.
	MilliCPU, Memory int64
	Pods             int64
}

func (s Size) plus(o Size) Size {
	return Size{s.MilliCPU + o.MilliCPU, s.Memory + o.Memory, s.Pods + o.Pods}
}

func (s Size) minus(o Size) Size {
	return Size{s.MilliCPU - o.MilliCPU, s.Memory - o.Memory, s.Pods - o.Pods}
}

func (s Size) fits(room Size) bool {
	return s.MilliCPU <= room.MilliCPU && s.Memory <= room.Memory && s.Pods <= room.Pods
}

// Plan is what the rule costs.
type Plan struct {
	Pods int `json:"pods"`
	// Today is how many nodes hold pods that count now, 0 if none runs.
	Today int `json:"nodesInUse"`
	// WithoutRule, WithRule and WithVMs are how many nodes the same pods need, packed
	// anew: wherever there is room, by trust domain, and by trust domain with those that
	// could in VMs.
	WithoutRule int `json:"nodesWithoutRule"`
	WithRule    int `json:"nodesWithRule"`
	// WithVMs is 0 if there is no RuntimeClass for VMs.
	WithVMs int    `json:"nodesWithVMs,omitempty"`
	VMClass string `json:"vmRuntimeClass,omitempty"`
	// TrustDomains are the pods that may share a kernel, largest first.
	TrustDomains []Domain `json:"trustDomains"`
	// Moves are the workloads that share a node against the rule and are the fewer there.
	Moves []Move `json:"moves"`
	// Raising are the workloads that are in a trust domain of their own for their
	// privilege alone, the most rewarding to mend first.
	Raising []Raising `json:"raising"`
	// Unplaceable are workloads that no node is large enough for, and those that the rule
	// denies everywhere.
	Unplaceable []Unplaceable `json:"unplaceable,omitempty"`
}

// Domain is the pods that may share a kernel.
type Domain struct {
	Name string `json:"name"`
	Pods int    `json:"pods"`
	// Nodes is how many it needs for itself.
	Nodes int `json:"nodes"`
}

// Move is a workload that would move.
type Move struct {
	Workload string   `json:"workload"`
	Pods     int      `json:"pods"`
	Nodes    []string `json:"nodes"`
}

// Raising is a workload whose privilege sets it apart.
type Raising struct {
	Workload string `json:"workload"`
	Pods     int    `json:"pods"`
	// Privilege is what it has, Instead what the rest of its tenant's pods of that data
	// class have.
	Privilege string `json:"privilege"`
	Instead   string `json:"instead"`
	// Saves is how many nodes fewer the rule needs if it is mended.
	Saves int `json:"nodesSaved"`

	domain isolation.TrustDomain
}

// Unplaceable is a workload that would be nowhere.
type Unplaceable struct {
	Workload string `json:"workload"`
	Pods     int    `json:"pods"`
	Why      string `json:"why"`
}

// Make makes a plan.
func Make(in Input) *Plan {
	p := &Plan{VMClass: in.VMClass, Moves: moves(in.Pods), Raising: []Raising{}}
	nodes := map[string]bool{}
	var pods []Pod
	for _, pod := range in.Pods {
		p.Pods += pod.Copies
		if pod.Node != "" {
			nodes[pod.Node] = true
		}
		if why := in.whyNot(&pod); why != "" {
			p.unplaceable(&pod, why)
			continue
		}
		pods = append(pods, pod)
	}
	p.Today = len(nodes)
	in.Pods = pods
	p.WithoutRule = in.pack(func(*Pod) group { return group{} }, false)
	p.WithRule = in.pack(byDomain, false)
	if in.VMClass != "" {
		p.WithVMs = in.pack(byDomain, true)
	}
	p.TrustDomains = in.domains()
	p.Raising = in.raising(p.WithRule)
	slices.SortFunc(p.Unplaceable, func(a, b Unplaceable) int { return cmp.Compare(a.Workload, b.Workload) })
	return p
}

func (p *Plan) unplaceable(pod *Pod, why string) {
	for i := range p.Unplaceable {
		if u := &p.Unplaceable[i]; u.Workload == pod.Workload && u.Why == why {
			u.Pods += pod.Copies
			return
		}
	}
	p.Unplaceable = append(p.Unplaceable, Unplaceable{Workload: pod.Workload, Pods: pod.Copies, Why: why})
}

// whyNot returns why a pod can be nowhere. Having no tenant is no reason: such pods are
// other schedulers'.
func (in *Input) whyNot(pod *Pod) string {
	if reason, wrong := pod.Subject.Kind().Wrong(); wrong {
		return "the rule denies it everywhere: " + reason.String()
	}
	size := Request(pod.Object)
	if !size.fits(in.More) && !slices.ContainsFunc(in.Nodes, size.fits) {
		return "it requests more than a node has"
	}
	return ""
}

// group is who may be together on a node: a trust domain, or those who have no tenant.
type group struct {
	kernel isolation.KernelGroup
	// open: behind a boundary that lets other groups share the machine.
	open bool
}

func byDomain(pod *Pod) group {
	kernel, _ := pod.Subject.KernelGroup()
	if pod.Subject.Open() {
		return group{open: true}
	}
	return group{kernel: kernel}
}

// Request returns what a pod requests, its overhead included.
func Request(pod *v1.Pod) Size {
	// The API server sets a request that is missing to its limit.
	defaulted := *pod
	defaulted.Spec.Containers = withRequests(pod.Spec.Containers)
	defaulted.Spec.InitContainers = withRequests(pod.Spec.InitContainers)
	size := Resources(resource.PodRequests(&defaulted, resource.PodResourcesOptions{}))
	size.Pods = 1
	return size
}

func withRequests(containers []v1.Container) []v1.Container {
	containers = slices.Clone(containers)
	for i := range containers {
		resources := &containers[i].Resources
		if requests := maps.Clone(resources.Limits); requests != nil {
			maps.Copy(requests, resources.Requests)
			resources.Requests = requests
		}
	}
	return containers
}

// Resources reads CPU and memory.
func Resources(list v1.ResourceList) Size {
	return Size{MilliCPU: list.Cpu().MilliValue(), Memory: list.Memory().Value()}
}
