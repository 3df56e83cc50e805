package cli

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/cli/admit"
)

// made reports whether a pod exists, and is not only described by a manifest or a template.
func made(pod *v1.Pod) bool { return pod.Spec.NodeName != "" || !pod.CreationTimestamp.IsZero() }

// admitted is a pod as admission would make it.
type admitted struct {
	*admit.Pod
	// unasked is why the API server was not asked, empty if it was.
	unasked string
}

// admitter returns what evaluates the shipped policies.
func (c *judgedCluster) admitter() (*admit.Admitter, error) {
	if c.shipped == nil {
		var err error
		if c.shipped, err = admit.New(c.policy, c.rules, c.Namespaces, c.RuntimeClasses); err != nil {
			return nil, fmt.Errorf("the admission policies of this release: %w", err)
		}
	}
	return c.shipped, nil
}

// admit asks the API server what it would make of a pod, and evaluates the shipped policies if there is none or it
// does not answer.
func (c *judgedCluster) admit(ctx context.Context, pod *v1.Pod) (*admitted, error) {
	admitter, err := c.admitter()
	if err != nil {
		return nil, err
	}
	here, err := admitter.Admit(ctx, pod)
	if err != nil || c.client == nil {
		return &admitted{Pod: here}, err
	}
	live, asked, why, err := admit.DryRun(ctx, c.client, pod)
	switch {
	case err != nil:
		return nil, err
	case !asked:
		return &admitted{Pod: here, unasked: "other controls on admission are not counted: " + why}, nil
	case len(live.Refused) > 0:
		// What it would be, were it not refused.
		live.Pod = here.Pod
	}
	return &admitted{Pod: live}, nil
}
