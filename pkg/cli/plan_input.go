package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/explain"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/cli/plan"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// input gathers pods and sizes. Notes name the assumptions.
func (p *planOptions) input(c *judgedCluster) (in plan.Input, notes []string, err error) {
	in = plan.Input{Rules: c.rules, Lookup: c.store, Dedicating: c.policy.Dedication.Mode == v1alpha1.ModeEnabled}
	pods, daemons := p.gather(c)
	var common plan.Size
	for _, daemon := range daemons {
		common = plan.Size{MilliCPU: common.MilliCPU + daemon.size.MilliCPU, Memory: common.Memory + daemon.size.Memory, Pods: common.Pods + daemon.size.Pods}
		if daemon.everywhere(len(c.Nodes)) {
			in.Everywhere = append(in.Everywhere, plan.Everywhere{Workload: daemon.workload, Subject: daemon.subject})
		}
	}
	slices.SortFunc(in.Everywhere, func(a, b plan.Everywhere) int { return cmp.Compare(a.Workload, b.Workload) })
	if len(pods) == 0 {
		return in, nil, errors.New("no pods to place: pods of the platform and of DaemonSets do not count, because every node has its own")
	}
	in.Pods = pods
	usual, err := p.usualNode(c)
	if err != nil {
		return in, nil, err
	}
	for _, node := range c.Nodes {
		size := plan.Resources(node.Status.Allocatable)
		size.Pods = node.Status.Allocatable.Pods().Value()
		if size.MilliCPU == 0 || size.Memory == 0 {
			continue
		}
		in.Nodes = append(in.Nodes, plan.Node{Size: less(size, common), VMCapable: c.store.NodeWith(c.rules, node, nil).VMCapable})
	}
	if len(in.Nodes) == 0 {
		notes = append(notes, fmt.Sprintf("no node with a known size: nodes of %s CPU, %s and %d pods are assumed, see --node-cpu",
			p.cpu, p.memory, p.pods))
	}
	in.More = less(usual, common)
	if kept := keptForVMs(&in); kept != "" {
		notes = append(notes, kept)
	}
	class, note := p.class(c)
	if note != "" {
		notes = append(notes, note)
	}
	if class != nil {
		in.VMClass = class.Name
		if in.VMOverhead, err = p.overhead(class); err != nil {
			return in, nil, err
		}
	}
	return in, notes, nil
}

// keptForVMs says how many nodes the plan does not give to containers.
func keptForVMs(in *plan.Input) string {
	if !slices.ContainsFunc(in.Pods, func(pod plan.Pod) bool { return pod.HasPlainNode }) {
		return ""
	}
	kept := 0
	for _, node := range in.Nodes {
		if node.VMCapable {
			kept++
		}
	}
	if kept == 0 {
		return ""
	}
	return fmt.Sprintf("%s kept for pods in VMs, while others can take the pods that are not (dedication.containersOnVMNodes)", count(kept, "node"))
}

func less(size, common plan.Size) plan.Size {
	return plan.Size{MilliCPU: size.MilliCPU - common.MilliCPU, Memory: size.Memory - common.Memory, Pods: size.Pods - common.Pods}
}

// daemon is a DaemonSet, or a static pod.
type daemon struct {
	workload string
	size     plan.Size
	subject  isolation.Subject
	// placed is the number of its pods on nodes, selective whether it is only for some nodes.
	placed    int
	selective bool
}

// everywhere reports whether each of the nodes has a pod of it, or will have one.
func (d *daemon) everywhere(nodes int) bool {
	if d.subject.Platform() {
		return false
	}
	return d.placed > 0 && d.placed >= nodes || d.placed == 0 && !d.selective
}

// gather lists the pods to be placed, and the DaemonSets.
func (p *planOptions) gather(c *judgedCluster) (pods []plan.Pod, daemons map[string]*daemon) {
	daemons = map[string]*daemon{}
	add := func(workload string, object *v1.Pod, ofDaemon bool, copies int) {
		facts := c.gatherer.Gather(object)
		subject := c.rules.Subject(object, &facts, c.store)
		if ofDaemon {
			d := daemons[workload]
			if d == nil {
				d = &daemon{workload: workload, subject: subject}
				daemons[workload] = d
			}
			d.add(object)
			return
		}
		if subject.Platform() || copies == 0 {
			return
		}
		pods = append(pods, plan.Pod{
			Workload: workload, Object: object, Facts: facts, Subject: subject, Node: object.Spec.NodeName, Copies: copies,
			HasPlainNode: explain.KeepsVMNodes(c.policy) && c.store.HasPlainNodeFor(object),
		})
	}
	for _, pod := range c.Pods {
		if !inventory.Ended(pod) {
			workload, daemon := ownerOf(pod)
			add(workload, pod, daemon, 1)
		}
	}
	// If there are pods, they are those of the workloads.
	if len(c.Pods) == 0 {
		for i := range c.Workloads {
			w := &c.Workloads[i]
			add(fmt.Sprintf("%s/%s/%s", w.Pod.Namespace, strings.ToLower(w.Kind), w.Pod.Name), w.Pod, w.Kind == "DaemonSet", w.Replicas)
		}
	}
	return pods, daemons
}

