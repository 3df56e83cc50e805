package isolation

import "strings"

// StampedBoundary returns the boundary that a pod was bound with, by its annotations; false if
// it bears no stamp. Of a stamp that cannot be read nothing is believed: it is that of a
// container.
func StampedBoundary(annotations map[string]string) (Boundary, bool) {
	stamp, stamped := annotations[EvidenceAnnotation]
	if !stamped {
		return BoundaryContainer, false
	}
	_, value, _ := strings.Cut(stamp, ",boundary=")
	boundary, err := ParseBoundary(value)
	if err != nil {
		boundary = BoundaryContainer
	}
	return boundary, true
}

// residentBoundary returns the boundary of a pod that is bound to a node, and what voids it
// (L10): the weaker of its stamp and of what is known now. The stamp says that the pod's
// handler was looked at when it was bound, so the age of its RuntimeClass does not matter.
// Without a stamp its volumes have not been looked at, and each PVC may be a directory of the
// host.
func (p *Policy) residentBoundary(pod *Pod, access HostAccess) (Boundary, HostAccess) {
	stamp, stamped := StampedBoundary(pod.Annotations)
	if !stamped && pod.MountsPVCs {
		access |= HostPath
	}
	if pod.RuntimeClass == "" || access != 0 || (pod.HandlerUncertain && !stamped) {
		return BoundaryContainer, access
	}
	boundary := p.BoundaryOf(pod.Handler)
	if stamped {
		boundary = min(boundary, stamp)
	}
	return boundary, access
}
