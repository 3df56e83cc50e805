package audit

import (
	"context"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

const (
	// evictAfter is how long a finding has to last before a pod is evicted for it.
	evictAfter = 5 * time.Second
	// askAgainAfter is when an eviction that was refused, or had no effect, is requested again.
	askAgainAfter = 30 * time.Second
)

// evictCulprits evicts the pods that came last, worst finding first, within the rate limit.
func (a *Auditor) evictCulprits(ctx context.Context) {
	a.mu.Lock()
	evictions := a.evictions
	a.mu.Unlock()
	if evictions == nil {
		return
	}
	for _, pod := range a.culprits() {
		if ctx.Err() != nil || !evictions.TryAccept() {
			return
		}
		a.evict(ctx, pod)
	}
}

// culprits returns the pods whose eviction is to be requested now.
func (a *Auditor) culprits() []*v1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	var findings []Finding
	for _, s := range a.tracked {
		if !s.ended && !now.Before(s.began.Add(evictAfter)) {
			findings = append(findings, s.Finding)
		}
	}
	slices.SortFunc(findings, worseFirst())
	var pods []*v1.Pod
	for i := range findings {
		pod := a.engine.culprit(&findings[i])
		if pod == nil || slices.Contains(pods, pod) {
			continue
		}
		if asked, ok := a.evictionAsked[pod.UID]; ok && now.Before(asked.Add(askAgainAfter)) {
			continue
		}
		pods = append(pods, pod)
	}
	return pods
}

func (a *Auditor) evict(ctx context.Context, pod *v1.Pod) {
	a.mu.Lock()
	a.evictionAsked[pod.UID] = a.clock.Now()
	a.mu.Unlock()

	err := a.client.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		// Not a new pod of the same name.
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}},
	})
	logger := a.logger.WithValues("namespace", pod.Namespace, "name", pod.Name, "node", pod.Spec.NodeName)
	switch {
	case err == nil:
		logger.Info("Evicted a pod that breaks the rule: it came last, or is no longer what it was bound as")
		a.metrics.evictions.WithLabelValues(evictionDone).Inc()
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		// It is gone already.
	case apierrors.IsTooManyRequests(err):
		logger.Info("A PodDisruptionBudget keeps a pod that breaks the rule", "reason", err.Error())
		a.metrics.evictions.WithLabelValues(evictionBlocked).Inc()
	default:
		logger.Error(err, "A pod that breaks the rule could not be evicted")
		a.metrics.evictions.WithLabelValues(evictionFailed).Inc()
	}
}

// culprit returns the pod that has to go for a finding, nil if no pod may be made to: a pod
// that is no longer what it was bound as, and else the one that came last. It goes if that
// helps and nothing about it is unknown. Whoever changes never has a pod evicted that came
// later.
func (e *Engine) culprit(f *Finding) *v1.Pod {
	evictable := []Reason{
		reasonOf(isolation.ForeignResident), reasonOf(isolation.UnmanagedResident), reasonOf(isolation.DemandedNode),
	}
	if !slices.Contains(evictable, f.Reason) {
		// For other reasons too little is known, or the pod would do the same elsewhere.
		return nil
	}
	on := e.store.BoundTo(f.Node)
	var pods []*v1.Pod
	for _, p := range on {
		if e.conflicts(p, on, f.Reason) {
			pods = append(pods, p)
		}
	}
	slices.SortFunc(pods, func(a, b *v1.Pod) int { return later(podOf(b), podOf(a)) })
	at := slices.IndexFunc(pods, e.changedSinceBind)
	if at < 0 {
		at = slices.IndexFunc(pods, func(p *v1.Pod) bool { return p.UID == f.Last.UID })
	}
	if at < 0 || pods[at].DeletionTimestamp != nil || comesBack(pods[at]) {
		return nil
	}
	return pods[at]
}

// conflicts reports whether a pod breaks the rule with one of the others for this reason, as
// far as is known for certain.
func (e *Engine) conflicts(p *v1.Pod, others []*v1.Pod, reason Reason) bool {
	if e.handlerUnknown(p) {
		return false
	}
	kind := e.lenientKind(p)
	return slices.ContainsFunc(others, func(other *v1.Pod) bool {
		if other == p || e.handlerUnknown(other) {
			return false
		}
		why, breaks := kind.SharesKernel(e.lenientKind(other))
		return breaks && reasonOf(why) == reason
	})
}

// changedSinceBind reports whether a pod is judged otherwise than when it was bound.
func (e *Engine) changedSinceBind(p *v1.Pod) bool {
	stamp, stamped := p.Annotations[isolation.EvidenceAnnotation]
	return stamped && stamp != e.store.Judge(p).String()
}

// comesBack reports whether an evicted pod would be back on the same node at once: a static pod,
// or a pod of a DaemonSet.
func comesBack(p *v1.Pod) bool {
	if _, mirror := p.Annotations[v1.MirrorPodAnnotationKey]; mirror {
		return true
	}
	controller := metav1.GetControllerOf(p)
	return controller != nil && (controller.Kind == "DaemonSet" || controller.Kind == "Node")
}

// handlerUnknown reports whether it is not known which handler started a pod, because its
// RuntimeClass is newer and the pod has no stamp. The pod may run in a VM.
func (e *Engine) handlerUnknown(p *v1.Pod) bool {
	if _, stamped := isolation.StampedBoundary(p.Annotations); stamped {
		return false // the stamp says what it was placed as
	}
	class, known := e.store.RuntimeClass(podfacts.RuntimeClassName(p))
	return known && p.Status.StartTime.Before(&class.Created)
}

// remade reports whether a pod would be behind a boundary that lets others share the machine, if
// its RuntimeClass were not newer than the pod: an installer has made it again.
func (e *Engine) remade(p *v1.Pod, subject isolation.Subject) bool {
	if _, managed := subject.TrustDomain(); !managed || subject.HostAccess() != 0 || !e.handlerUnknown(p) {
		return false
	}
	class, known := e.store.RuntimeClass(podfacts.RuntimeClassName(p))
	rules := e.store.Rules()
	return known && rules.Isolates(rules.BoundaryOf(class.Handler))
}

// lenientKind returns a pod's kind on the assumption that no PVC of an unknown volume is a directory
// of the host.
func (e *Engine) lenientKind(p *v1.Pod) isolation.Kind {
	facts := e.store.Facts(p)
	if _, stamped := isolation.StampedBoundary(p.Annotations); !stamped {
		// Of a resident without a stamp every PVC counts as one that is not known.
		incoming := *p
		incoming.Spec.NodeName = ""
		p = &incoming
	}
	return e.store.Rules().Subject(p, &facts, lenientLookup{e.store}).Kind()
}

// lenientLookup is a store that takes no PVC of an unknown volume for a directory of the host.
type lenientLookup struct{ *cluster.Store }

func (h lenientLookup) PVCOnHost(key string) (onHost, known bool) {
	pvc, known := h.PVC(key)
	if !known {
		return false, true
	}
	if _, known := h.Volume(pvc.Spec.VolumeName); !known {
		return false, true
	}
	return h.Store.PVCOnHost(key)
}
