package checker

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Pair is two pods of one node that the rule keeps apart.
type Pair struct {
	Node string
	A, B string
	Why  string
}

func (p Pair) String() string {
	return fmt.Sprintf("node %s: %s and %s: %s", p.Node, p.A, p.B, p.Why)
}

// Weak is a placed pod with a weaker boundary than its namespace demands.
type Weak struct {
	Node, Pod, Boundary, Demand string
}

func (w Weak) String() string {
	return fmt.Sprintf("node %s: %s has the boundary %s, its namespace demands %s", w.Node, w.Pod, w.Boundary, w.Demand)
}

// Result is what was checked and what was found.
type Result struct {
	// Pairs and Nodes are how many were checked: no findings mean little if there was nothing
	// to check.
	Pairs, Nodes int
	Broken       []Pair
	Weak         []Weak
}

// Sound reports whether nothing breaks the rule.
func (r Result) Sound() bool { return len(r.Broken) == 0 && len(r.Weak) == 0 }

func (r Result) String() string {
	lines := []string{fmt.Sprintf("checked %d pairs of pods on %d nodes: %d break the rule", r.Pairs, r.Nodes, len(r.Broken))}
	for _, pair := range r.Broken {
		lines = append(lines, "  "+pair.String())
	}
	for _, weak := range r.Weak {
		lines = append(lines, "  "+weak.String())
	}
	return strings.Join(lines, "\n")
}

// Check checks every pair of pods that share a node.
func (c *Cluster) Check() Result {
	var result Result
	for _, node := range c.nodeNames() {
		result.Nodes++
		pods := c.PodsOn(node)
		identities := make([]Identity, len(pods))
		for i, pod := range pods {
			identities[i] = c.Identify(pod)
			if id := identities[i]; !id.meetsDemand() {
				result.Weak = append(result.Weak, Weak{Node: node, Pod: key(pod), Boundary: id.Boundary, Demand: id.Demand})
			}
		}
		for i := range pods {
			for j := i + 1; j < len(pods); j++ {
				result.Pairs++
				if why := c.violation(identities[i], identities[j]); why != "" {
					result.Broken = append(result.Broken, Pair{Node: node, A: key(pods[i]), B: key(pods[j]), Why: why})
				}
			}
		}
	}
	return result
}

// nodeNames returns the names of all Nodes and of missing nodes to which pods are bound: such pods
// share a kernel as soon as a machine of that name joins.
func (c *Cluster) nodeNames() []string {
	var names []string
	for i := range c.Nodes {
		names = append(names, c.Nodes[i].Name)
	}
	for i := range c.Pods {
		if name := c.Pods[i].Spec.NodeName; name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// meetsDemand reports whether a managed pod has the boundary that its namespace demands. The demand
// "node" is checked by pair; a pod of such a namespace needs no boundary.
func (id Identity) meetsDemand() bool {
	if !id.Managed || id.Demand == "node" {
		return true
	}
	return slices.Index(boundaries, id.Boundary) >= slices.Index(boundaries, id.Demand)
}

// violation is the rule: it returns why two pods may not share a node, empty if they may.
func (c *Cluster) violation(a, b Identity) string {
	switch {
	case a.Platform || b.Platform:
		return ""
	case !a.Managed && !b.Managed:
		return ""
	case a.Managed != b.Managed:
		return "one of them belongs to no tenant"
	case a.Unknown != "":
		return "unknown: " + a.Unknown
	case b.Unknown != "":
		return "unknown: " + b.Unknown
	case a.Domain == b.Domain:
		return ""
	case !c.strongEnough(a) || !c.strongEnough(b):
		return fmt.Sprintf("trust domains %s (%s) and %s (%s)", a.Domain, a.Boundary, b.Domain, b.Boundary)
	case a.Demand == "node" || b.Demand == "node":
		return fmt.Sprintf("trust domains %s and %s, one of which demands the machine", a.Domain, b.Domain)
	default:
		return ""
	}
}

func (c *Cluster) strongEnough(id Identity) bool {
	if c.Minimum == "sandbox" {
		return id.Boundary == "sandbox" || id.Boundary == "vm"
	}
	return id.Boundary == "vm"
}

func key(pod *corev1.Pod) string { return pod.Namespace + "/" + pod.Name }
