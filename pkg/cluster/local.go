package cluster

import (
	"slices"

	v1 "k8s.io/api/core/v1"
)

// hostsOf returns the hostnames of the nodes on whose disks the data of a volume is: those that a
// local or hostPath volume requires.
func hostsOf(volume *v1.PersistentVolume) []string {
	if volume.Spec.Local == nil && volume.Spec.HostPath == nil || volume.Spec.ClaimRef == nil {
		return nil
	}
	if volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return nil
	}
	var hosts []string
	for _, term := range volume.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, requirement := range term.MatchExpressions {
			if requirement.Key == v1.LabelHostname && requirement.Operator == v1.NodeSelectorOpIn {
				hosts = append(hosts, requirement.Values...)
			}
		}
	}
	return hosts
}

// LocalTenants returns the tenants whose data is on a node's disks: in volumes there that are
// bound to a PVC of theirs, or were, as long as the volume exists.
func (s *Store) LocalTenants(name string) []string {
	host := name
	if node, exists := s.Node(name); exists && node.Labels[v1.LabelHostname] != "" {
		host = node.Labels[v1.LabelHostname]
	}
	var tenants []string
	for _, volume := range indexed[*v1.PersistentVolume](s.sources.volumes, byHost, host) {
		namespace, _ := s.Namespace(volume.Spec.ClaimRef.Namespace)
		if tenant := s.Rules().TenantOf(namespace.Labels); tenant != "" {
			tenants = append(tenants, tenant)
		}
	}
	slices.Sort(tenants)
	return slices.Compact(tenants)
}
