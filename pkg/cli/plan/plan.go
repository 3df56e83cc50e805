// Package plan estimates what the rule costs in nodes: it packs the pods of a cluster into
// nodes of the same sizes, without the rule, with it, and with VMs.
//
// It is an estimate. The packing is best fit decreasing, by CPU and memory requests and the
// number of pods. It ignores selectors, taints, spread, disks and autoscalers.
package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// Pod is a pod to be placed.
type Pod struct {
	// Workload is the owner: "namespace/kind/name".
	Workload string
	Object   *v1.Pod
	Facts    podfacts.Facts
	Subject  isolation.Subject
	// Node is its node now, empty if it has none.
	Node string
	// Copies is the number of equal pods, at least 1.
	Copies int
	// HasPlainNode: a node that cannot start VMs could hold the pod, so that a container opens no other.
	HasPlainNode bool
}

// avoidsVMNodes reports whether the pod opens no node that can start VMs.
func (p *Pod) avoidsVMNodes() bool {
	_, managed := p.Subject.TrustDomain()
	return p.HasPlainNode && managed && !p.Subject.Isolated()
}

// Input is the input of a plan.
type Input struct {
	Rules *podfacts.Rules
	// Lookup has the namespaces, classes and volumes of the pods.
	Lookup podfacts.Lookup
	// Pods are the pods to be placed, without those that every node has: of DaemonSets and
	// of the platform.
	Pods []Pod
	// Everywhere are the pods of DaemonSets of which every further node has one. They are residents like others.
	Everywhere []Everywhere
	// MaxNodes is how many nodes a tenant may have while nodes are dedicated, 0 for any number.
	MaxNodes int
	// Dedicating: nodes are dedicated, which keeps the DaemonSets of others off them.
	Dedicating bool
	// Nodes are the nodes of the cluster, less the pods that every node has.
	Nodes []Node
	// More is the size of further nodes.
	More Size
	// VMClass is the RuntimeClass for VMs, VMOverhead its cost for a pod.
	VMClass    string
	VMOverhead Size
}

// Everywhere is a DaemonSet, and what its pods are judged to be.
type Everywhere struct {
	Workload string
	Subject  isolation.Subject
}

// Node is a node of the cluster.
type Node struct {
	Size
	VMCapable bool
	// Residents are the pods of DaemonSets that it has.
	Residents []Everywhere
}

// Size is the free capacity of a node, or the request of a pod.
type Size struct {
	// MilliCPU is in thousandths of a processor, Memory in bytes.
	MilliCPU, Memory int64
	Pods             int64
}

// Plus adds two sizes.
func (s Size) Plus(o Size) Size {
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
	// Today is the number of nodes that hold such pods now.
	Today int `json:"nodesInUse"`
	// WithoutRule, WithRule and WithVMs are the nodes that the same pods need, packed anew:
	// wherever there is room, by trust domain, and by trust domain with VMs where they save
	// nodes.
	WithoutRule int `json:"nodesWithoutRule"`
	WithRule    int `json:"nodesWithRule"`
	// WithVMs is 0 if there is no RuntimeClass for VMs.
	WithVMs int    `json:"nodesWithVMs,omitempty"`
	VMClass string `json:"vmRuntimeClass,omitempty"`
	// TrustDomains are the pods that may share a kernel, largest first.
	TrustDomains []Domain `json:"trustDomains"`
	// Moves are the workloads that would leave a node that they share against the rule.
	Moves []Move `json:"moves"`
	// Raising are the workloads that are in a trust domain of their own only because of
	// their privilege, those that cost most nodes first.
	Raising []Raising `json:"raising"`
	// Unplaceable are workloads that are too large for every node, or that the rule denies
	// everywhere.
	Unplaceable []Unplaceable `json:"unplaceable,omitempty"`
	// Limited are the tenants that need more nodes than they may have. Their other pods stay Pending.
	Limited []Limited `json:"limited,omitempty"`
}

// Limited is a tenant with too few nodes.
type Limited struct {
	Tenant string `json:"tenant"`
	// Pods is how many of its pods stay Pending, Nodes how many nodes it may have.
	Pods  int `json:"pods"`
	Nodes int `json:"nodes"`
}

// Domain is the pods that may share a kernel.
type Domain struct {
	Name string `json:"name"`
	Pods int    `json:"pods"`
	// Nodes is how many they need.
	Nodes int `json:"nodes"`
}

// Move is a workload that would move.
type Move struct {
	Workload string   `json:"workload"`
	Pods     int      `json:"pods"`
	Nodes    []string `json:"nodes"`
}

// Raising is a workload whose privilege puts it into a trust domain of its own.
type Raising struct {
	Workload string `json:"workload"`
	Pods     int    `json:"pods"`
	// Privilege is that of the workload, Instead that of most workloads of its tenant and
	// data class.
	Privilege string `json:"privilege"`
	Instead   string `json:"instead"`
	// Saves is the number of nodes that it saves to lower the privilege to Instead.
	Saves int `json:"nodesSaved"`

	domain isolation.TrustDomain
}

// Unplaceable is a workload that fits on no node.
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
	p.WithoutRule = in.withoutRule()
	p.WithRule = in.pack(false)
	if in.VMClass != "" {
		p.WithVMs = in.pack(true)
	}
	p.TrustDomains, p.Limited = in.domains(), in.limits()
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

// whyNot returns why a pod fits on no node. A pod without a tenant fits, as other
// schedulers place it.
func (in *Input) whyNot(pod *Pod) string {
	if reason, wrong := pod.Subject.Kind().Wrong(); wrong {
		return "the rule denies it everywhere: " + reason.String()
	}
	size := Request(pod.Object)
	fits, by := false, ""
	more := Node{Size: in.More, Residents: in.Everywhere}
	for i := -1; i < len(in.Nodes); i++ {
		node := &more
		if i >= 0 {
			node = &in.Nodes[i]
		}
		if !size.fits(node.Size) {
			continue
		}
		fits = true
		at := slices.IndexFunc(node.Residents, func(daemon Everywhere) bool { return in.keepsOff(&daemon, pod) })
		if at < 0 {
			return ""
		}
		by = node.Residents[at].Workload
	}
	if !fits {
		return "it requests more than a node has"
	}
	return fmt.Sprintf("each node has a pod of %s, beside which the rule denies it", by)
}

// keepsOff reports whether the pods of a DaemonSet keep a pod off every node.
func (in *Input) keepsOff(daemon *Everywhere, pod *Pod) bool {
	if _, managed := pod.Subject.TrustDomain(); !managed {
		return false
	}
	if _, breaks := pod.Subject.Kind().SharesKernel(daemon.Subject.Kind()); !breaks {
		return false
	}
	dedication, opens := pod.Subject.Dedication()
	return !in.Dedicating || !opens || dedication.Admits(&daemon.Subject)
}

// group is the pods that may share a node: a trust domain, or all pods without a tenant.
type group struct {
	kernel isolation.KernelGroup
	// open: the boundary of the pods lets other open groups share the machine.
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
