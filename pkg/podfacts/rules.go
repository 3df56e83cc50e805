package podfacts

import (
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Rules is everything that the arguments decide, as one immutable value: it is
// swapped as a whole or not at all.
type Rules struct {
	*isolation.Policy
	// platform selects platform namespaces by label.
	platform labels.Selector
	// hostPathProvisioners provision volumes that are directories of the host.
	hostPathProvisioners []string
}

// NewRules translates validated arguments.
func NewRules(args *config.TenantIsolationArgs) (*Rules, error) {
	c := isolation.Config{
		TenantKey:                 args.LabelKeys.Tenant,
		DataClassKey:              args.LabelKeys.DataClass,
		PrivilegeKey:              args.LabelKeys.Privilege,
		BoundaryKey:               args.LabelKeys.Boundary,
		DataClasses:               args.DataClasses,
		ShareDataClasses:          args.Sharing.DataClasses,
		BoundaryByHandler:         make(map[string]isolation.Boundary, len(args.BoundaryByHandler)),
		PlatformNamespaces:        args.PlatformNamespaces.Names,
		AllowedRuntimeAnnotations: args.AllowedRuntimeAnnotations,
		Observe:                   args.Enforcement == config.EnforcementAudit,
	}
	var errs []error
	for _, name := range args.SeparateBy {
		axis, err := isolation.ParseAxis(string(name))
		errs = append(errs, err)
		c.SeparateBy = append(c.SeparateBy, axis)
	}
	for _, group := range args.Sharing.Privileges {
		levels := make([]isolation.Privilege, 0, len(group))
		for _, name := range group {
			level, err := isolation.ParsePrivilege(name)
			errs = append(errs, err)
			levels = append(levels, level)
		}
		c.SharePrivileges = append(c.SharePrivileges, levels)
	}
	for handler, name := range args.BoundaryByHandler {
		boundary, err := isolation.ParseBoundary(string(name))
		errs = append(errs, err)
		c.BoundaryByHandler[handler] = boundary
	}
	var err error
	c.MinimumBoundary, err = isolation.ParseBoundary(string(args.MinimumBoundary))
	errs = append(errs, err)
	c.Preemption, err = isolation.ParsePreemption(string(args.Preemption))
	errs = append(errs, err)

	// A nil selector selects nothing: platform namespaces are named one by one.
	platform, err := metav1.LabelSelectorAsSelector(args.PlatformNamespaces.Selector)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	policy, err := isolation.NewPolicy(c)
	if err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	return &Rules{
		Policy:               policy,
		platform:             platform,
		hostPathProvisioners: slices.Clone(args.HostPathProvisioners),
	}, nil
}
