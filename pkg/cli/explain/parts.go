package explain

import (
	"cmp"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

type labelSet = labels.Set

// parts lists the sources of each part of a trust domain. A source decided if it has the
// value that package isolation chose.
func (x *Explainer) parts(pod *v1.Pod, facts *podfacts.Facts, subject isolation.Subject) []Part {
	domain, managed := subject.TrustDomain()
	if !managed {
		domain = isolation.TrustDomain{Tenant: "none", DataClass: "none"}
	}
	namespace, known := x.Store.Namespace(pod.Namespace)
	tenant := newPart(isolation.AxisTenant, domain.Tenant)
	class := newPart(isolation.AxisDataClass, domain.DataClass)
	privilege := newPart(isolation.AxisPrivilege, domain.Privilege.String())
	user := newPart(isolation.AxisUserNamespace, domain.UserNamespace.String())

	if !known {
		tenant.add("namespace "+pod.Namespace, "not known")
	} else {
		tenant.label("namespace", isolation.TenantLabel, namespace.Labels, "no tenant")
		class.label("namespace", isolation.DataClassLabel, namespace.Labels, "")
		privilege.label("namespace", isolation.PrivilegeLabel, namespace.Labels, "")
	}
	tenant.label("pod", isolation.TenantLabel, pod.Labels, "")
	class.label("pod", isolation.DataClassLabel, pod.Labels, "")
	privilege.label("pod", isolation.PrivilegeLabel, pod.Labels, "")
	if len(class.From) == 0 {
		class.add("no label "+isolation.DataClassLabel, isolation.Unclassified)
	}
	privilege.add("spec, by the Pod Security Standards", facts.Privilege.String())
	switch {
	case pod.Spec.HostUsers == nil:
		user.add("spec.hostUsers is not set", isolation.UserNamespaceHost.String())
	case *pod.Spec.HostUsers:
		user.add("spec.hostUsers: true", isolation.UserNamespaceHost.String())
	default:
		user.add("spec.hostUsers: false", isolation.UserNamespacePod.String())
	}
	parts := []Part{*tenant, *class, *privilege, *user}
	for i := range parts {
		for j := range parts[i].From {
			parts[i].From[j].Decided = managed && parts[i].From[j].Value == parts[i].Value
		}
		slices.SortStableFunc(parts[i].From, func(a, b Source) int {
			return cmp.Compare(decidedFirst(a), decidedFirst(b))
		})
	}
	return parts
}

func decidedFirst(s Source) int {
	if s.Decided {
		return 0
	}
	return 1
}

func newPart(axis isolation.Axis, value string) *Part {
	return &Part{Axis: axis.String(), Value: value}
}

func (p *Part) add(what, value string) {
	p.From = append(p.From, Source{What: what, Value: value})
}

// label adds a label, or its absence if missing is not empty.
func (p *Part) label(of, key string, set map[string]string, missing string) {
	value, ok := set[key]
	switch {
	case ok:
		p.add(fmt.Sprintf("%s label %s", of, key), value)
	case missing != "":
		p.add(fmt.Sprintf("%s has no label %s", of, key), missing)
	}
}
