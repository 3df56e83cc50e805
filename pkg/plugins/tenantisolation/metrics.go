package tenantisolation

import (
	"sync"

	k8smetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

const subsystem = "tenant_isolation"

// metrics is what the plugin counts. Nothing is counted in Filter, which runs for each
// pod and node.
type metrics struct {
	resolutions *k8smetrics.CounterVec
	placements  *k8smetrics.CounterVec
}

// shared is one set for the process, because a registry takes a metric only once.
var shared = sync.OnceValue(newMetrics)

func newMetrics() *metrics {
	return &metrics{
		resolutions: k8smetrics.NewCounterVec(&k8smetrics.CounterOpts{
			Subsystem: subsystem,
			Name:      "resolutions_total",
			Help: "Scheduling attempts by what the pod was found to be: managed, platform, " +
				"or the reason why it may not be placed on any node.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"outcome"}),
		placements: k8smetrics.NewCounterVec(&k8smetrics.CounterOpts{
			Subsystem: subsystem,
			Name:      "placements_total",
			Help: "Pods that were bound, by the reason of the verdict on their node and by enforcement. " +
				"With enforcement Audit the reasons of denials are those for which the pod would have been refused.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"reason", "enforcement"}),
	}
}

// Metrics returns the metrics of the package, to document or register them.
func Metrics() []k8smetrics.Registerable {
	m := shared()
	return []k8smetrics.Registerable{m.resolutions, m.placements}
}

// registerMetrics shows the metrics on the process's /metrics.
var registerMetrics = sync.OnceFunc(func() { legacyregistry.MustRegister(Metrics()...) })

// resolved counts what a pod was found to be.
func (m *metrics) resolved(subject *isolation.Subject) {
	outcome := "managed"
	if reason, denied := subject.Denied(); denied {
		outcome = reason.String()
	} else if subject.Platform() {
		outcome = "platform"
	}
	m.resolutions.WithLabelValues(outcome).Inc()
}

// placed counts a pod that was bound.
func (m *metrics) placed(rules *podfacts.Rules, reason isolation.Reason) {
	enforcement := v1alpha1.EnforcementEnforce
	if rules.Observes() {
		enforcement = v1alpha1.EnforcementAudit
	}
	m.placements.WithLabelValues(reason.String(), string(enforcement)).Inc()
}
