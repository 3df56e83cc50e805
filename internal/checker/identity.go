package checker

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	psaapi "k8s.io/pod-security-admission/api"
	psapolicy "k8s.io/pod-security-admission/policy"
)

const (
	tenantLabel    = "tenantisolation.dev/tenant"
	dataClassLabel = "tenantisolation.dev/data-class"
	privilegeLabel = "tenantisolation.dev/privilege"
	boundaryLabel  = "tenantisolation.dev/boundary"

	kataAnnotations = "io.katacontainers."
)

// Ordered from low to high.
var (
	dataClasses = []string{"unclassified", "public", "internal", "confidential", "restricted"}
	privileges  = []string{"restricted", "baseline", "privileged"}
	boundaries  = []string{"container", "sandbox", "vm"}
)

var (
	platformNamespaces = []string{"kube-system", "tenant-isolation-system"}
	vmHandlers         = []string{"kata", "kata-qemu", "kata-clh", "kata-fc", "kata-dragonball"}
	sandboxHandlers    = []string{"runsc", "gvisor"}
)

// Domain is a trust domain.
type Domain struct {
	Tenant, DataClass, Privilege, UserNamespace string
}

func (d Domain) String() string {
	return strings.Join([]string{d.Tenant, d.DataClass, d.Privilege, d.UserNamespace}, "/")
}

// Identity is what the rule needs to know of a pod.
type Identity struct {
	Managed  bool
	Platform bool
	// Domain is meaningless for a pod that is not managed.
	Domain   Domain
	Boundary string
	// Demand is the boundary that the namespace demands of its pods.
	Demand string
	// Unknown says what is unknown about a managed pod, which may then share a kernel with no
	// other. It is empty if all is known.
	Unknown string
}

// StampKey is the annotation in which the scheduler writes, with the bind, what it judged.
const StampKey = "tenantisolation.dev/trust-domain"

// Stamp returns what the scheduler should have written for a managed pod.
func (id Identity) Stamp() string {
	return fmt.Sprintf("tenant=%s,data-class=%s,privilege=%s,user-namespace=%s,boundary=%s",
		id.Domain.Tenant, id.Domain.DataClass, id.Domain.Privilege, id.Domain.UserNamespace, id.Boundary)
}

// Identify computes the identity of a pod.
func (c *Cluster) Identify(pod *corev1.Pod) Identity {
	namespace := c.namespace(pod.Namespace)
	if namespace == nil {
		// Not unmanaged: its labels are unknown.
		return Identity{Managed: true, Unknown: "its namespace does not exist", Boundary: "container", Demand: "container"}
	}
	tenant, managed := namespace.Labels[tenantLabel]
	id := Identity{
		Managed:  managed,
		Platform: !managed && slices.Contains(platformNamespaces, pod.Namespace),
		Demand:   "container",
	}
	var unknown []string
	report := func(format string, args ...any) { unknown = append(unknown, fmt.Sprintf(format, args...)) }

	id.Domain.Tenant = tenant
	if managed && tenant == "" {
		report("the tenant of its namespace is empty")
	}
	if named, ok := pod.Labels[tenantLabel]; ok && managed && named != tenant {
		report("its own label names tenant %q", named)
	}

	class, ok := highest(dataClasses, namespace.Labels[dataClassLabel], pod.Labels[dataClassLabel])
	if !ok {
		report("data class %q or %q is not in the list", namespace.Labels[dataClassLabel], pod.Labels[dataClassLabel])
	}
	id.Domain.DataClass = class

	privilege, ok := highest(privileges, namespace.Labels[privilegeLabel], pod.Labels[privilegeLabel], observedPrivilege(pod))
	if !ok {
		report("privilege %q or %q is not in the list", namespace.Labels[privilegeLabel], pod.Labels[privilegeLabel])
	}
	id.Domain.Privilege = privilege

	id.Domain.UserNamespace = "host"
	if pod.Spec.HostUsers != nil && !*pod.Spec.HostUsers {
		id.Domain.UserNamespace = "pod"
	}

	id.Boundary = "container"
	if name := pod.Spec.RuntimeClassName; name != nil && *name != "" {
		class := c.runtimeClass(*name)
		switch {
		case class == nil:
			report("its RuntimeClass %q does not exist", *name)
		case c.sharesTheHost(pod):
			// The host is shared through the boundary.
		case slices.Contains(vmHandlers, class.Handler), slices.Contains(c.VMHandlers, class.Handler):
			id.Boundary = "vm"
		case slices.Contains(sandboxHandlers, class.Handler):
			id.Boundary = "sandbox"
		}
	}

	if demand, ok := namespace.Labels[boundaryLabel]; ok {
		id.Demand = demand
		if demand != "node" && !slices.Contains(boundaries, demand) {
			report("its namespace demands the boundary %q, which does not exist", demand)
		}
	}
	id.Unknown = strings.Join(unknown, "; ")
	return id
}

