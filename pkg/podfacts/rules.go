package podfacts

import (
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Rules is everything that an IsolationPolicy decides about pods, as one immutable value: it
// is swapped as a whole or not at all.
type Rules struct {
	*isolation.Policy
	// platform selects platform namespaces by label.
	platform labels.Selector
	// hostPathProvisioners provision volumes that are directories of the host.
	hostPathProvisioners []string
}

// NoRules returns the rules of a scheduler that knows no policy: they deny every pod.
func NoRules() *Rules { return &Rules{Policy: &isolation.Policy{}, platform: labels.Nothing()} }

// IsPlatform reports whether a namespace is listed or selected as the platform's, whatever its tenant label
// says.
func (r *Rules) IsPlatform(name string, set map[string]string) bool {
	return r.Policy.IsPlatform(name) || r.platform.Matches(labels.Set(set))
}

// NewRules translates a spec that has its defaults. The error names every field at fault.
func NewRules(spec *v1alpha1.IsolationPolicySpec) (*Rules, error) {
	c := isolation.Config{
		DataClasses:               spec.DataClasses,
		BoundaryByHandler:         KnownHandlers(),
		PlatformNamespaces:        spec.PlatformNamespaces.Names,
		AllowedRuntimeAnnotations: spec.Boundaries.AllowedAnnotations,
		Observe:                   spec.Enforcement == v1alpha1.EnforcementAudit,
	}
	var errs []error
	fault := func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("spec.%s: %w", field, err))
		}
	}
	for _, name := range spec.SeparateBy {
		axis, err := isolation.ParseAxis(string(name))
		fault("separateBy", err)
		c.SeparateBy = append(c.SeparateBy, axis)
	}
	for _, group := range spec.Sharing.DataClasses {
		c.ShareDataClasses = append(c.ShareDataClasses, group)
	}
	for _, group := range spec.Sharing.Privileges {
		levels := make([]isolation.Privilege, 0, len(group))
		for _, name := range group {
			level, err := isolation.ParsePrivilege(name)
			fault("sharing.privileges", err)
			levels = append(levels, level)
		}
		c.SharePrivileges = append(c.SharePrivileges, levels)
	}
	for handler, name := range spec.Boundaries.Handlers {
		boundary, err := isolation.ParseBoundary(string(name))
		fault("boundaries.handlers", err)
		c.BoundaryByHandler[handler] = boundary
	}
	var err error
	c.MinimumBoundary, err = isolation.ParseBoundary(string(spec.Boundaries.Minimum))
	fault("boundaries.minimum", err)
	c.Preemption, err = isolation.ParsePreemption(string(spec.Preemption))
	fault("preemption", err)

	// A nil selector selects nothing: platform namespaces are named one by one.
	platform, err := metav1.LabelSelectorAsSelector(spec.PlatformNamespaces.Selector)
	fault("platformNamespaces.selector", err)
	// Package dedication reads it. It is checked here so that no spec with a fault is put in force.
	_, err = metav1.LabelSelectorAsSelector(spec.NodeLabel.Selector)
	fault("nodeLabel.selector", err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	policy, err := isolation.NewPolicy(c)
	if err != nil {
		return nil, err
	}
	return &Rules{
		Policy:               policy,
		platform:             platform,
		hostPathProvisioners: slices.Clone(spec.Boundaries.HostPathProvisioners),
	}, nil
}
