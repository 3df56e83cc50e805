package isolation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Unclassified is the data class of what bears no data class: a class of its own,
// below all others.
const Unclassified = "unclassified"

// RuntimeAnnotationPrefix begins the annotations by which a pod configures the VM
// that Kata Containers starts for it
// (kata-containers, docs/how-to/how-to-set-sandbox-config-kata.md). It is not only
// io.katacontainers.config.: io.katacontainers.config_path names a whole configuration
// file of the host (CVE-2026-50540).
const RuntimeAnnotationPrefix = "io.katacontainers."

// Config is what an administrator can say about the rule. NewPolicy makes a Policy
// of it.
type Config struct {
	// DataClasses are the known classes, lowest first. Unclassified is implied
	// below them.
	DataClasses []string
	// SeparateBy are the axes that separate trust domains; AxisTenant is one of them.
	SeparateBy []Axis
	// ShareDataClasses and SharePrivileges are groups of values that do not
	// separate trust domains of one tenant.
	ShareDataClasses [][]string
	SharePrivileges  [][]Privilege
	// BoundaryByHandler is the boundary of a RuntimeClass handler; an unlisted one is
	// BoundaryContainer.
	BoundaryByHandler map[string]Boundary
	// MinimumBoundary is the boundary that lets different trust domains share a
	// machine; BoundaryContainer is refused, because it would let all of them share.
	MinimumBoundary Boundary
	// PlatformNamespaces are trusted by all, by name.
	PlatformNamespaces []string
	// AllowedRuntimeAnnotations are annotations of runtimes (ReconfiguresRuntime) that do not
	// void a boundary.
	AllowedRuntimeAnnotations []string
	// Preemption says whether a conflict may evict.
	Preemption Preemption
	// Observe: nothing is refused.
	Observe bool
}

// Policy is the rule with an administrator's choices built in. It never changes
// once it is made and is safe for concurrent use; to change the rule, swap the whole
// value. The zero Policy denies every pod.
type Policy struct {
	// classRank orders the data classes; a class that is not in it is unknown.
	classRank map[string]int
	// classShare and privilegeShare name the representative of a value's sharing
	// group; a value outside of every group represents itself.
	classShare     map[string]string
	privilegeShare map[Privilege]Privilege
	separates      [4]bool

	boundaryByHandler  map[string]Boundary
	minimumBoundary    Boundary
	platform           map[string]bool
	allowedAnnotations map[string]bool
	preemption         Preemption
	observe            bool
}

// NewPolicy returns the policy that c describes, or an error that names every field
// at fault.
func NewPolicy(c Config) (*Policy, error) {
	p := &Policy{
		classRank:          map[string]int{Unclassified: 0},
		classShare:         map[string]string{},
		privilegeShare:     map[Privilege]Privilege{},
		boundaryByHandler:  maps.Clone(c.BoundaryByHandler),
		minimumBoundary:    c.MinimumBoundary,
		platform:           map[string]bool{},
		allowedAnnotations: map[string]bool{},
		preemption:         c.Preemption,
		observe:            c.Observe,
	}
	var errs []error
	fault := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}

	for i, class := range c.DataClasses {
		if _, ok := p.classRank[class]; ok || class == "" {
			fault("DataClasses", "%q is empty, reserved or listed twice", class)
		}
		p.classRank[class] = i + 1
	}
	for _, axis := range c.SeparateBy {
		if int(axis) >= len(p.separates) {
			fault("SeparateBy", "unknown axis %d", axis)
			continue
		}
		p.separates[axis] = true
	}
	if !p.separates[AxisTenant] {
		fault("SeparateBy", "must contain %s", AxisTenant)
	}
	for _, group := range c.ShareDataClasses {
		for _, class := range group {
			if _, ok := p.classRank[class]; !ok {
				fault("ShareDataClasses", "unknown data class %q", class)
			}
			if _, ok := p.classShare[class]; ok {
				fault("ShareDataClasses", "%q is listed twice", class)
			}
			p.classShare[class] = group[0]
		}
	}
	for _, group := range c.SharePrivileges {
		for _, privilege := range group {
			if !slices.Contains(Privileges(), privilege) {
				fault("SharePrivileges", "unknown privilege %d", privilege)
			}
			if _, ok := p.privilegeShare[privilege]; ok {
				fault("SharePrivileges", "%s is listed twice", privilege)
			}
			p.privilegeShare[privilege] = group[0]
		}
	}
	// In order, so that one config has one message.
	for _, handler := range slices.Sorted(maps.Keys(c.BoundaryByHandler)) {
		if handler == "" {
			fault("BoundaryByHandler", "the node's default runtime has no handler to name: it is always a %s", BoundaryContainer)
		}
		if b := c.BoundaryByHandler[handler]; !slices.Contains(Boundaries(), b) {
			fault("BoundaryByHandler", "unknown boundary %d of %q", b, handler)
		}
	}
	if c.MinimumBoundary != BoundarySandbox && c.MinimumBoundary != BoundaryVM {
		fault("MinimumBoundary", "must be %s or %s: %s would let every pod share a kernel",
			BoundarySandbox, BoundaryVM, BoundaryContainer)
	}
	for _, name := range c.PlatformNamespaces {
		p.platform[name] = true
	}
	for _, key := range c.AllowedRuntimeAnnotations {
		if !ReconfiguresRuntime(key) {
			fault("AllowedRuntimeAnnotations", "%q is not an annotation of a container runtime, such as %sconfig.hypervisor.default_vcpus", key, RuntimeAnnotationPrefix)
		}
		p.allowedAnnotations[key] = true
	}
	if c.Preemption > PreemptAny {
		fault("Preemption", "unknown value %d", c.Preemption)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p, nil
}

// InForce reports whether there is a policy to judge by: the zero Policy is none.
func (p *Policy) InForce() bool { return p.made() }

// IsPlatform reports whether a namespace is listed as the platform's.
func (p *Policy) IsPlatform(namespace string) bool { return p.platform[namespace] }

// made reports whether p came out of NewPolicy, which takes no BoundaryContainer for
// the minimum; the zero Policy did not.
func (p *Policy) made() bool { return p.minimumBoundary != BoundaryContainer }

// TenantOf returns the tenant that a namespace's labels name, empty if they name none.
func (p *Policy) TenantOf(namespace map[string]string) string { return namespace[TenantLabel] }

// BoundaryOf returns the boundary that a RuntimeClass handler gives; the empty
// handler is the node's default and, like every unlisted one, BoundaryContainer.
func (p *Policy) BoundaryOf(handler string) Boundary {
	return p.boundaryByHandler[handler]
}

// Isolates reports whether a boundary is enough for different trust domains to share
// a machine.
func (p *Policy) Isolates(b Boundary) bool {
	return p.made() && b >= p.minimumBoundary
}
