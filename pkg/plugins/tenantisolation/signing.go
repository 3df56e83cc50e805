package tenantisolation

import (
	"context"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// signature is what Filter and Score read of a pod, in a form that can be compared.
type signature struct {
	Evidence string
	Handler  string
	Open     bool
}

// SignPod lets the framework try the node that suited one pod for the next pod of the
// same signature. Filter still judges that node, so a signature that has become stale
// (it is made when the pod is queued) can cost a good placement and never isolation.
func (pl *Plugin) SignPod(_ context.Context, pod *v1.Pod) ([]fwk.SignFragment, *fwk.Status) {
	if !pl.store.Synced() {
		return nil, fwk.NewStatus(fwk.Unschedulable, "trust domain is not known yet")
	}
	subject := pl.store.Judge(pod)
	if _, denied := subject.Denied(); denied {
		return nil, fwk.NewStatus(fwk.Unschedulable, "pod has no trust domain")
	}
	return []fwk.SignFragment{{
		Key:   "tenantisolation.dev/v1.Pod.TrustDomain()",
		Value: signature{Evidence: subject.String(), Handler: subject.Handler(), Open: subject.Open()},
	}}, nil
}
