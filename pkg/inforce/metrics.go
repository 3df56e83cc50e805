package inforce

import (
	"sync"

	k8smetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

type metrics struct{ conditions *k8smetrics.GaugeVec }

// shared is one set for the process, because a registry takes a metric only once.
var shared = sync.OnceValue(func() *metrics {
	return &metrics{conditions: k8smetrics.NewGaugeVec(&k8smetrics.GaugeOpts{
		Subsystem: "tenant_isolation",
		Name:      "policy_condition",
		Help: "The conditions of the IsolationPolicy, 1 for true and 0 for false; only the leader has them. Accepted: its newest spec is in force. " +
			"Enforced: every admission policy is as shipped, and the API server answers by the parameter in force; missing while enforcement is Audit. Dedication: nodes are dedicated.",
		StabilityLevel: k8smetrics.ALPHA,
	}, []string{"type"})}
})

// Metrics returns the metrics of the package, to document or register them.
func Metrics() []k8smetrics.Registerable { return []k8smetrics.Registerable{shared().conditions} }

// registerMetrics shows the metrics on the process's /metrics.
var registerMetrics = sync.OnceFunc(func() { legacyregistry.MustRegister(Metrics()...) })

func (m *metrics) unknown(kind string) {
	m.conditions.Delete(map[string]string{"type": kind})
}

func (m *metrics) condition(kind string, holds bool) {
	value := 0.0
	if holds {
		value = 1
	}
	m.conditions.WithLabelValues(kind).Set(value)
}
