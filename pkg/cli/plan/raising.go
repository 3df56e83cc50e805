package plan

import (
	"cmp"
	"slices"
	"strings"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// maxRaising bounds the workloads that are tried, as each takes a packing.
const maxRaising = 30

// raising finds workloads that differ from the others of their tenant and data class only
// in their privilege, and the nodes that lowering it saves.
func (in *Input) raising(withRule int) []Raising {
	usual := in.usualPrivilege()
	found := map[string]*Raising{}
	for i := range in.Pods {
		pod := &in.Pods[i]
		d, managed := pod.Subject.TrustDomain()
		if !managed {
			continue
		}
		rest := d
		rest.Privilege = isolation.PrivilegeUnknown
		instead, known := usual[rest]
		// A label that asks for the privilege is a choice.
		if !known || d.Privilege <= instead || pod.Facts.Privilege != d.Privilege {
			continue
		}
		r := found[pod.Workload]
		if r == nil {
			r = &Raising{Workload: pod.Workload, Privilege: d.Privilege.String(), Instead: instead.String(), domain: rest}
			found[pod.Workload] = r
		}
		r.Pods += pod.Copies
	}
	all := make([]Raising, 0, len(found))
	for _, r := range found {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Raising) int {
		return cmp.Or(cmp.Compare(a.Pods, b.Pods), strings.Compare(a.Workload, b.Workload))
	})
	all = all[:min(len(all), maxRaising)]
	for i := range all {
		all[i].Saves = max(0, withRule-in.packLowered(all[i].Workload, usual))
	}
	slices.SortStableFunc(all, func(a, b Raising) int { return cmp.Compare(b.Saves, a.Saves) })
	return all
}

// packLowered packs as if one workload had the usual privilege.
func (in *Input) packLowered(workload string, usual map[isolation.TrustDomain]isolation.Privilege) int {
	lowered := *in
	lowered.Pods = slices.Clone(in.Pods)
	for i := range lowered.Pods {
		pod := &lowered.Pods[i]
		d, managed := pod.Subject.TrustDomain()
		if !managed || pod.Workload != workload {
			continue
		}
		d.Privilege = isolation.PrivilegeUnknown
		pod.Facts.Privilege = usual[d]
		pod.Facts.HostAccess = 0
		pod.Subject = in.Rules.Subject(pod.Object, &pod.Facts, in.Lookup)
	}
	return lowered.pack(false)
}

// usualPrivilege returns, for each tenant and data class, the privilege of most workloads,
// and the lower one of two that are as frequent.
func (in *Input) usualPrivilege() map[isolation.TrustDomain]isolation.Privilege {
	workloads := map[isolation.TrustDomain]map[isolation.Privilege]map[string]bool{}
	for i := range in.Pods {
		d, managed := in.Pods[i].Subject.TrustDomain()
		if !managed {
			continue
		}
		privilege := d.Privilege
		d.Privilege = isolation.PrivilegeUnknown
		if workloads[d] == nil {
			workloads[d] = map[isolation.Privilege]map[string]bool{}
		}
		if workloads[d][privilege] == nil {
			workloads[d][privilege] = map[string]bool{}
		}
		workloads[d][privilege][in.Pods[i].Workload] = true
	}
	usual := map[isolation.TrustDomain]isolation.Privilege{}
	for d, byPrivilege := range workloads {
		most := 0
		for _, privilege := range isolation.Privileges() {
			if n := len(byPrivilege[privilege]); n > most {
				usual[d], most = privilege, n
			}
		}
	}
	return usual
}
