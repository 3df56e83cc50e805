package dedication

import (
	"errors"
	"sync"
	"time"

	k8smetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

const subsystem = "tenant_isolation"

// Values of the label "object".
const (
	objectFence = "fence"
	objectNode  = "node"
)

// metrics are the engine's metrics.
type metrics struct {
	nodes   *k8smetrics.GaugeVec
	opening *k8smetrics.HistogramVec
	writes  *k8smetrics.CounterVec
	refused *k8smetrics.CounterVec
}

// shared is one set for the process, because a registry takes a metric only once.
var shared = sync.OnceValue(newMetrics)

func newMetrics() *metrics {
	return &metrics{
		nodes: k8smetrics.NewGaugeVec(&k8smetrics.GaugeOpts{
			Subsystem: subsystem,
			Name:      "dedicated_nodes",
			Help: "Dedicated nodes by state. opening: being dedicated for their first pod; held: in use, or kept for the next pod; " +
				"inherited: taken over from another process, not verified yet; vacated: empty, waiting for a reboot; " +
				"releasing: being released.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"state"}),
		opening: k8smetrics.NewHistogramVec(&k8smetrics.HistogramOpts{
			Subsystem: subsystem,
			Name:      "dedication_opening_duration_seconds",
			Help:      "How long it took to dedicate a node for its first pod, the settle time included, by result: opened, taken or failed.",
			// The settle time is about a second; the calls after it may wait for the API server.
			Buckets:        k8smetrics.ExponentialBuckets(0.05, 2, 12),
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"result"}),
		writes: k8smetrics.NewCounterVec(&k8smetrics.CounterOpts{
			Subsystem:      subsystem,
			Name:           "dedication_writes_total",
			Help:           "Writes to the API server for dedication, by object (fence, node) and result (success, conflict, error).",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"object", "result"}),
		refused: k8smetrics.NewCounterVec(&k8smetrics.CounterOpts{
			Subsystem:      subsystem,
			Name:           "dedications_refused_total",
			Help:           "Pods that could not reserve or dedicate a node, by reason: not_ready, dedicated, limit, taken or error.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"reason"}),
	}
}

// Metrics returns the metrics of the package, for documentation and registration.
func Metrics() []k8smetrics.Registerable {
	m := shared()
	return []k8smetrics.Registerable{m.nodes, m.opening, m.writes, m.refused}
}

// registerMetrics publishes the metrics on the process's /metrics.
var registerMetrics = sync.OnceFunc(func() { legacyregistry.MustRegister(Metrics()...) })

func (m *metrics) countWrite(object string, err error) {
	result := "success"
	switch {
	case isConflict(err):
		result = "conflict"
	case err != nil:
		result = "error"
	}
	m.writes.WithLabelValues(object, result).Inc()
}

func (m *metrics) observeOpening(result string, took time.Duration) {
	m.opening.WithLabelValues(result).Observe(took.Seconds())
}

// openingResult returns the value of the label "result" for the end of an opening.
func openingResult(err error) string {
	switch {
	case err == nil:
		return "opened"
	case errors.Is(err, ErrTaken):
		return "taken"
	}
	return "failed"
}

// refusalReason returns the value of the label "reason" for the error that a pod got.
func refusalReason(err error) string {
	switch {
	case errors.Is(err, ErrNotReady):
		return "not_ready"
	case errors.Is(err, ErrDedicated):
		return "dedicated"
	case errors.Is(err, ErrTooManyNodes):
		return "limit"
	case errors.Is(err, ErrTaken):
		return "taken"
	}
	return "error"
}
