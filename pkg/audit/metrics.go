package audit

import (
	"sync"
	"time"

	k8smetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

const subsystem = "tenant_isolation"

// Values of the label "result" of evictions.
const (
	evictionDone    = "evicted"
	evictionBlocked = "blocked"
	evictionFailed  = "failed"
)

// metrics are an auditor's metrics. Only the leader's have values.
type metrics struct {
	findings    *k8smetrics.GaugeVec
	pairs       *k8smetrics.GaugeVec
	lastSweep   *k8smetrics.Gauge
	sweep       *k8smetrics.Histogram
	corrections *k8smetrics.Counter
	events      *k8smetrics.CounterVec
	evictions   *k8smetrics.CounterVec
}

// shared is one set for the process, because a registry takes a metric only once.
var shared = sync.OnceValue(newMetrics)

func newMetrics() *metrics {
	return &metrics{
		findings: k8smetrics.NewGaugeVec(&k8smetrics.GaugeOpts{
			Subsystem: subsystem,
			Name:      "audit_findings",
			Help: "Findings of the audit, by reason: one for each node or volume where running pods break the rule. " +
				"Only the leader reports them; a process that does not lead has no value, not zero.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"reason"}),
		pairs: k8smetrics.NewGaugeVec(&k8smetrics.GaugeOpts{
			Subsystem: subsystem,
			Name:      "audit_pairs",
			Help: "Pairs of pods on one node, without platform pods, by verdict: checked counts all of them, " +
				"breaking those that may not share a kernel.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"verdict"}),
		lastSweep: k8smetrics.NewGauge(&k8smetrics.GaugeOpts{
			Subsystem:      subsystem,
			Name:           "audit_last_sweep_timestamp_seconds",
			Help:           "When the audit last checked the whole cluster from scratch, in seconds since 1970.",
			StabilityLevel: k8smetrics.ALPHA,
		}),
		sweep: k8smetrics.NewHistogram(&k8smetrics.HistogramOpts{
			Subsystem:      subsystem,
			Name:           "audit_sweep_duration_seconds",
			Help:           "How long it took to check the whole cluster from scratch.",
			Buckets:        k8smetrics.ExponentialBuckets(0.01, 2, 12),
			StabilityLevel: k8smetrics.ALPHA,
		}),
		corrections: k8smetrics.NewCounter(&k8smetrics.CounterOpts{
			Subsystem: subsystem,
			Name:      "audit_corrections_total",
			Help: "Sweeps that corrected findings because a change had been missed. " +
				"Any value but zero shows a fault of the audit.",
			StabilityLevel: k8smetrics.ALPHA,
		}),
		events: k8smetrics.NewCounterVec(&k8smetrics.CounterOpts{
			Subsystem:      subsystem,
			Name:           "audit_events_total",
			Help:           "Events about findings sent to the API server, by result: success or error.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"result"}),
		evictions: k8smetrics.NewCounterVec(&k8smetrics.CounterOpts{
			Subsystem: subsystem,
			Name:      "audit_evictions_total",
			Help: "Evictions that the audit requested, by result: evicted, blocked by a PodDisruptionBudget, or failed. " +
				"None unless audit.remediation is Evict.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"result"}),
	}
}

func (m *metrics) all() []k8smetrics.Registerable {
	return []k8smetrics.Registerable{m.findings, m.pairs, m.lastSweep, m.sweep, m.corrections, m.events, m.evictions}
}

// Metrics returns the metrics of the package, for documentation and registration.
func Metrics() []k8smetrics.Registerable { return shared().all() }

// registerMetrics publishes the metrics on the process's /metrics.
var registerMetrics = sync.OnceFunc(func() { legacyregistry.MustRegister(Metrics()...) })

// forget takes the findings back: they are not known.
func (m *metrics) forget() {
	m.findings.Reset()
	m.pairs.Reset()
}

// setFindings publishes the current findings and pairs.
func (m *metrics) setFindings(counts map[Reason]int, s Summary) {
	for _, r := range Reasons() {
		m.findings.WithLabelValues(string(r)).Set(float64(counts[r]))
	}
	m.pairs.WithLabelValues("checked").Set(float64(s.PairsChecked))
	m.pairs.WithLabelValues("breaking").Set(float64(s.PairsBreaking))
}

func (m *metrics) observeSweep(at time.Time, took time.Duration) {
	m.lastSweep.Set(float64(at.UnixMilli()) / 1000)
	m.sweep.Observe(took.Seconds())
}

func (m *metrics) countEvent(err error) {
	result := "success"
	if err != nil {
		result = "error"
	}
	m.events.WithLabelValues(result).Inc()
}
