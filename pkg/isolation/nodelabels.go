package isolation

import (
	"slices"
	"strings"
)

// NodeLabelPrefix begins the keys of the node labels. A kubelet may not write labels of this
// domain on its own Node (NodeRestriction); an autoscaler may.
const NodeLabelPrefix = "tenantisolation.node-restriction.kubernetes.io/"

// Values of node labels that name no part of a trust domain.
const (
	// NodeLabelAny is the value on an axis that the policy does not separate.
	NodeLabelAny = "any"
	// NodeLabelVM is the value on all axes of a node that is open to the VMs of all tenants.
	NodeLabelVM = "vm"
	// NodeLabelUnmanaged is the value on all axes of a node with pods that have no tenant.
	NodeLabelUnmanaged = "unmanaged"
)

// NodeLabelKey returns the key of the node label of an axis.
func NodeLabelKey(a Axis) string { return NodeLabelPrefix + a.String() }

// NodeLabelKeys returns the keys of the node labels, in the order of Axes.
func NodeLabelKeys() []string {
	keys := make([]string, 0, len(Axes()))
	for _, a := range Axes() {
		keys = append(keys, NodeLabelKey(a))
	}
	return keys
}

// NodeLabels are the values of a node's four labels by Axis: whose pods may count on the node.
// They are written and removed together, and compared with ==. The zero NodeLabels are none.
//
// A trust domain is never taken for VMs or for pods without a tenant, whatever the names of
// tenants and data classes are: no privilege is called vm or unmanaged.
type NodeLabels [4]string

// VMNodeLabels are the labels of a node that is open to the VMs of all tenants.
func VMNodeLabels() NodeLabels { return sameOnAllAxes(NodeLabelVM) }

// UnmanagedNodeLabels are the labels of a node with pods that have no tenant.
func UnmanagedNodeLabels() NodeLabels { return sameOnAllAxes(NodeLabelUnmanaged) }

func sameOnAllAxes(value string) NodeLabels { return NodeLabels{value, value, value, value} }

// Map returns the labels by key, none for the zero NodeLabels.
func (l NodeLabels) Map() map[string]string {
	labels := map[string]string{}
	if l == (NodeLabels{}) {
		return labels
	}
	for _, a := range Axes() {
		labels[NodeLabelKey(a)] = l[a]
	}
	return labels
}

// String returns the values for logs and for administrators.
func (l NodeLabels) String() string {
	if l == (NodeLabels{}) {
		return "none"
	}
	parts := make([]string, 0, len(l))
	for _, a := range Axes() {
		parts = append(parts, a.String()+"="+l[a])
	}
	return strings.Join(parts, ",")
}

// NodeLabels returns the labels of the nodes of the subject's trust domain; false if it has none.
// Where values share, they name the representative of the group.
func (p *Policy) NodeLabels(s *Subject) (NodeLabels, bool) {
	if s.scope != managed {
		return NodeLabels{}, false
	}
	return p.nodeLabelsOf(s.group), true
}

func (p *Policy) nodeLabelsOf(g KernelGroup) NodeLabels {
	d := g.interned.Value()
	labels := NodeLabels{
		AxisTenant:        d.Tenant,
		AxisDataClass:     d.DataClass,
		AxisPrivilege:     d.Privilege.String(),
		AxisUserNamespace: d.UserNamespace.String(),
	}
	for _, a := range Axes() {
		if !p.separates[a] {
			labels[a] = NodeLabelAny
		}
	}
	return labels
}

// OpenedNodeLabels returns the labels of a node that the subject opens (see Subject.Dedication); false
// if it opens none.
func (p *Policy) OpenedNodeLabels(s *Subject) (NodeLabels, bool) {
	if s.scope == managed && s.open {
		return VMNodeLabels(), true
	}
	return p.NodeLabels(s)
}

// OccupiedNodeLabels returns the labels that fit the pods of a node, the best first; none if no
// labels do. The zero Dedication is that of a node which is not dedicated. A node without pods, or with
// one of which nothing is known, keeps the last labels if they fit: those of the pod that opened it, or
// those that an autoscaler made it with.
//
// A node with pods without a tenant is for none, even if it is dedicated. Where that breaks the
// required node affinity of a pod on the node, the caller takes the next labels.
func (p *Policy) OccupiedNodeLabels(d Dedication, o *Occupancy, last NodeLabels) []NodeLabels {
	var labels []NodeLabels
	if o.unmanaged > 0 {
		labels = append(labels, UnmanagedNodeLabels())
	}
	switch {
	case d.shared:
		return append(labels, VMNodeLabels())
	case o.all.some && o.unknown == 0:
		if !o.all.several && d == o.all.group.dedication() {
			labels = append(labels, p.nodeLabelsOf(o.all.group))
		}
		return labels
	case !p.writes(last) || last == UnmanagedNodeLabels():
		return labels
	case d == p.dedicationOfLabels(last), o.Empty() && !d.Known():
		labels = append(labels, last)
	}
	return labels
}

// dedicationOfLabels returns the dedication of the nodes with labels that the policy writes.
func (p *Policy) dedicationOfLabels(l NodeLabels) Dedication {
	if l == VMNodeLabels() {
		return Dedication{shared: true}
	}
	d := Dedication{tenant: l[AxisTenant]}
	if p.separates[AxisDataClass] {
		d.dataClass = l[AxisDataClass]
	}
	return d
}

// ParseNodeLabels reads the node labels; false if there is none of their keys. Labels that this
// policy would not have written, as some of the four or those of another policy, are the zero NodeLabels.
func (p *Policy) ParseNodeLabels(labels map[string]string) (NodeLabels, bool) {
	var parsed NodeLabels
	found, complete := false, true
	for _, a := range Axes() {
		value, ok := labels[NodeLabelKey(a)]
		found = found || ok
		complete = complete && value != ""
		parsed[a] = value
	}
	if !complete || !p.writes(parsed) {
		return NodeLabels{}, found
	}
	return parsed, true
}

// NodeLabelsMislead reports whether the labels of a node do not fit the pods on it: autoscalers, other schedulers and
// kubelets then count on it for the wrong pods. Labels that this policy would not have written always do.
func (p *Policy) NodeLabelsMislead(labels map[string]string, d Dedication, o *Occupancy) bool {
	on, found := p.ParseNodeLabels(labels)
	return found && !slices.Contains(p.OccupiedNodeLabels(d, o, on), on)
}

// writes reports whether the labels are of some trust domain, of VMs or of pods without a tenant.
func (p *Policy) writes(l NodeLabels) bool {
	switch {
	case !p.made():
		return false
	case l == VMNodeLabels() || l == UnmanagedNodeLabels():
		return true
	}
	return p.writesDataClass(l[AxisDataClass]) && p.writesPrivilege(l[AxisPrivilege]) && p.writesUserNamespace(l[AxisUserNamespace])
}

func (p *Policy) writesDataClass(value string) bool {
	if !p.separates[AxisDataClass] {
		return value == NodeLabelAny
	}
	return p.representative(value)
}

func (p *Policy) writesPrivilege(value string) bool {
	if !p.separates[AxisPrivilege] {
		return value == NodeLabelAny
	}
	privilege, err := ParsePrivilege(value)
	if err != nil {
		return false
	}
	shared, ok := p.privilegeShare[privilege]
	return !ok || shared == privilege
}

func (p *Policy) writesUserNamespace(value string) bool {
	if !p.separates[AxisUserNamespace] {
		return value == NodeLabelAny
	}
	return value == UserNamespaceHost.String() || value == UserNamespacePod.String()
}
