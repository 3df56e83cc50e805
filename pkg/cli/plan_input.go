package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/explain"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/cli/plan"
	"tenantisolation.dev/scheduler/pkg/dedication"
)

// input gathers pods and sizes. Notes name the assumptions. Refused are the workloads whose pods admission would refuse.
func (p *planOptions) input(ctx context.Context, c *judgedCluster) (in plan.Input, refused map[string]bool, notes []string, err error) {
	in = plan.Input{Rules: c.rules, Lookup: c.store, Dedicating: c.policy.Dedication.Mode == v1alpha1.ModeEnabled}
	pods, daemons, refused, notes, err := p.gather(ctx, c)
	if err != nil {
		return in, nil, nil, err
	}
	if len(pods) == 0 {
		return in, nil, nil, errors.New("no pods to place: pods of the platform and of DaemonSets do not count, because every node has its own")
	}
	in.Pods = pods
	usual, err := p.usualNode(c)
	if err != nil {
		return in, nil, nil, err
	}
	p.addNodes(&in, c, daemons)
	if len(in.Nodes) == 0 {
		notes = append(notes, fmt.Sprintf("no node with a known size: nodes of %s CPU, %s and %d pods are assumed, see --node-cpu",
			p.cpu, p.memory, p.pods))
	}
	common := plan.Size{}
	for _, daemon := range daemons {
		if daemon.everywhere(len(c.Nodes)) {
			common = common.Plus(daemon.size)
			in.Everywhere = append(in.Everywhere, daemon.resident()...)
		}
	}
	if in.More = less(usual, common); in.More.MilliCPU <= 0 || in.More.Memory <= 0 || in.More.Pods <= 0 {
		return in, nil, nil, fmt.Errorf("a node of %s CPU, %s and %d pods has no room for any pod: DaemonSets take %dm CPU, %s and %d pods of it",
			resource.NewMilliQuantity(usual.MilliCPU, resource.DecimalSI), resource.NewQuantity(usual.Memory, resource.BinarySI), usual.Pods,
			common.MilliCPU, resource.NewQuantity(common.Memory, resource.BinarySI), common.Pods)
	}
	if limit := c.policy.Dedication.MaxNodesPerTenant; limit != nil && in.Dedicating {
		in.MaxNodes = dedication.Limit(*limit, max(len(c.Nodes), 1))
		if len(c.Nodes) == 0 && limit.Type == intstr.String {
			in.MaxNodes = 0
			notes = append(notes, "maxNodesPerTenant is a share of the nodes, of which there are none: it does not count")
		}
	}
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
			return in, nil, nil, err
		}
	}
	return in, refused, notes, nil
}

