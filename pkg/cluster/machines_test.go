package cluster

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func tainted(key string, effect v1.TaintEffect) func(*v1.Node) {
	return func(n *v1.Node) { n.Spec.Taints = append(n.Spec.Taints, v1.Taint{Key: key, Effect: effect}) }
}

func asks(name v1.ResourceName, quantity string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		p.Spec.Containers[0].Resources.Requests = v1.ResourceList{name: resource.MustParse(quantity)}
	}
}

// A node counts as another one for containers unless no pod of an unknown owner could be placed
// there; what the pod says of itself counts only where it costs something.
func TestHasPlainNodeFor(t *testing.T) {
	forVMs := func(n *v1.Node) { n.Status.RuntimeHandlers = makeNode("", "runc", "kata-qemu").Status.RuntimeHandlers }
	reports := func(n *v1.Node) { n.Status.RuntimeHandlers = makeNode("", "runc").Status.RuntimeHandlers }
	class := func(name string) func(*v1.Pod) { return func(p *v1.Pod) { p.Spec.RuntimeClassName = &name } }
	for name, tc := range map[string]struct {
		node []func(*v1.Node)
		pod  []func(*v1.Pod)
		want bool
	}{
		"a node without a VM":                            {want: true},
		"a node that reports no handler for VMs":         {node: []func(*v1.Node){reports}, want: true},
		"a node for VMs, by its handlers":                {node: []func(*v1.Node){forVMs}},
		"a node for VMs, by the selector of a class":     {node: []func(*v1.Node){func(n *v1.Node) { n.Labels = map[string]string{"kvm": "yes"} }}},
		"a cordoned node":                                {node: []func(*v1.Node){func(n *v1.Node) { n.Spec.Unschedulable = true }}},
		"a node that is not ready":                       {node: []func(*v1.Node){tainted(v1.TaintNodeNotReady, v1.TaintEffectNoExecute)}},
		"a node of the control plane":                    {node: []func(*v1.Node){tainted("node-role.kubernetes.io/control-plane", v1.TaintEffectNoSchedule)}},
		"a node that is only disliked":                   {node: []func(*v1.Node){tainted("old", v1.TaintEffectPreferNoSchedule)}, want: true},
		"a node that is dedicated to others":             {node: []func(*v1.Node){tainted(isolation.TenantTaint, v1.TaintEffectNoSchedule)}, want: true},
		"a pod that selects other nodes":                 {pod: []func(*v1.Pod){func(p *v1.Pod) { p.Spec.NodeSelector = map[string]string{"kvm": "yes"} }}, want: true},
		"a pod that fits":                                {pod: []func(*v1.Pod){asks(v1.ResourceCPU, "4")}, want: true},
		"a pod that is too large":                        {pod: []func(*v1.Pod){asks(v1.ResourceCPU, "4001m")}},
		"a pod that needs what the node does not have":   {pod: []func(*v1.Pod){asks("example.com/gpu", "1")}},
		"a pod of a class that the node does not offer":  {node: []func(*v1.Node){reports}, pod: []func(*v1.Pod){class("gvisor")}},
		"a pod of a class that the node may offer":       {pod: []func(*v1.Pod){class("gvisor")}, want: true},
		"a pod of a class whose selector leaves it out":  {pod: []func(*v1.Pod){class("kata-kvm")}},
		"a pod of a class that does not exist, anywhere": {pod: []func(*v1.Pod){class("none")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			kvm := makeClass("kata-kvm", "kata-qemu")
			kvm.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"kvm": "yes"}}
			w.set(makeNamespace("red", "tenant=red"), kvm, makeClass("gvisor", "runsc"))
			node := makeNode("n1")
			node.Status.Allocatable = v1.ResourceList{v1.ResourceCPU: resource.MustParse("4")}
			for _, change := range tc.node {
				change(node)
			}
			w.set(node)
			if got := w.HasPlainNodeFor(w.pod("red", "p", tc.pod...)); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

// The last node for containers goes, or becomes something else: pods may then open others.
func TestFreesVMNodes(t *testing.T) {
	for name, change := range map[string]func(w *world, node *v1.Node){
		"it is deleted": func(w *world, node *v1.Node) { w.unset(node) },
		"it is cordoned": func(w *world, node *v1.Node) {
			w.set(changedNode(node, func(n *v1.Node) { n.Spec.Unschedulable = true }))
		},
		"it is tainted": func(w *world, node *v1.Node) { w.set(changedNode(node, tainted("k", v1.TaintEffectNoSchedule))) },
		"it shrinks": func(w *world, node *v1.Node) {
			w.set(changedNode(node, func(n *v1.Node) { n.Status.Allocatable = nil }))
		},
		"a class says that it is for VMs": func(w *world, _ *v1.Node) { w.set(kataOn("plain")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			node := makeNode("n1")
			node.Labels = map[string]string{"pool": "plain"}
			node.Status.Allocatable = v1.ResourceList{v1.ResourceCPU: resource.MustParse("4")}
			w.set(makeNamespace("red", "tenant=red"), kataOn("vm"), node)
			small, large := w.pod("red", "small", asks(v1.ResourceCPU, "1")), w.pod("red", "large", asks(v1.ResourceCPU, "8"))
			frees := func(pod *v1.Pod) (frees bool) {
				for i := range w.events {
					frees = frees || w.events[i].LosesPlainNodes() && w.FreesVMNodes(&w.events[i], pod)
				}
				return frees
			}
			w.set(changedNode(node, func(n *v1.Node) { n.Annotations = map[string]string{"a": "b"} }))
			if frees(small) {
				t.Error("a change that is none frees nodes for VMs")
			}
			change(w, node)
			if !frees(small) {
				t.Error("the pod that was kept off is not said to be free to go there")
			}
			if frees(large) {
				t.Error("a pod that was not kept off is said to be free now")
			}
		})
	}
}

func changedNode(node *v1.Node, change func(*v1.Node)) *v1.Node {
	node = node.DeepCopy()
	change(node)
	return node
}

// kataOn is the class of VMs on the nodes of a pool.
func kataOn(pool string) *nodev1.RuntimeClass {
	class := makeClass("kata", "kata-qemu")
	class.Scheduling = &nodev1.Scheduling{NodeSelector: map[string]string{"pool": pool}}
	return class
}
