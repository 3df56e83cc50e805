package explain

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// whatIf tries changes of the pod, and returns those with which more nodes would admit it.
func (x *Explainer) whatIf(pod *v1.Pod, subject isolation.Subject, admitting int) []WhatIf {
	if subject.Platform() || admitting == len(x.Nodes) {
		return nil
	}
	var helps []WhatIf
	try := func(change string, changed *v1.Pod, alter func(*podfacts.Facts)) {
		facts := x.Gatherer.Gather(changed)
		if alter != nil {
			alter(&facts)
		}
		_, n := x.verdicts(changed, x.Rules.Subject(changed, &facts, x.Store))
		if n > admitting {
			helps = append(helps, WhatIf{Change: change, Admitting: n, More: n - admitting})
		}
	}
	open := func(f *podfacts.Facts) { f.HostAccess, f.PVCs, f.CSIDrivers = 0, nil, nil }
	voided := subject.HostAccess() != 0
	for _, class := range x.RuntimeClasses {
		if !x.Rules.Isolates(x.Rules.BoundaryOf(class.Handler)) {
			continue
		}
		if class.Name == podfacts.RuntimeClassName(pod) {
			if voided {
				try("without what voids its boundary", pod, open)
			}
			continue
		}
		changed := pod.DeepCopy()
		changed.Spec.RuntimeClassName = ptr.To(class.Name)
		// The changed pod would be a new one.
		changed.Status.StartTime = nil
		if voided {
			try(fmt.Sprintf("under %s, without what it shares with the host", class.Name), changed, open)
			continue
		}
		try("under "+class.Name, changed, nil)
	}
	for _, level := range isolation.Privileges() {
		facts := x.Gatherer.Gather(pod)
		if level >= facts.Privilege {
			break
		}
		try(fmt.Sprintf("at the %s level of the Pod Security Standards", level), pod, func(f *podfacts.Facts) {
			f.Privilege = level
			// Everything that voids a boundary needs the privileged level.
			f.HostAccess = 0
		})
	}
	return helps
}