// addNodes adds the nodes of the cluster, less the DaemonSets that each of them has or will have.
func (p *planOptions) addNodes(in *plan.Input, c *judgedCluster, daemons []*daemon) {
	for _, node := range c.Nodes {
		size := plan.Resources(node.Status.Allocatable)
		size.Pods = node.Status.Allocatable.Pods().Value()
		if size.MilliCPU == 0 || size.Memory == 0 {
			continue
		}
		made := plan.Node{Size: size, VMCapable: c.store.NodeWith(c.rules, node, nil).VMCapable}
		for _, daemon := range daemons {
			if daemon.on(node) {
				made.Size = less(made.Size, daemon.size)
				made.Residents = append(made.Residents, daemon.resident()...)
			}
		}
		in.Nodes = append(in.Nodes, made)
	}
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

// maxPods is how many pods a cluster may have: https://kubernetes.io/docs/setup/best-practices/cluster-large
const maxPods = 150_000

// gather lists the pods to be placed, and the DaemonSets by name. Refused are the workloads whose pods admission would
// refuse, notes say why.
func (p *planOptions) gather(ctx context.Context, c *judgedCluster) (pods []plan.Pod, daemons []*daemon, refused map[string]bool, notes []string, err error) {
	byName := map[string]*daemon{}
	refused = map[string]bool{}
	add := func(workload string, object *v1.Pod, ofDaemon bool, copies int) {
		facts := c.gatherer.Gather(object)
		subject := c.rules.Subject(object, &facts, c.store)
		if ofDaemon {
			d := byName[workload]
			if d == nil {
				d = &daemon{workload: workload, subject: subject, nodes: map[string]bool{}, template: object}
				byName[workload] = d
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
	// What is not made yet counts as admission would make it.
	addNew := func(workload string, object *v1.Pod, ofDaemon bool, copies int) error {
		admitted, err := c.admit(ctx, object)
		if err != nil {
			return err
		}
		if admitted.unasked != "" {
			notes = append(notes, admitted.unasked)
		}
		if len(admitted.Refused) > 0 {
			refused[workload] = true
			why := strings.Join(admitted.Refused, "; ")
			if ofDaemon {
				// No node gets one: it is no resident and takes no room.
				notes = append(notes, fmt.Sprintf("%s would be refused, so it counts on no node: %s", workload, why))
				return nil
			}
			notes = append(notes, fmt.Sprintf("%s would be refused, and counts as it would be without the fault: %s", workload, why))
		}
		add(workload, admitted.Pod.Pod, ofDaemon, copies)
		return nil
	}
	there := map[string]bool{}
	for _, pod := range c.Pods {
		if inventory.Ended(pod) {
			continue
		}
		workload, daemon := ownerOf(pod)
		there[workload] = true
		if made(pod) {
			add(workload, pod, daemon, 1)
		} else if err := addNew(workload, pod, daemon, 1); err != nil {
			return nil, nil, nil, nil, err
		}
	}
	running, copies := c.RunningPods() > 0 && !c.manifests, 0
	var cronJobs []string
	for i := range c.Workloads {
		w := &c.Workloads[i]
		workload := fmt.Sprintf("%s/%s/%s", w.Pod.Namespace, strings.ToLower(w.Kind), w.Pod.Name)
		if there[workload] {
			continue
		}
		// Its pods that are there have another owner.
		if running && w.Kind == "CronJob" {
			cronJobs = append(cronJobs, workload)
			continue
		}
		if copies += w.Replicas; copies > maxPods {
			return nil, nil, nil, nil, fmt.Errorf("more than %d pods to place, with the %d of %s: Kubernetes supports no larger cluster", maxPods, w.Replicas, workload)
		}
		if err := addNew(workload, w.Pod, w.Kind == "DaemonSet", w.Replicas); err != nil {
			return nil, nil, nil, nil, err
		}
	}
	if len(cronJobs) > 0 {
		notes = append(notes, fmt.Sprintf("%s counts with the pods that run now, if any, and not with those of its next run", fewOf(cronJobs)))
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		daemons = append(daemons, byName[name])
	}
	slices.Sort(notes)
	return pods, daemons, refused, slices.Compact(notes), nil
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
	if usual.MilliCPU <= 0 || usual.Memory <= 0 || usual.Pods <= 0 {
		return plan.Size{}, fmt.Errorf("--node-cpu=%s, --node-memory=%s, --node-pods=%d: no pod fits on a node without one of these", p.cpu, p.memory, p.pods)
	}
	given, counts := usual, map[plan.Size]int{}
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
	if p.given("node-cpu") {
		usual.MilliCPU = given.MilliCPU
	}
	if p.given("node-memory") {
		usual.Memory = given.Memory
	}
	if p.given("node-pods") {
		usual.Pods = given.Pods
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
	cpu, err := resource.ParseQuantity(p.vmCPU)
	if err != nil {
		return plan.Size{}, fmt.Errorf("--vm-cpu=%s: %w", p.vmCPU, err)
	}
	memory, err := resource.ParseQuantity(p.vmMemory)
	if err != nil {
		return plan.Size{}, fmt.Errorf("--vm-memory=%s: %w", p.vmMemory, err)
	}
	if cpu.Sign() < 0 || memory.Sign() < 0 {
		return plan.Size{}, fmt.Errorf("--vm-cpu=%s, --vm-memory=%s: an overhead is not negative", p.vmCPU, p.vmMemory)
	}
	overhead := plan.Size{MilliCPU: cpu.MilliValue(), Memory: memory.Value()}
	if class.Overhead == nil {
		return overhead, nil
	}
	of := plan.Resources(class.Overhead.PodFixed)
	if p.given("vm-cpu") {
		of.MilliCPU = overhead.MilliCPU
	}
	if p.given("vm-memory") {
		of.Memory = overhead.Memory
	}
	return of, nil
}