// highest returns the highest of the values that are set, in an order from low to high,
// or the lowest of all if none is; false if one of them is not in the order.
func highest(order []string, values ...string) (string, bool) {
	top := 0
	for _, value := range values {
		if value == "" {
			continue
		}
		rank := slices.Index(order, value)
		if rank < 0 {
			return "", false
		}
		top = max(top, rank)
	}
	return order[top], true
}

var podSecurity = sync.OnceValue(func() psapolicy.Evaluator {
	evaluator, err := psapolicy.NewEvaluator(psapolicy.DefaultChecks(), nil)
	if err != nil {
		panic(err) // the library refuses its own checks
	}
	return evaluator
})

// observedPrivilege is the strictest Pod Security Standard that the pod meets.
func observedPrivilege(pod *corev1.Pod) string {
	for _, level := range []psaapi.Level{psaapi.LevelRestricted, psaapi.LevelBaseline} {
		standard := psaapi.LevelVersion{Level: level, Version: psaapi.LatestVersion()}
		results := podSecurity().EvaluatePod(standard, &pod.ObjectMeta, &pod.Spec)
		if psapolicy.AggregateCheckResults(results).Allowed {
			return string(level)
		}
	}
	return "privileged"
}

// sharesTheHost reports whether the pod has access to the host, whatever its
// runtime puts around it.
func (c *Cluster) sharesTheHost(pod *corev1.Pod) bool {
	spec := &pod.Spec
	if spec.HostNetwork || spec.HostPID || spec.HostIPC {
		return true
	}
	for key := range pod.Annotations {
		// By default none of them is on the list of those that are allowed.
		if strings.HasPrefix(key, kataAnnotations) {
			return true
		}
	}
	for i := range spec.Volumes {
		if c.comesFromTheHost(pod, &spec.Volumes[i]) {
			return true
		}
	}
	var contexts []*corev1.SecurityContext
	for i := range spec.InitContainers {
		contexts = append(contexts, spec.InitContainers[i].SecurityContext)
	}
	for i := range spec.Containers {
		contexts = append(contexts, spec.Containers[i].SecurityContext)
	}
	for i := range spec.EphemeralContainers {
		contexts = append(contexts, spec.EphemeralContainers[i].SecurityContext)
	}
	for _, context := range contexts {
		if context != nil && context.Privileged != nil && *context.Privileged {
			return true
		}
	}
	return false
}

func (c *Cluster) comesFromTheHost(pod *corev1.Pod, volume *corev1.Volume) bool {
	var name string
	switch {
	case volume.HostPath != nil:
		return true
	case volume.PersistentVolumeClaim != nil:
		name = volume.PersistentVolumeClaim.ClaimName
	case volume.Ephemeral != nil:
		name = ephemeral.VolumeClaimName(pod, volume)
	default:
		return false
	}
	pvc := c.pvc(pod.Namespace, name)
	if pvc == nil {
		return true // it may become one
	}
	bound := c.volume(pvc.Spec.VolumeName)
	return bound == nil || bound.Spec.HostPath != nil // not bound yet, it may become one too
}
