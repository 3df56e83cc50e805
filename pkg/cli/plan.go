package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/explain"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/cli/plan"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

type planOptions struct {
	*options
	output               string
	cpu, memory          string
	pods                 int64
	vmClass              string
	vmCPU, vmMemory      string
	cpuGiven, vmCPUGiven bool
}

func newPlanCommand(o *options) *cobra.Command {
	p := &planOptions{options: o}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Estimate what enforcing the rule costs in nodes, or what another policy would change",
		Long: paragraphs(
			`Packs the pods of the cluster anew, into nodes of the same sizes: without the rule, with it, and with VMs
where they save nodes. Lists the workloads that share a node against the rule today and would move, and those
that are in a trust domain of their own only because of their privilege, where a fix would save nodes.`,
			`It is an estimate: best fit by CPU and memory requests and the number of pods. Selectors, taints, spread and
disks are ignored. Pods of DaemonSets and of the platform are assumed on every node; a DaemonSet of a tenant keeps off
what the rule denies beside it.`,
			`For manifests without nodes, the pods are packed into nodes of --node-cpu and --node-memory.`,
			`With --policy, and a cluster or files with pods on nodes, it says instead what would change with that policy in
force in place of the one that is: findings that would begin and end, RuntimeClasses that would be taken for
another boundary, pods that would be refused or judged to be something else, and dedicated nodes that would
have to be released. For files without pods on nodes, --policy is the policy of the estimate.`,
			`Exit status: 0 if done, and with --policy if nothing would change; 1 with --policy if something would; 2 if the
input or the request is invalid, or if it was not judged: no namespace has a tenant, or, with --policy, it is
unknown which policy is in force. A field that takes effect only later, such as enforcement, is a change.`,
		),
		Example: examples(
			"# The cluster of the current context, with the tenants of Capsule",
			"kubectl isolation plan --tenant-key=capsule.clastix.io/tenant",
			"",
			"# Manifests, on nodes of a given size",
			"kubectl isolation plan -f manifests/ -R --tenant-key=namespace --node-cpu=16 --node-memory=64Gi",
			"",
			"# What another policy would change, before it is applied",
			"kubectl isolation plan --policy new.yaml",
		),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.cpuGiven = cmd.Flags().Changed("node-cpu") || cmd.Flags().Changed("node-memory")
			p.vmCPUGiven = cmd.Flags().Changed("vm-cpu") || cmd.Flags().Changed("vm-memory")
			if err := p.wholeCluster(cmd); err != nil {
				return err
			}
			return p.run(cmd.Context())
		},
	}
	o.addInputFlags(cmd)
	outputFlag(cmd, &p.output, "json", "yaml")
	flags := cmd.Flags()
	flags.StringVar(&p.cpu, "node-cpu", "8", "CPU of a node, if the input has no nodes")
	flags.StringVar(&p.memory, "node-memory", "32Gi", "Memory of a node, if the input has no nodes")
	flags.Int64Var(&p.pods, "node-pods", 110, "Maximum pods of a node, if the input has no nodes")
	flags.StringVar(&p.vmClass, "vm-runtime-class", "", "RuntimeClass for pods in VMs; the default is the first one whose handler isolates")
	flags.StringVar(&p.vmCPU, "vm-cpu", "250m", "CPU overhead of a VM, if the RuntimeClass does not say")
	flags.StringVar(&p.vmMemory, "vm-memory", "160Mi", "Memory overhead of a VM, if the RuntimeClass does not say")
	return cmd
}

func (p *planOptions) run(ctx context.Context) error {
	if err := oneOf(p.output, "", "json", "yaml"); err != nil {
		return err
	}
	given, err := p.readPolicy()
	if err != nil {
		return err
	}
	c, compares, err := p.loadToPlan(ctx)
	if err != nil {
		return err
	}
	if compares {
		return p.comparePolicies(c, given)
	}
	in, notes, err := p.input(c)
	if err != nil {
		return err
	}
	c.Warnings = append(c.Warnings, notes...)
	p.warn(c)
	made := planned{c.judgement(c.unjudgedTenants()), plan.Make(in)}
	if p.output != "" {
		err = p.printObject(p.output, made)
	} else {
		err = printPlan(p.Out, c, in, made.Plan)
		printNotJudged(p.Out, newColour(p.Out), &made.judgement)
	}
	if err != nil {
		return err
	}
	return made.status(false)
}

