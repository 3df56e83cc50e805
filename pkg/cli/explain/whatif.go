package explain

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// whatIf asks the rule about pods that are a little different, and returns the changes by
// which more nodes would admit the pod.
func (c *Cluster) whatIf(pod *v1.Pod, subject isolation.Subject, admitting int) []WhatIf {
	if subject.Platform() || admitting == len(c.Nodes) {
		return nil
	}
	var helps []WhatIf
	try := func(change string, changed *v1.Pod, alter func(*podfacts.Facts)) {
		facts := c.Gatherer.Gather(changed)
		if alter != nil {
			alter(&facts)
		}
		_, n := c.verdicts(changed, c.Rules.Subject(changed, &facts, c.Store))
		if n > admitting {
			helps = append(helps, WhatIf{Change: change, Admitting: n, More: n - admitting})
		}
	}
	open := func(f *podfacts.Facts) { f.HostAccess, f.PVCs, f.CSIDrivers = 0, nil, nil }
	voided := subject.HostAccess() != 0
	for _, class := range c.RuntimeClasses {
		if !c.Rules.Isolates(c.Rules.BoundaryOf(class.Handler)) {
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
		// It would be a new pod.
		changed.Status.StartTime = nil
		if voided {
			try(fmt.Sprintf("under %s, without what it shares with the host", class.Name), changed, open)
			continue
		}
		try("under "+class.Name, changed, nil)
	}
	for _, level := range isolation.Privileges() {
		facts := c.Gatherer.Gather(pod)
		if level >= facts.Privilege {
			break
		}
		try(fmt.Sprintf("at the %s level of the Pod Security Standards", level), pod, func(f *podfacts.Facts) {
			f.Privilege = level
			// What voids a boundary is no less than privileged.
			f.HostAccess = 0
		})
	}
	return helps
}
