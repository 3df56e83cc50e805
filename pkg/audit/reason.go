package audit

import "tenantisolation.dev/scheduler/pkg/isolation"

// Reason is why something is a finding: a closed set, and the value of a metric's label.
type Reason string

// The reasons that are the audit's own; the others are those of package isolation.
const (
	// SharedPVC: pods of two trust domains mount one PersistentVolumeClaim, or PVCs
	// whose volumes are one store.
	SharedPVC Reason = "SharedPVC"
	// SharedHostPath: pods of two trust domains on one node mount the same directory of it, or
	// one of them a directory inside the other's.
	SharedHostPath Reason = "SharedHostPath"
	// SharedResourceClaim: pods of two trust domains use one ResourceClaim, and so one device.
	SharedResourceClaim Reason = "SharedResourceClaim"
	// RemadeRuntimeClass: pods share a kernel and may not, but only because the RuntimeClass of
	// one was made after the pod had been started, and nothing says what it was placed as.
	RemadeRuntimeClass Reason = "RemadeRuntimeClass"
	// MissingNode: pods are bound to a node that does not exist. A machine that joins under
	// that name would run them without a verdict.
	MissingNode Reason = "MissingNode"
)

// Reasons returns all reasons, worst first: two trust domains that share a kernel or files, then
// pods of unknown trust domain, then boundaries that are too weak.
func Reasons() []Reason {
	reasons := []Reason{
		reasonOf(isolation.ForeignResident),
		reasonOf(isolation.UnmanagedResident),
		reasonOf(isolation.DemandedNode),
		SharedHostPath,
		SharedPVC,
		SharedResourceClaim,
		RemadeRuntimeClass,
		reasonOf(isolation.UnknownResident),
	}
	for _, r := range isolation.Reasons() {
		if r.AboutPod() && r != isolation.FactsIncomplete && r != isolation.NoPolicy && r != isolation.TakingOver && r != isolation.UnmanagedNamespace && r != isolation.WeakBoundary {
			reasons = append(reasons, reasonOf(r))
		}
	}
	return append(reasons, reasonOf(isolation.WeakBoundary), MissingNode)
}

func reasonOf(r isolation.Reason) Reason { return Reason(r.String()) }