// planned is the output for programs.
type planned struct {
	judgement
	*plan.Plan
}

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
		in.Nodes = append(in.Nodes, less(size, common))
	}
	if len(in.Nodes) == 0 {
		notes = append(notes, fmt.Sprintf("no node with a known size: nodes of %s CPU, %s and %d pods are assumed, see --node-cpu",
			p.cpu, p.memory, p.pods))
	}
	in.More = less(usual, common)
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

// maxListed is the length of a list for people.
const maxListed = 15

func printPlan(out io.Writer, c *judgedCluster, in plan.Input, made *plan.Plan) error {
	paint := newColour(out)
	fmt.Fprintf(out, "%s to place (rule: %s), on nodes of %s CPU and %s, DaemonSets deducted\n\n",
		count(made.Pods, "pod"), c.policyFrom,
		resource.NewMilliQuantity(in.More.MilliCPU, resource.DecimalSI), resource.NewQuantity(in.More.Memory, resource.BinarySI))
	table := printers.GetNewTabWriter(out)
	fmt.Fprintln(table, "NODES\tFOR")
	if made.Today > 0 {
		fmt.Fprintf(table, "%d\tin use now\n", made.Today)
	}
	fmt.Fprintf(table, "%d\twithout the rule, the same pods packed wherever there is room\n", made.WithoutRule)
	fmt.Fprintf(table, "%s\twith the rule, each trust domain on nodes of its own\n", paint.bold(fmt.Sprint(made.WithRule)))
	if made.WithVMs > 0 {
		fmt.Fprintf(table, "%s\twith the rule, and VMs (RuntimeClass %s) where they save nodes\n", paint.bold(fmt.Sprint(made.WithVMs)), made.VMClass)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if made.WithVMs == 0 {
		fmt.Fprintln(out, "\nThere is no RuntimeClass for VMs, so there is no plan with VMs.")
	}
	printDomains(out, made)
	printMoves(out, made)
	printRaising(out, in, made)
	for _, u := range made.Unplaceable {
		fmt.Fprintf(out, "\n%s %s (%s) is left out: %s\n", paint.warn("note:"), u.Workload, count(u.Pods, "pod"), u.Why)
	}
	return nil
}

func printDomains(out io.Writer, made *plan.Plan) {
	fmt.Fprintf(out, "\n%s:\n", count(len(made.TrustDomains), "trust domain"))
	for i, d := range made.TrustDomains {
		if i == maxListed {
			fmt.Fprintf(out, "  and %d more\n", len(made.TrustDomains)-maxListed)
			break
		}
		fmt.Fprintf(out, "  %s: %s, %s\n", d.Name, count(d.Pods, "pod"), count(d.Nodes, "node"))
	}
}

func printMoves(out io.Writer, made *plan.Plan) {
	switch {
	case made.Today == 0:
	case len(made.Moves) == 0:
		fmt.Fprintln(out, "\nNo workload would have to move: no node has more than one trust domain.")
	default:
		fmt.Fprintf(out, "\n%s would move, away from nodes where another trust domain has more pods:\n", count(len(made.Moves), "workload"))
		for i, m := range made.Moves {
			if i == maxListed {
				fmt.Fprintf(out, "  and %d more\n", len(made.Moves)-maxListed)
				break
			}
			fmt.Fprintf(out, "  %s: %s on %s\n", m.Workload, count(m.Pods, "pod"), fewOf(m.Nodes))
		}
	}
}

func printRaising(out io.Writer, in plan.Input, made *plan.Plan) {
	if len(made.Raising) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s in a trust domain of its own only because of its privilege; lowering it saves:\n", count(len(made.Raising), "workload"))
	for i, r := range made.Raising {
		if i == maxListed {
			fmt.Fprintf(out, "  and %d more\n", len(made.Raising)-maxListed)
			break
		}
		fmt.Fprintf(out, "  %s: %s, %s where %s is usual, because of %s\n", r.Workload, count(r.Saves, "node"), r.Privilege, r.Instead, whyRaised(in, r))
	}
}

// whyRaised names the fields that raise the privilege of a workload.
func whyRaised(in plan.Input, r plan.Raising) string {
	for i := range in.Pods {
		if in.Pods[i].Workload != r.Workload {
			continue
		}
		raised, err := explain.RaisedBy(in.Pods[i].Object, r.Privilege)
		if err != nil || len(raised) == 0 {
			break
		}
		var texts []string
		for _, x := range raised {
			text := x.Reason
			if len(x.Fields) > 0 {
				text += " (" + strings.Join(x.Fields, ", ") + ")"
			}
			texts = append(texts, text)
		}
		return fewOf(texts)
	}
	return "its spec"
}
