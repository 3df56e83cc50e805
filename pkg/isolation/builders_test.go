package isolation

import (
	"fmt"
	"maps"
	"testing"
)

const (
	tenantLabel    = "tenantisolation.dev/tenant"
	dataClassLabel = "tenantisolation.dev/data-class"
	privilegeLabel = "tenantisolation.dev/privilege"
	boundaryLabel  = "tenantisolation.dev/boundary"

	allowedAnnotation  = RuntimeAnnotationPrefix + "config.hypervisor.default_vcpus"
	unlistedAnnotation = RuntimeAnnotationPrefix + "config.hypervisor.path"
)

// makeConfig returns the arguments as they are by default, as far as the rule
// reads them.
func makeConfig() Config {
	return Config{
		DataClasses:               []string{"public", "internal", "confidential", "restricted"},
		SeparateBy:                Axes(),
		BoundaryByHandler:         map[string]Boundary{"kata": BoundaryVM, "runsc": BoundarySandbox},
		MinimumBoundary:           BoundaryVM,
		PlatformNamespaces:        []string{"kube-system", "tenant-isolation-system"},
		AllowedRuntimeAnnotations: []string{allowedAnnotation},
	}
}

func makePolicy(tb testing.TB, change ...func(*Config)) *Policy {
	tb.Helper()
	config := makeConfig()
	for _, c := range change {
		c(&config)
	}
	p, err := NewPolicy(config)
	if err != nil {
		tb.Fatalf("NewPolicy: %v", err)
	}
	return p
}

// podBuilder makes pods. Every step returns a builder of its own, so a pod may be
// the beginning of several others.
type podBuilder struct{ pod Pod }

// makePod begins with a plain restricted container in a namespace of the tenant.
func makePod(tenant string) podBuilder {
	return podBuilder{Pod{
		Namespace: &Namespace{Name: tenant + "-apps", Labels: map[string]string{tenantLabel: tenant}},
		Privilege: PrivilegeRestricted,
	}}
}

func (b podBuilder) Obj() Pod { return b.pod }

func (b podBuilder) Namespace(ns *Namespace) podBuilder {
	b.pod.Namespace = ns
	return b
}

func (b podBuilder) NamespaceLabel(key, value string) podBuilder {
	ns := *b.pod.Namespace
	ns.Labels = with(ns.Labels, key, value)
	b.pod.Namespace = &ns
	return b
}

func (b podBuilder) Label(key, value string) podBuilder {
	b.pod.Labels = with(b.pod.Labels, key, value)
	return b
}

func (b podBuilder) Annotation(key, value string) podBuilder {
	b.pod.Annotations = with(b.pod.Annotations, key, value)
	return b
}

func (b podBuilder) Privilege(p Privilege) podBuilder {
	b.pod.Privilege = p
	return b
}

func (b podBuilder) UserNamespace(u UserNamespace) podBuilder {
	b.pod.UserNamespace = u
	return b
}

// RuntimeClass names a class that exists and whose handler has the same name.
func (b podBuilder) RuntimeClass(name string) podBuilder {
	b.pod.RuntimeClass, b.pod.RuntimeClassFound, b.pod.Handler = name, true, name
	return b
}

func (b podBuilder) MissingRuntimeClass(name string) podBuilder {
	b.pod.RuntimeClass, b.pod.RuntimeClassFound, b.pod.Handler = name, false, ""
	return b
}

func (b podBuilder) HostAccess(h HostAccess) podBuilder {
	b.pod.HostAccess = h
	return b
}

// with returns a copy of the map, so that builders never share one.
func with(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func platformNamespace() *Namespace { return &Namespace{Name: "kube-system"} }

func unmanagedNamespace() *Namespace { return &Namespace{Name: "default"} }

// makeNode returns a node that holds the subjects, under the UIDs "uid-0", "uid-1"...
func makeNode(subjects ...Subject) *Node {
	return &Node{Occupancy: NewOccupancy(residents(subjects...))}
}

func residents(subjects ...Subject) []Resident {
	rs := make([]Resident, 0, len(subjects))
	for i, s := range subjects {
		rs = append(rs, Resident{UID: uid(i), Subject: s})
	}
	return rs
}

func uid(i int) string { return fmt.Sprintf("uid-%03d", i) }

// decide is Decide for subjects that are at hand as values.
func decide(incoming Subject, node *Node) Verdict { return Decide(&incoming, node) }
