package v1

import (
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// The default label keys.
const (
	DefaultTenantLabelKey       = "tenantisolation.dev/tenant"
	DefaultDataClassLabelKey    = "tenantisolation.dev/data-class"
	DefaultPrivilegeLabelKey    = "tenantisolation.dev/privilege"
	DefaultBoundaryLabelKey     = "tenantisolation.dev/boundary"
	DefaultRuntimeClassLabelKey = "tenantisolation.dev/runtime-class"
)

// New returns the default arguments in the form that the plugin reads.
func New() *config.TenantIsolationArgs {
	args, internal := &TenantIsolationArgs{}, &config.TenantIsolationArgs{}
	SetDefaults(args)
	// The conversion copies fields, and cannot fail.
	utilruntime.Must(Convert_v1_TenantIsolationArgs_To_config_TenantIsolationArgs(args, internal, nil))
	return internal
}

// SetDefaults sets the fields that are missing. It is idempotent, and keeps an empty list
// or map, which means none.
func SetDefaults(args *TenantIsolationArgs) {
	setDefault(&args.LabelKeys.Tenant, DefaultTenantLabelKey)
	setDefault(&args.LabelKeys.DataClass, DefaultDataClassLabelKey)
	setDefault(&args.LabelKeys.Privilege, DefaultPrivilegeLabelKey)
	setDefault(&args.LabelKeys.Boundary, DefaultBoundaryLabelKey)
	setDefault(&args.LabelKeys.RuntimeClass, DefaultRuntimeClassLabelKey)

	setDefaultList(&args.DataClasses, "public", "internal", "confidential", "restricted")
	setDefaultList(&args.SeparateBy, AxisTenant, AxisDataClass, AxisPrivilege, AxisUserNamespace)
	setDefaultList(&args.Sharing.DataClasses)
	setDefaultList(&args.Sharing.Privileges)

	if args.BoundaryByHandler == nil {
		// A copy, so that no caller can change the defaults of the next.
		args.BoundaryByHandler = maps.Clone(boundaryByKnownHandler)
	}
	setDefault(&args.MinimumBoundary, BoundaryVM)

	setDefaultList(&args.PlatformNamespaces.Names, "kube-system", "tenant-isolation-system")
	setDefaultList(&args.AllowedRuntimeAnnotations)
	setDefaultList(&args.HostPathProvisioners, knownHostPathProvisioners...)
	setDefault(&args.Preemption, PreemptionNever)
	setDefault(&args.Enforcement, EnforcementEnforce)

	setDefault(&args.Claims.Mode, ModeDisabled)
	setDefault(&args.Claims.TaintEffect, TaintEffectNoSchedule)
	setDefaultPointer(&args.Claims.SettleTime, metav1.Duration{Duration: time.Second})
	setDefaultPointer(&args.Claims.ReleaseAfter, metav1.Duration{Duration: 30 * time.Second})
	setDefaultPointer(&args.Claims.MaxNodesPerTenant, intstr.FromString("50%"))
	setDefault(&args.Claims.NodeReuse, NodeReuseImmediately)

	setDefault(&args.Audit.Mode, ModeEnabled)
	setDefault(&args.Audit.Remediation, RemediationNone)
	setDefaultPointer(&args.Audit.EvictionsPerMinute, 6)
}

func setDefault[T ~string](value *T, def T) {
	if *value == "" {
		*value = def
	}
}

// setDefaultPointer keeps an explicit zero, which validation refuses.
func setDefaultPointer[T any](value **T, def T) {
	if *value == nil {
		*value = &def
	}
}

// setDefaultList never leaves nil: an empty default would be written as null, which does
// not look like a value.
func setDefaultList[T any](list *[]T, def ...T) {
	if *list == nil {
		*list = append([]T{}, def...)
	}
}

// knownHostPathProvisioners are the provisioners of common local storage whose volumes are
// directories of the node. A missing one lets a VM share a directory of the host before its
// PVC is bound; an unneeded one only denies.
var knownHostPathProvisioners = []string{
	"docker.io/hostpath",               // Docker Desktop
	"hostpath.csi.k8s.io",              // the CSI host path driver, kubernetes-csi/csi-driver-host-path
	"k8s.io/minikube-hostpath",         // minikube
	"kubernetes.io/host-path",          // kube-controller-manager --enable-hostpath-provisioner
	"kubernetes.io/no-provisioner",     // local volumes made by hand
	"kubevirt.io.hostpath-provisioner", // KubeVirt host path provisioner, CSI driver
	"kubevirt.io/hostpath-provisioner", // KubeVirt host path provisioner, before CSI
	"microk8s.io/hostpath",             // MicroK8s
	"openebs.io/local",                 // OpenEBS local PV
	"rancher.io/local-path",            // local-path-provisioner: k3s, kind
}