// add adds a pod. If the requests of a DaemonSet's pods differ, the largest counts.
func (d *daemon) add(pod *v1.Pod) {
	if size := plan.Request(pod); size.MilliCPU > d.size.MilliCPU || size.Memory > d.size.Memory {
		d.size = size
	}
	if pod.Spec.NodeName != "" {
		d.placed++
	}
	d.selective = d.selective || len(pod.Spec.NodeSelector) > 0 || (pod.Spec.Affinity != nil && pod.Spec.Affinity.NodeAffinity != nil)
}

// ownerOf names the workload of a pod: its controller, or the Deployment if that is the
// ReplicaSet of one.
func ownerOf(pod *v1.Pod) (workload string, daemon bool) {
	kind, name := "pod", pod.Name
	if owner := metav1.GetControllerOf(pod); owner != nil {
		kind, name = strings.ToLower(owner.Kind), owner.Name
		hash := pod.Labels["pod-template-hash"]
		if kind == "replicaset" && hash != "" && strings.HasSuffix(name, "-"+hash) {
			kind, name = "deployment", strings.TrimSuffix(name, "-"+hash)
		}
		// A static pod belongs to its node.
		if kind == "node" {
			return pod.Namespace + "/pod/" + pod.Name, true
		}
	}
	return pod.Namespace + "/" + kind + "/" + name, kind == "daemonset"
}

// usualNode is the size that most nodes have.
func (p *planOptions) usualNode(c *judgedCluster) (plan.Size, error) {
	cpu, err := resource.ParseQuantity(p.cpu)
	if err != nil {
		return plan.Size{}, fmt.Errorf("--node-cpu=%s: %w", p.cpu, err)
	}
	memory, err := resource.ParseQuantity(p.memory)
	if err != nil {
		return plan.Size{}, fmt.Errorf("--node-memory=%s: %w", p.memory, err)
	}
	usual := plan.Size{MilliCPU: cpu.MilliValue(), Memory: memory.Value(), Pods: p.pods}
	if p.cpuGiven {
		return usual, nil
	}
	counts := map[plan.Size]int{}
	for _, node := range c.Nodes {
		size := plan.Resources(node.Status.Allocatable)
		size.Pods = node.Status.Allocatable.Pods().Value()
		if size.MilliCPU > 0 && size.Memory > 0 {
			counts[size]++
		}
	}
	most := 0
	for size, n := range counts {
		if n > most || (n == most && size.MilliCPU > usual.MilliCPU) {
			usual, most = size, n
		}
	}
	return usual, nil
}

// class finds the RuntimeClass for VMs.
func (p *planOptions) class(c *judgedCluster) (class *nodev1.RuntimeClass, note string) {
	var all []*nodev1.RuntimeClass
	for _, rc := range c.RuntimeClasses {
		if c.rules.Isolates(c.rules.BoundaryOf(rc.Handler)) && (p.vmClass == "" || p.vmClass == rc.Name) {
			all = append(all, rc)
		}
	}
	if len(all) == 0 {
		if p.vmClass != "" {
			return nil, fmt.Sprintf("RuntimeClass %s does not exist, or its handler does not isolate: the plan is without VMs", p.vmClass)
		}
		return nil, ""
	}
	return slices.MinFunc(all, func(a, b *nodev1.RuntimeClass) int { return cmp.Compare(a.Name, b.Name) }), ""
}

func (p *planOptions) overhead(class *nodev1.RuntimeClass) (plan.Size, error) {
	if class.Overhead != nil && !p.vmCPUGiven {
		return plan.Resources(class.Overhead.PodFixed), nil
	}
	cpu, err := resource.ParseQuantity(p.vmCPU)
	if err != nil {
		return plan.Size{}, fmt.Errorf("--vm-cpu=%s: %w", p.vmCPU, err)
	}
	memory, err := resource.ParseQuantity(p.vmMemory)
	if err != nil {
		return plan.Size{}, fmt.Errorf("--vm-memory=%s: %w", p.vmMemory, err)
	}
	return plan.Size{MilliCPU: cpu.MilliValue(), Memory: memory.Value()}, nil
}
