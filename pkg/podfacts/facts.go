package podfacts

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	psaapi "k8s.io/pod-security-admission/api"
	psapolicy "k8s.io/pod-security-admission/policy"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Facts is what the rule reads of a pod that depends on the pod alone, and so is
// computed once for each version of it.
type Facts struct {
	Privilege  isolation.Privilege
	HostAccess isolation.HostAccess
	// PVCs are the keys ("namespace/name") of the PersistentVolumeClaims behind the
	// pod's volumes; what is behind them can change.
	PVCs []string
	// CSIDrivers serve the pod's inline volumes.
	CSIDrivers []string
}

// Gatherer reads facts from pods. It is safe for concurrent use.
type Gatherer struct {
	podSecurity psapolicy.Evaluator
}

// NewGatherer returns a Gatherer with the Pod Security Standards of this release.
func NewGatherer() (*Gatherer, error) {
	// No emulation version: the checks of this release are the latest ones.
	evaluator, err := psapolicy.NewEvaluator(psapolicy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	return &Gatherer{podSecurity: evaluator}, nil
}

// Gather reads this version of a pod.
func (g *Gatherer) Gather(pod *v1.Pod) Facts {
	return Facts{
		Privilege:  g.privilege(pod),
		HostAccess: hostAccess(pod),
		PVCs:       PVCKeys(pod),
		CSIDrivers: csiDrivers(pod),
	}
}

// privilege returns the lowest Pod Security Standards level that the pod's spec
// satisfies, over its init, ephemeral and normal containers.
func (g *Gatherer) privilege(pod *v1.Pod) isolation.Privilege {
	for _, candidate := range []struct {
		level     psaapi.Level
		privilege isolation.Privilege
	}{
		{psaapi.LevelRestricted, isolation.PrivilegeRestricted},
		{psaapi.LevelBaseline, isolation.PrivilegeBaseline},
	} {
		lv := psaapi.LevelVersion{Level: candidate.level, Version: psaapi.LatestVersion()}
		if psapolicy.AggregateCheckResults(g.podSecurity.EvaluatePod(lv, &pod.ObjectMeta, &pod.Spec)).Allowed {
			return candidate.privilege
		}
	}
	return isolation.PrivilegePrivileged
}

func hostAccess(pod *v1.Pod) isolation.HostAccess {
	var access isolation.HostAccess
	spec := &pod.Spec
	if spec.HostNetwork {
		access |= isolation.HostNetwork
	}
	if spec.HostPID {
		access |= isolation.HostPID
	}
	if spec.HostIPC {
		access |= isolation.HostIPC
	}
	for i := range spec.Volumes {
		if spec.Volumes[i].HostPath != nil {
			access |= isolation.HostPath
		}
		if spec.Volumes[i].FlexVolume != nil {
			access |= isolation.FlexVolume
		}
	}
	if sc := spec.SecurityContext; sc != nil {
		if isHostProcess(sc.WindowsOptions) {
			access |= isolation.PrivilegedContainer
		}
		if ownLabel(sc.SELinuxOptions) {
			access |= isolation.SELinuxLabel
		}
	}
	visitContainers(spec, func(sc *v1.SecurityContext) {
		if sc == nil {
			return
		}
		if (sc.Privileged != nil && *sc.Privileged) || isHostProcess(sc.WindowsOptions) {
			access |= isolation.PrivilegedContainer
		}
		if ownLabel(sc.SELinuxOptions) {
			access |= isolation.SELinuxLabel
		}
	})
	return access
}

// ownLabel reports whether SELinux options ask for more than the types that the Pod Security
// Standards allow at the baseline level
// (k8s.io/pod-security-admission, policy/check_seLinuxOptions.go). A level separates pods
// further, and is theirs to choose.
func ownLabel(o *v1.SELinuxOptions) bool {
	if o == nil {
		return false
	}
	switch o.Type {
	case "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t":
		return o.User != "" || o.Role != ""
	}
	return true
}

func isHostProcess(o *v1.WindowsSecurityContextOptions) bool {
	return o != nil && o.HostProcess != nil && *o.HostProcess
}

func visitContainers(spec *v1.PodSpec, visit func(*v1.SecurityContext)) {
	for i := range spec.InitContainers {
		visit(spec.InitContainers[i].SecurityContext)
	}
	for i := range spec.Containers {
		visit(spec.Containers[i].SecurityContext)
	}
	for i := range spec.EphemeralContainers {
		visit(spec.EphemeralContainers[i].SecurityContext)
	}
}

// PVCKeys returns the keys ("namespace/name") of the PVCs that a pod's volumes come
// from.
func PVCKeys(pod *v1.Pod) []string {
	var keys []string
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		switch {
		case volume.PersistentVolumeClaim != nil:
			keys = append(keys, pod.Namespace+"/"+volume.PersistentVolumeClaim.ClaimName)
		case volume.Ephemeral != nil:
			keys = append(keys, pod.Namespace+"/"+ephemeral.VolumeClaimName(pod, volume))
		}
	}
	return keys
}

func csiDrivers(pod *v1.Pod) []string {
	var drivers []string
	for i := range pod.Spec.Volumes {
		if csi := pod.Spec.Volumes[i].CSI; csi != nil {
			drivers = append(drivers, csi.Driver)
		}
	}
	return drivers
}

func userNamespace(pod *v1.Pod) isolation.UserNamespace {
	if pod.Spec.HostUsers != nil && !*pod.Spec.HostUsers {
		return isolation.UserNamespacePod
	}
	return isolation.UserNamespaceHost
}

// RuntimeClassName returns the name of a pod's RuntimeClass, empty for the node's
// default runtime.
func RuntimeClassName(pod *v1.Pod) string {
	if pod.Spec.RuntimeClassName == nil {
		return ""
	}
	return *pod.Spec.RuntimeClassName
}
