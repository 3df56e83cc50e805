package explain

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/cli/reach"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// trial tries changes of a pod, and keeps those with which more nodes could take it.
type trial struct {
	*Explainer
	admitting int
	helps     []WhatIf
}

// try counts the nodes that could take a changed pod. alter, if not nil, changes what is judged of it.
func (t *trial) try(change string, changed *v1.Pod, answer *reach.Answer, alter func(*podfacts.Facts)) {
	facts := t.Gatherer.Gather(changed)
	if alter != nil {
		alter(&facts)
	}
	var e Explanation
	t.judgeNodes(&e, changed, t.Rules.Subject(changed, &facts, t.Store), answer)
	if e.Admitting > t.admitting {
		t.helps = append(t.helps, WhatIf{Change: change, Admitting: e.Admitting, More: e.Admitting - t.admitting})
	}
}

// whatIf tries changes of the pod, and returns those with which more nodes could take it. The answer is what
// the plugins say of the pod as it is.
func (x *Explainer) whatIf(ctx context.Context, pod *v1.Pod, subject isolation.Subject, answer *reach.Answer, admitting int) ([]WhatIf, error) {
	if subject.Platform() || admitting == len(x.Nodes) {
		return nil, nil
	}
	t := &trial{Explainer: x, admitting: admitting}
	open := func(f *podfacts.Facts) { f.HostAccess, f.PVCs, f.CSIDrivers = 0, nil, nil }
	voided := subject.HostAccess() != 0
	for _, class := range x.RuntimeClasses {
		if !x.Rules.Isolates(x.Rules.BoundaryOf(class.Handler)) {
			continue
		}
		if class.Name == podfacts.RuntimeClassName(pod) {
			if voided {
				t.try("without what voids its boundary", pod, answer, open)
			}
			continue
		}
		changed, err := x.Under(pod, class)
		if err != nil {
			return nil, err
		}
		under, err := x.Plugins.Ask(ctx, changed)
		if err != nil {
			return nil, err
		}
		if voided {
			t.try(fmt.Sprintf("under %s, without what it shares with the host", class.Name), changed, under, open)
			continue
		}
		t.try("under "+class.Name, changed, under, nil)
	}
	for _, level := range isolation.Privileges() {
		if facts := x.Gatherer.Gather(pod); level >= facts.Privilege {
			break
		}
		t.try(fmt.Sprintf("at the %s level of the Pod Security Standards", level), pod, answer, func(f *podfacts.Facts) {
			f.Privilege = level
			// Everything that voids a boundary needs the privileged level.
			f.HostAccess = 0
		})
	}
	return t.helps, nil
}
